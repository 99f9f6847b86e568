// Ten thousand mutated requests over all routes of the real gateway: none is a 500, none hangs, each that has a credential leaves one
// trace, and no secret or word of a client is found anywhere.
import { randomUUID } from "node:crypto";
import { Agent, request as httpRequest } from "node:http";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import {
  canaryRequests,
  createCanaries,
  FATES,
  findSecrets,
} from "../../support/builders/canary-requests.ts";
import { appRoutes } from "../../support/builders/app-routes.ts";
import { CANARY_ACCOUNTS, startCanaryStack, type CanaryStack } from "../../support/servers/canary-stack.ts";
import { type BaseRequest, mutated, type RawRequest } from "./mutations.ts";

const REQUESTS = Number(process.env["FUZZ_REQUESTS"] ?? 10_000);
/** Another run with the same number makes the same requests. */
const SEED = Number(process.env["FUZZ_SEED"] ?? 20_261_130);
/** More of them with the key in the path. */
const KEY_IN_PATH_REQUESTS = 200;
const AT_ONCE = 16;
/** Far above what any of these requests may take. */
const HANG_MS = 20_000;
const TIMEOUT_MS = 600_000;
/** Until the last trace has arrived. */
const EXPORT_MS = 60_000;
/** A fault of the upstream or of a limit, said as such; 529 is Anthropic's status for it. */
const EXPECTED_5XX: ReadonlySet<number> = new Set([502, 503, 504, 529]);

const canaries = createCanaries((place) => `canary-${place}-${randomUUID().slice(0, 8)}`);
const { say, planted } = canaries;

let stack: CanaryStack;

beforeAll(async () => {
  stack = await startCanaryStack(canaries, { timeouts: { totalMs: 5000 } });
});
afterAll(() => stack.close());

/** The data plane, with words of a client in every place that takes some. */
function dataBases({ tenant }: CanaryStack): readonly BaseRequest[] {
  const headers = {
    authorization: `Bearer ${tenant.key}`,
    "content-type": "application/json",
    "user-agent": say("user-agent"),
    "x-custom": say("header"),
  };
  const post = (name: string, path: string, body: object): BaseRequest => ({
    name,
    method: "POST",
    path,
    headers,
    body,
  });
  const get = (name: string, path: string): BaseRequest => ({ name, method: "GET", path, headers });
  const chats = [false, true].flatMap((stream) =>
    CANARY_ACCOUNTS.flatMap((provider) =>
      FATES.flatMap((fate) =>
        canaryRequests(canaries, `${provider}-${fate}`, stream).map(({ dialect, path, body }) =>
          post(`${dialect} ${provider} ${fate}`, path, body),
        ),
      ),
    ),
  );
  const words = { model: "up-answered", input: say("input"), prompt: say("prompt") };
  const others = [
    post("embeddings", "/v1/embeddings", words),
    post("completions", "/v1/completions", words),
    post("completions streamed", "/v1/completions", { ...words, stream: true }),
    post("images", "/v1/images/generations", words),
    post("speech", "/v1/audio/speech", words),
    post("transcription", "/v1/audio/transcriptions", words),
    post("translation", "/v1/audio/translations", words),
    post("edit", "/v1/images/edits", words),
    post("variation", "/v1/images/variations", words),
    post("moderations", "/v1/moderations", words),
    post("rerank", "/v1/rerank", { model: "up-answered", query: say("query"), documents: [say("document")] }),
    post("count", "/v1/messages/count_tokens", {
      model: "claude-answered",
      messages: [{ role: "user", content: say("prompt") }],
    }),
    post("gemini count", "/v1beta/models/gem-answered:countTokens", {
      contents: [{ parts: [{ text: say("prompt") }] }],
    }),
    post("gemini at /v1", "/v1/models/gem-answered:generateContent", {
      contents: [{ parts: [{ text: say("prompt") }] }],
    }),
    post("native", "/proxy/up/chat/completions", { model: "answered", messages: [] }),
    get("realtime", "/v1/realtime?model=up-answered"),
    ...["GET", "PUT", "PATCH", "DELETE"].map((method) => ({
      ...post(`native ${method}`, "/proxy/up/files/file-1", words),
      method,
    })),
    ...["files", "batches", "messages/batches"].flatMap((path) => [
      post(`make ${path}`, `/v1/${path}`, { input_file_id: say("file"), requests: [{ params: words }] }),
      get(`list ${path}`, `/v1/${path}?limit=2&after=${say("after")}`),
      get(`${path} one`, `/v1/${path}/file-1`),
      post(`${path} cancel`, `/v1/${path}/batch_1/cancel`, {}),
    ]),
    get("file content", "/v1/files/file-1/content"),
    get("results", "/v1/messages/batches/msgbatch_1/results"),
    get("stored response", "/v1/responses/resp_1"),
    get("input items", "/v1/responses/resp_1/input_items"),
    post("cancel response", "/v1/responses/resp_1/cancel", {}),
    ...["responses/resp_1", "files/file-1", "messages/batches/msgbatch_1"].map((path) => ({
      ...get(`forget ${path}`, `/v1/${path}`),
      method: "DELETE",
    })),
    post("next response", "/v1/responses", { ...words, previous_response_id: say("response") }),
    get("gemini model", "/v1beta/models/gem-answered"),
    get("models", "/v1/models"),
    get("model", "/v1/models/up-answered"),
    get("gemini models", "/v1beta/models"),
    get("health", "/healthz"),
  ];
  // As often as the chats, of which there are many more.
  return [...chats, ...Array.from({ length: 8 }, () => others).flat()];
}

