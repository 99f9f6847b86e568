// The route table, walked with every credential: which one a route is for, and what it answers to the others. The routes themselves
// come from the app (roles.test.ts), so that a new one can't be forgotten here.

import type { Access } from "../../../src/tenants/admin/roles.ts";

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
  "viewer",
  "own admin",
  "own admin by Basic",
  "own viewer",
  "other tenant's admin",
] as const;
export type Role = (typeof ROLES)[number];

export interface WalkedRoute {
  /** As the app names it. */
  readonly method: string;
  readonly path: string;
  /** The method that is sent where the app takes any. */
  readonly sent?: string;
  readonly plane: Plane;
  /** Of the planes `admin` and `read`: which of the tokens may. */
  readonly access?: Access;
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
/** Routes of the admin plane that need the same access. */
const needs =
  (access: Access) =>
  (method: string, path: string, status: number, body?: object): WalkedRoute => ({
    method,
    path: `/admin${path}`,
    plane: "admin",
    access,
    ...(body !== undefined && { body }),
    status,
  });
const operate = needs("operate");
const observe = needs("observe");
const manage = needs("manage");
const inspect = needs("inspect");
const list = needs("list");
const read = (path: string, status: number): WalkedRoute => ({
  method: "GET",
  path,
  plane: "read",
  access: "list",
  status,
});

/** By hand, and not from the code: who is let in. */
const LET_IN: Readonly<Record<Access, readonly Role[]>> = {
  operate: ["operator"],
  observe: ["operator", "viewer"],
  manage: ["operator", "own admin"],
  inspect: ["operator", "viewer", "own admin", "own viewer"],
  list: ["operator", "viewer", "own admin", "own viewer", "other tenant's admin"],
};
/** Whose password of Basic is a token. */
const BY_BASIC: Readonly<Partial<Record<Role, Role>>> = {
  "operator by Basic": "operator",
  "own admin by Basic": "own admin",
};

const KEYS: ReadonlySet<Role> = new Set(["suspended tenant's key", "own key", "other tenant's key"]);

/** What a route answers to a role: what it says itself to those it is for, 403 to other tokens, 401 to what its plane does not know. */
export function expectedStatus({ plane, access, status, isOwnToEach }: WalkedRoute, role: Role): number {
  if (plane === "open") return status;
  if (plane !== "data") {
    const sent = BY_BASIC[role] ?? role;
    if (!LET_IN.list.includes(sent) || (sent !== role && plane !== "read")) return 401;
    return LET_IN[access ?? "operate"].includes(sent) ? status : 403;
  }
  if (!KEYS.has(role)) return 401;
  if (role === "suspended tenant's key") return 403;
  return role === "own key" || isOwnToEach === true ? status : 404;
}

const TENANT = "/tenants/:tenant";

/** What a vendor keeps: no tenant has the object, and each sees its own list. */
const stored = (calls: string, fields: Partial<WalkedRoute> = {}): readonly WalkedRoute[] =>
  calls.split(", ").map((call) => {
    const [method = "", path = ""] = call.split(" ");
    return { method, path: `/v1${path}`, plane: "data", status: 404, ...fields };
  });

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
  ...stored("GET /responses/:id, DELETE /responses/:id, GET /responses/:id/input_items"),
  ...stored("POST /responses/:id/cancel, POST /batches/:id/cancel, POST /messages/batches/:id/cancel"),
  ...stored("GET /files/:id, GET /files/:id/content, DELETE /files/:id, GET /batches/:id"),
  ...stored("GET /messages/batches/:id, GET /messages/batches/:id/results, DELETE /messages/batches/:id"),
  ...stored("GET /files, GET /batches, GET /messages/batches", { status: 200, isOwnToEach: true }),
  // A file is a form.
  ...stored("POST /files", { body: {}, status: 400, isOwnToEach: true }),
  ...stored("POST /batches", { body: { input_file_id: "file-none" } }),
  // Neither tenant has a provider of Anthropic's.
  ...stored("POST /messages/batches", { body: { requests: [] } }),
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
  list("GET", "/me", 200),
  observe("GET", "/tokens", 200),
  operate("POST", "/tokens", 201, { name: "walked", role: "viewer" }),
  operate("DELETE", "/tokens/:id", 204),
  list("GET", "/tenants", 200),
  operate("PUT", TENANT, 200, {}),
  inspect("GET", TENANT, 200),
  operate("PATCH", TENANT, 200, {}),
  observe("GET", "/erasures/:id", 404),
  manage("POST", `${TENANT}/cache/purge`, 200),
  inspect("GET", `${TENANT}/keys`, 200),
  manage("POST", `${TENANT}/keys`, 201, { name: "walked" }),
  manage("PATCH", `${TENANT}/keys/:id`, 200, { metadata: { team: "a" } }),
  manage("POST", `${TENANT}/keys/:id/rotate`, 200, { overlapSeconds: 600 }),
  inspect("GET", `${TENANT}/providers`, 200),
  manage("PUT", `${TENANT}/providers/:name`, 201, { kind: "sim" }),
  inspect("GET", `${TENANT}/providers/:name`, 200),
  inspect("GET", `${TENANT}/routes`, 200),
  manage("PUT", `${TENANT}/routes/:name`, 201, { targets: [{ provider: "simulated", model: "small" }] }),
  inspect("GET", `${TENANT}/routes/:name`, 200),
  inspect("POST", `${TENANT}/routes/:name/dry-run`, 200, { messages: words }),
  inspect("GET", `${TENANT}/health`, 200),
  inspect("GET", `${TENANT}/queue`, 200),
  inspect("GET", `${TENANT}/queue/live`, 426),
  operate("POST", `${TENANT}/queue/limits`, 200, { limits: {}, forSeconds: 0 }),
  manage("POST", `${TENANT}/queue/drain`, 200, { forSeconds: 0 }),
  list("GET", "/traces", 200),
  list("GET", "/traces/:traceId", 404),
  observe("GET", "/usage", 200),
  inspect("GET", `${TENANT}/usage`, 200),
  inspect("GET", `${TENANT}/sessions`, 200),
  inspect("GET", `${TENANT}/sessions/:session{.+}`, 404),
  list("GET", "/traces/:traceId/surroundings", 404),
  observe("GET", "/export", 200),
  inspect("GET", `${TENANT}/export`, 200),
  manage("POST", `${TENANT}/destinations/:name/test`, 404),
  list("GET", "/audit", 200),
  list("POST", "/session", 204),
  list("DELETE", "/session", 204),
  observe("GET", "/master-keys", 200),
  read("/metrics", 200),
  read("/jaeger/api/services", 200),
  read("/jaeger/api/services/:service/operations", 200),
  { ...read("/jaeger/api/operations", 200), filled: "/jaeger/api/operations?service=headgate" },
  { ...read("/jaeger/api/traces", 200), filled: "/jaeger/api/traces?service=headgate" },
  read("/jaeger/api/traces/:traceId", 404),
  read("/jaeger/api/dependencies", 200),
  manage("DELETE", `${TENANT}/providers/:name`, 204),
  manage("DELETE", `${TENANT}/routes/:name`, 204),
  manage("DELETE", `${TENANT}/keys/:id`, 204),
  operate("DELETE", TENANT, 202),
];
