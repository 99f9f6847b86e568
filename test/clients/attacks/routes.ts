// The route table, walked with every credential: which one a route is for, and what it answers to the others. The routes themselves
// come from the app (roles.test.ts), so that a new one can't be forgotten here.

/** Whose credential opens it. */
export type Plane = "open" | "data" | "admin" | "read";

export const ROLES = [
  "nothing",
  "wrong",
  "suspended tenant's key",
  "own key",
  "other tenant's key",
  "operator",
  "operator by Basic",
] as const;
export type Role = (typeof ROLES)[number];

export interface WalkedRoute {
  /** As the app names it. */
  readonly method: string;
  readonly path: string;
  /** The method that is sent where the app takes any. */
  readonly sent?: string;
  readonly plane: Plane;
  /** What takes the place of its parameters, where it isn't `PARAMETERS`. */
  readonly filled?: string;
  readonly body?: object;
  /** What it answers to the role that is let in. */
  readonly status: number;
  /** The route says the same to every tenant's key, about that tenant. */
  readonly isOwnToEach?: true;
}

const words = [{ role: "user", content: "hi" }];
const parts = [{ parts: [{ text: "hi" }] }];
/** Of a provider that only this tenant has. */
const model = "simulated/small";
const data = (path: string, body: object): WalkedRoute => ({
  method: "POST",
  path,
  plane: "data",
  body: { model, ...body },
  status: 200,
});
const admin = (method: string, path: string, status: number, body?: object): WalkedRoute => ({
  method,
  path: `/admin${path}`,
  plane: "admin",
  ...(body !== undefined && { body }),
  status,
});
const read = (path: string, status: number): WalkedRoute => ({ method: "GET", path, plane: "read", status });

const KEYS: ReadonlySet<Role> = new Set(["suspended tenant's key", "own key", "other tenant's key"]);

/** What a route answers to a role: what it says itself to the one it is for, and 401 to those that its plane does not know. */
export function expectedStatus({ plane, status, isOwnToEach }: WalkedRoute, role: Role): number {
  if (plane === "open") return status;
  if (plane !== "data") {
    const isOperator = role === "operator" || (plane === "read" && role === "operator by Basic");
    return isOperator ? status : 401;
  }
  if (!KEYS.has(role)) return 401;
  if (role === "suspended tenant's key") return 403;
  return role === "own key" || isOwnToEach === true ? status : 404;
}

const TENANT = "/tenants/:tenant";

/** In an order in which each finds what it needs: what deletes comes last. */
export const WALKED: readonly WalkedRoute[] = [
  { method: "GET", path: "/healthz", plane: "open", status: 200 },
  data("/v1/chat/completions", { messages: words }),
  data("/v1/completions", { model: "account/completion", prompt: "hi" }),
  data("/v1/responses", { input: "hi" }),
  data("/v1/embeddings", { input: "hi" }),
  data("/v1/messages", { max_tokens: 5, messages: words }),
  data("/v1/messages/count_tokens", { messages: words }),
  data("/v1/images/generations", { model: "account/image", prompt: "hi" }),
  data("/v1/audio/speech", { model: "account/speech", input: "hi", voice: "alloy" }),
  data("/v1/images/edits", { model: "account/edit", prompt: "hi" }),
  data("/v1/images/variations", { model: "account/variation" }),
  data("/v1/audio/transcriptions", { model: "account/transcription" }),
  data("/v1/audio/translations", { model: "account/translation" }),
  data("/v1/moderations", { model: "account/moderation", input: "hi" }),
  data("/v1/rerank", { model: "account/rerank", query: "hi", documents: ["a"] }),
  {
    method: "GET",
    path: "/v1/realtime",
    filled: `/v1/realtime?model=${model}`,
    plane: "data",
    status: 426,
    isOwnToEach: true,
  },
  { method: "GET", path: "/v1/models", plane: "data", status: 200, isOwnToEach: true },
  { method: "GET", path: "/v1/models/:model{.+}", plane: "data", status: 200 },
  { method: "GET", path: "/v1beta/models", plane: "data", status: 200, isOwnToEach: true },
  { method: "GET", path: "/v1beta/models/:model{.+}", plane: "data", status: 200 },
  ...["/v1/models", "/v1beta"].map((start): WalkedRoute => ({
    method: "POST",
    path: `${start}/:call{.+}`,
    filled: `${start.replace("beta", "beta/models")}/${model}:generateContent`,
    plane: "data",
    body: { contents: parts },
    status: 200,
  })),
  ...["GET", "POST", "PUT", "PATCH", "DELETE"].map((sent): WalkedRoute => ({
    method: "ALL",
    path: "/proxy/:provider/:path{.+}",
    filled: "/proxy/account/chat/completions",
    sent,
    plane: "data",
    ...(sent !== "GET" && { body: { model: "small", messages: words } }),
    status: 200,
  })),
  admin("GET", "/tenants", 200),
  admin("PUT", TENANT, 200, {}),
  admin("GET", TENANT, 200),
  admin("PATCH", TENANT, 200, {}),
  admin("GET", "/erasures/:id", 404),
  admin("POST", `${TENANT}/cache/purge`, 200),
  admin("GET", `${TENANT}/keys`, 200),
  admin("POST", `${TENANT}/keys`, 201, { name: "walked" }),
  admin("PATCH", `${TENANT}/keys/:id`, 200, { metadata: { team: "a" } }),
  admin("POST", `${TENANT}/keys/:id/rotate`, 200, { overlapSeconds: 600 }),
  admin("GET", `${TENANT}/providers`, 200),
  admin("PUT", `${TENANT}/providers/:name`, 201, { kind: "sim" }),
  admin("GET", `${TENANT}/providers/:name`, 200),
  admin("GET", `${TENANT}/routes`, 200),
  admin("PUT", `${TENANT}/routes/:name`, 201, { targets: [{ provider: "simulated", model: "small" }] }),
  admin("GET", `${TENANT}/routes/:name`, 200),
  admin("POST", `${TENANT}/routes/:name/dry-run`, 200, { messages: words }),
  admin("GET", `${TENANT}/health`, 200),
  admin("GET", `${TENANT}/queue`, 200),
  admin("GET", `${TENANT}/queue/live`, 426),
  admin("POST", `${TENANT}/queue/limits`, 200, { limits: {}, forSeconds: 0 }),
  admin("POST", `${TENANT}/queue/drain`, 200, { forSeconds: 0 }),
  admin("GET", "/traces", 200),
  admin("GET", "/traces/:traceId", 404),
  admin("GET", "/export", 200),
  admin("GET", `${TENANT}/export`, 200),
  admin("POST", `${TENANT}/destinations/:name/test`, 404),
  admin("GET", "/audit", 200),
  admin("POST", "/session", 204),
  admin("DELETE", "/session", 204),
  admin("GET", "/master-keys", 200),
  read("/metrics", 200),
  read("/jaeger/api/services", 200),
  read("/jaeger/api/services/:service/operations", 200),
  { ...read("/jaeger/api/operations", 200), filled: "/jaeger/api/operations?service=headgate" },
  { ...read("/jaeger/api/traces", 200), filled: "/jaeger/api/traces?service=headgate" },
  read("/jaeger/api/traces/:traceId", 404),
  read("/jaeger/api/dependencies", 200),
  admin("DELETE", `${TENANT}/providers/:name`, 204),
  admin("DELETE", `${TENANT}/routes/:name`, 204),
  admin("DELETE", `${TENANT}/keys/:id`, 204),
  admin("DELETE", TENANT, 202),
];