/** The data plane by the other way in: the gateway key in the path (src/http/key-in-path.ts), and no header with it. */
function keyInPathBases(stack: CanaryStack): readonly BaseRequest[] {
  return dataBases(stack)
    .filter(({ path }) => /^\/(?:v1|v1beta|proxy)\//.test(path))
    .map(({ headers: { authorization: _key, ...headers }, ...base }) => ({
      ...base,
      name: `key in the path: ${base.name}`,
      path: `/k/${stack.tenant.key}${base.path}`,
      headers,
    }));
}

/** The admin plane, on tenants that nothing else uses. */
function adminBases({ adminToken, own, upstream, tenant }: CanaryStack): readonly BaseRequest[] {
  const headers = { authorization: `Bearer ${adminToken}`, "content-type": "application/json" };
  const request = (method: string, path: string, body?: object): BaseRequest => ({
    name: `${method} ${path}`,
    method,
    path,
    headers,
    ...(body !== undefined && { body }),
  });
  const root = "/admin/tenants/fuzzed";
  const destinations = [{ name: "own", endpoint: own.url, headers: { authorization: say("fuzzed-header") } }];
  return [
    request("PUT", root, { limits: { concurrency: 5 }, cache: { enabled: true }, tracing: { destinations } }),
    request("PATCH", root, { limits: { requestsPerMinute: 600, queue: { maxDepth: 5 } } }),
    request("GET", root),
    request("GET", "/admin/tenants?limit=5"),
    request("POST", `${root}/keys`, { name: "k", limits: { concurrency: 2 }, metadata: { team: "a" } }),
    request("GET", `${root}/keys`),
    request("PATCH", `${root}/keys/none`, { name: "k2", status: "paused", limits: { concurrency: 1 } }),
    request("POST", `${root}/keys/none/rotate`, { overlapSeconds: 60 }),
    request("DELETE", `${root}/keys/none`),
    request("PUT", `${root}/providers/up`, {
      kind: "openai",
      baseUrl: upstream.url,
      apiKey: say("fuzzed-key"),
      headers: { "x-team": say("fuzzed-provider-header") },
    }),
    request("GET", `${root}/providers`),
    request("GET", `${root}/providers/up`),
    request("DELETE", `${root}/providers/gone`),
    request("GET", `${root}/routes/r`),
    request("DELETE", `${root}/routes/gone`),
    request("GET", `${root}/health`),
    request("GET", `${root}/queue/live`),
    request("POST", `${root}/cache/purge`),
    request("DELETE", "/admin/tenants/never-made"),
    request("GET", "/admin/erasures/none"),
    request("GET", "/admin/master-keys"),
    request("PUT", `${root}/routes/r`, {
      strategy: "weighted",
      targets: [{ provider: "up", model: "answered", weight: 1 }],
      retries: { maxAttempts: 2 },
      timeouts: { totalMs: 5000 },
    }),
    request("GET", `${root}/routes`),
    request("POST", `${root}/routes/r/dry-run`, { model: "r", messages: [{ role: "user", content: "x" }] }),
    request("GET", `${root}/queue`),
    request("POST", `${root}/queue/limits`, { limits: { concurrency: 3 }, forSeconds: 1 }),
    request("POST", `${root}/queue/drain`, { forSeconds: 0 }),
    request("GET", `${root}/export`),
    request("POST", `${root}/destinations/own/test`),
    request("GET", `/admin/traces?tenant=${tenant.id}&limit=5`),
    request("GET", `/admin/traces/${"a".repeat(32)}`),
    request("GET", `${root}/sessions?since=1h&limit=5`),
    request("GET", `${root}/sessions/s-1`),
    request("GET", "/admin/usage?from=1d&interval=hour&group_by=tenant"),
    request("GET", `${root}/usage?from=2026-01-01T00:00:00Z&to=2026-01-08T00:00:00Z&group_by=key,model`),
    request("GET", `/admin/traces/${"a".repeat(32)}/surroundings`),
    request("GET", "/admin/audit?limit=5"),
    request("GET", "/admin/me"),
    request("GET", "/admin/tokens?limit=5"),
    request("POST", "/admin/tokens", { name: "t", role: "tenant-viewer", tenant: "none" }),
    request("DELETE", "/admin/tokens/none"),
    request("POST", "/admin/session"),
    request("DELETE", "/admin/session"),
    request("GET", "/admin/export"),
    request("GET", "/metrics"),
    request("GET", "/jaeger/api/services"),
    request("GET", "/jaeger/api/services/headgate/operations"),
    request("GET", "/jaeger/api/operations?service=headgate&spanKind=server"),
    request("GET", `/jaeger/api/traces/${"a".repeat(32)}`),
    request("GET", "/jaeger/api/dependencies"),
    request("GET", "/jaeger/api/traces?service=headgate&limit=2"),
  ];
}

interface Answer {
  readonly request: RawRequest;
  readonly status: number | "hang" | "broken";
  readonly traceId: string;
  readonly text: string;
  readonly allHeaders: string;
}

/**
 * Answers may be stored: some of the headers ask for the cache, or for an answer to be replayed. Those of OpenAI's Responses
 * repeat the instructions, the tools and the user of their request.
 */
const ANSWERED = ["answer", "answer-arguments", "thinking", "signature"];
const REPEATED = ["system", "tool-definition", "schema", "property", "user"];
const CACHED: ReadonlySet<string> = new Set([...ANSWERED, ...REPEATED].map((what) => `${what} in disk`));

/**
 * What an authenticated client sends to the data plane, and what an operator writes; other requests have no trace of their own,
 * or only some of them have.
 */
function isTraced({ request, status }: Answer): boolean {
  const { isAuthorized, headers, method, path } = request;
  // By the path as it was sent: the gateway resolves no dots in it.
  const isDataPlane = /^(?:\/k\/[^/]+)?\/(?:v1|v1beta|proxy)\/[^\\]/.test(path);
  // A page of another site is refused before its token is read.
  const isWrite =
    /^\/admin\/[^\\]/.test(path) && method !== "GET" && method !== "HEAD" && headers["origin"] === undefined;
  const isKnown = isAuthorized && status !== 401 && headers["host"] === undefined;
  return (isDataPlane || isWrite) && isKnown && method !== "OPTIONS";
}

/** Routes of the app that no request is made from. */
function missedRoutes(bases: readonly BaseRequest[]): readonly string[] {
  const patternOf = (template: string): RegExp =>
    new RegExp(`^${template.replaceAll(/:\w+\{\.\+\}/g, ".+").replaceAll(/:\w+/g, "[^/]+")}(?:\\?|$)`);
  return appRoutes()
    .filter(({ method, path }) => {
      const pattern = patternOf(path);
      return !bases.some((base) => (method === "ALL" || base.method === method) && pattern.test(base.path));
    })
    .map(({ method, path }) => `${method} ${path}`);
}

const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });

/** Over a plain socket: `fetch` would tidy up paths and refuse headers. */
function send(request: RawRequest, isRepeated = false): Promise<Answer> {
  const { hostname, port } = new URL(stack.gateway.url);
  // Node's own client refuses these in a path; a socket would take them.
  const path = request.path.replaceAll(/[^\x21-\x7e]/g, encodeURIComponent);
  const body = request.body ?? new Uint8Array();
  const hasBody = body.length > 0;
  return new Promise((resolve) => {
    let status: Answer["status"] = "broken";
    let traceId = "";
    let text = "";
    let allHeaders = "";
    const end = (as: Answer["status"]): void => resolve({ request, status: as, traceId, text, allHeaders });
    const outgoing = httpRequest(
      {
        agent,
        hostname,
        port,
        path,
        method: request.method,
        headers: { ...request.headers, ...(hasBody && { "content-length": String(body.length) }) },
      },
      (response) => {
        status = response.statusCode ?? "broken";
        traceId = String(response.headers["x-trace-id"] ?? "");
        allHeaders = response.rawHeaders.join("\n");
        response.setEncoding("latin1");
        response.on("data", (piece: string) => (text += piece));
        response.on("end", () => end(status));
        // A stream that its upstream has cut is cut here too.
        response.on("error", () => end(status));
      },
    );
    outgoing.setTimeout(HANG_MS, () => {
      end("hang");
      outgoing.destroy();
    });
    outgoing.on("error", () => {
      // A kept connection may be closed while a request is on its way: it is sent again, as Node's documentation asks.
      if (status === "broken" && outgoing.reusedSocket && !isRepeated) resolve(send(request, true));
      else end(status);
    });
    outgoing.end(hasBody ? body : undefined);
  });
}

async function sendAll(requests: readonly RawRequest[]): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  const pending = requests.values();
  const sender = async (): Promise<void> => {
    for (const request of pending) answers.push(await send(request));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, sender));
  return answers;
}

function describeAnswer({ request, status, text }: Answer): string {
  const { name, method, path, headers, body } = request;
  const sent = Buffer.from(body ?? [])
    .toString()
    .slice(0, 600);
  return `${String(status)} ${name}: ${method} ${path.slice(0, 200)} ${JSON.stringify(headers)} ${sent} -> ${text.slice(0, 300)}`;
}

test(`${REQUESTS} mutated requests over all routes`, { timeout: TIMEOUT_MS }, async () => {
  const { gateway, operator, own, tenant, adminToken } = stack;
  const [dataPlane, adminPlane] = [dataBases(stack), adminBases(stack)];
  expect(missedRoutes([...dataPlane, ...adminPlane])).toEqual([]);
  const arbitrary = fc.oneof(
    { weight: 4, arbitrary: mutated(dataPlane) },
    { weight: 1, arbitrary: mutated(adminPlane) },
  );
  const answers = await sendAll([
    ...fc.sample(arbitrary, { numRuns: REQUESTS, seed: SEED }),
    ...fc.sample(mutated(keyInPathBases(stack)), { numRuns: KEY_IN_PATH_REQUESTS, seed: SEED }),
  ]);
  const isBad = ({ status }: Answer): boolean =>
    typeof status === "string" || (status >= 500 && !EXPECTED_5XX.has(status));
  expect(answers.filter(isBad).map(describeAnswer)).toEqual([]);
  expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThan(REQUESTS / 20);

  const secrets = [
    adminToken,
    tenant.credential,
    ...["claude-key", "gemini-key", "destination-header", "fuzzed-key", "fuzzed-header"].map(say),
  ];
  const leaking = answers.filter(({ text, allHeaders }) =>
    secrets.some((secret) => text.includes(secret) || allHeaders.includes(secret)),
  );
  expect(leaking.map(describeAnswer)).toEqual([]);

  expect(answers.filter(({ traceId }) => !/^[0-9a-f]{32}$/.test(traceId)).map(describeAnswer)).toEqual([]);
  const traced = answers.filter(isTraced);
  const roots = new Map<string, number>();
  const untraced = (): readonly string[] => {
    roots.clear();
    for (const { traceId, parentSpanId } of operator.spans())
      if (parentSpanId === undefined) roots.set(traceId, (roots.get(traceId) ?? 0) + 1);
    return traced.filter(({ traceId }) => !roots.has(traceId)).map(describeAnswer);
  };
  await vi.waitFor(() => expect(untraced()).toEqual([]), { timeout: EXPORT_MS, interval: 1000 });
  expect(answers.filter(({ traceId }) => (roots.get(traceId) ?? 0) > 1).map(describeAnswer)).toEqual([]);

  const places = { operator: operator.allText(), own: own.allText(), logs: gateway.logs(), disk: "" };
  await gateway.stop();
  places.disk = stack.stateOnDisk();
  const all = { key: tenant.key, credential: tenant.credential, ...Object.fromEntries(planted) };
  expect(findSecrets(places, all).filter((leak) => !CACHED.has(leak))).toEqual([]);
});
