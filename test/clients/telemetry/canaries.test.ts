// Nothing of what clients, upstreams and operators say or keep secret is in any exported byte, log line, stored row, metric or file
// while content is off: something to be found again is planted in every place at once, in every dialect, and looked for everywhere.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  canaryRequests,
  createCanaries,
  FATES,
  findSecrets,
} from "../../support/builders/canary-requests.ts";
import { CANARY_ACCOUNTS, startCanaryStack, type CanaryStack } from "../../support/servers/canary-stack.ts";

const canaries = createCanaries((place) => `canary-${place}-${randomUUID().slice(0, 8)}`);
const { say, planted } = canaries;
const TIMEOUT_MS = 120_000;

let stack: CanaryStack;

beforeAll(async () => {
  stack = await startCanaryStack(canaries, {
    vars: { OTLP_HEADERS: `authorization=Bearer ${say("otlp-header")}` },
  });
});
afterAll(() => stack.close());

type Said = {
  readonly name: string;
  readonly status: number;
  readonly text: string;
  readonly traceId: string;
};

const said: Said[] = [];

async function send(name: string, path: string, init: RequestInit = {}): Promise<void> {
  const response = await fetch(stack.gateway.url + path, {
    method: "POST",
    ...init,
    headers: {
      authorization: `Bearer ${stack.tenant.key}`,
      "content-type": "application/json",
      cookie: `session=${say("cookie")}`,
      "user-agent": say("user-agent"),
      "x-forwarded-for": say("client-ip"),
      "x-custom": say("header"),
      tracestate: `vendor=${say("tracestate")}`,
      baggage: `who=${say("baggage")}`,
      "x-headgate-lenient": "1",
      ...init.headers,
    },
  });
  const text = await response.text().catch(() => "");
  said.push({ name, status: response.status, text, traceId: response.headers.get("x-trace-id") ?? "" });
}

/** Each dialect against each upstream, whole and streamed, with each fate. */
async function sendChats(): Promise<void> {
  for (const stream of [false, true])
    for (const provider of CANARY_ACCOUNTS)
      for (const fate of FATES)
        await Promise.all(
          canaryRequests(canaries, `${provider}-${fate}`, stream).map(({ dialect, path, body }) =>
            send(`${dialect} ${provider} ${fate} ${stream}`, path, { body: JSON.stringify(body) }),
          ),
        );
}

/** What is refused before it goes anywhere, in each way a client can put words into it. */
async function sendRefused(): Promise<void> {
  const { tenant, adminToken } = stack;
  const [chat] = canaryRequests(canaries, "up-answered", false);
  const body = JSON.stringify(chat?.body);
  const path = "/v1/chat/completions";
  const long = JSON.stringify({ k: say("long-metadata").padEnd(5000, "x") });
  const refused: readonly [string, string, RequestInit][] = [
    ["no JSON", path, { body: `{"model": "${say("no-json")}` }],
    ["unknown key", path, { body, headers: { authorization: `Bearer hg_${say("bad-key")}` } }],
    [
      "key in query",
      `${path}?key=${say("query-key")}&q=${say("query")}`,
      { body, headers: { authorization: "" } },
    ],
    ["long metadata", path, { body, headers: { "x-headgate-metadata": long } }],
    ["broken metadata", path, { body, headers: { "x-headgate-metadata": say("bad-metadata") } }],
    ["bad option", path, { body, headers: { "x-headgate-cache": say("bad-option") } }],
    ["bad traceparent", path, { body, headers: { traceparent: say("bad-traceparent") } }],
    ["bad pin", path, { body, headers: { "x-headgate-target": `up/${say("pin")}` } }],
    [
      "idempotency",
      path,
      {
        body: body.replace("up-answered", "up-faulty"),
        headers: { "idempotency-key": say("idempotency-key") },
      },
    ],
    ["unknown path", `/v1/${say("path")}`, { body }],
    ["unknown method", `${path}?q=${say("query")}`, { method: "PATCH", body }],
    [
      "admin without a token",
      `/admin/tenants/${tenant.id}?q=${say("query")}`,
      { method: "GET", headers: { authorization: `Bearer ${say("bad-admin-token")}` } },
    ],
    [
      "admin with garbage",
      `/admin/tenants/${tenant.id}`,
      { method: "PUT", body: say("admin-body"), headers: { authorization: `Bearer ${adminToken}` } },
    ],
  ];
  for (const [name, to, init] of refused) await send(name, to, init);
}

/** What is passed on unread: a vendor's own API, forms, speech. */
async function sendForwarded(): Promise<void> {
  const form = new FormData();
  form.set("model", "up-answered");
  form.set("prompt", say("form-field"));
  form.set("file", new Blob([say("form-file")]), `${say("file-name")}.wav`);
  const encoded = new Response(form);
  const body = await encoded.arrayBuffer();
  await send("form", "/v1/audio/transcriptions", {
    body,
    headers: { "content-type": encoded.headers.get("content-type") ?? "" },
  });
  const words = JSON.stringify({ model: "up-answered", input: say("input"), prompt: say("prompt") });
  for (const path of ["images/generations", "audio/speech", "moderations", "embeddings"])
    await send(path, `/v1/${path}`, { body: words });
  for (const model of FATES) {
    const native = JSON.stringify({ model, messages: [{ role: "user", content: say("prompt") }] });
    const path = `/proxy/up/chat/completions/${say("proxy-path")}?secret=${say("query")}`;
    await send(`proxy ${model}`, path, { body: native });
  }
  await send("count", "/v1/messages/count_tokens", { body: words });
  await send("models", `/v1/models?q=${say("query")}`, { method: "GET" });
}

/** A gateway key in a URL, as Google's clients send it: where it opens something, where it doesn't, and on its way to a vendor. */
async function sendKeysInUrls(): Promise<void> {
  const { gateway, tenant, upstream } = stack;
  const { key } = tenant;
  const authorization = `Bearer ${key}`;
  const asked: readonly [string, string, Readonly<Record<string, string>>][] = [
    ["POST", `/v1beta/models/up-answered:generateContent?key=${key}`, {}],
    ["POST", `/v1beta/models/up-answered:streamGenerateContent?alt=sse&k%65y=${key}`, {}],
    ["GET", `/v1beta/models?key=${key}`, {}],
    ["DELETE", `/v1beta/models?key=${key}`, {}],
    ["GET", `/v1beta/models/none?key=${key}`, {}],
    ["GET", `/v1/models?key=${key}`, {}],
    ["GET", `/nothing/?key=${key}`, {}],
    ["GET", `/admin/tenants?key=${key}`, {}],
    ["POST", `/proxy/up/models?key=${key}&a=1`, { authorization }],
    ["POST", `/proxy/up/models?api_key=${key}&access_token=${key}&key=x`, { authorization }],
  ];
  const before = upstream.requests.length;
  for (const [method, path, headers] of asked) {
    const body = JSON.stringify({ contents: [{ parts: [{ text: "hi" }] }] });
    const response = await fetch(gateway.url + path, {
      method,
      redirect: "manual",
      headers: { "content-type": "application/json", ...headers },
      ...(method === "POST" && { body }),
    });
    const text = await response.text();
    const traceId = response.headers.get("x-trace-id") ?? "";
    said.push({ name: `${method} ${path.replaceAll(key, "KEY")}`, status: response.status, text, traceId });
    expect(text + JSON.stringify([...response.headers])).not.toContain(key);
  }
  const called = upstream.requests.slice(before).map(({ path, headers }) => path + JSON.stringify(headers));
  expect(called.length).toBeGreaterThanOrEqual(4);
  expect(called.filter((text) => text.includes(key))).toEqual([]);
  expect(called.filter((text) => text.includes("/models?a=1"))).toHaveLength(1);
}

async function readAdmin({ admin, gateway, tenant, adminToken }: CanaryStack): Promise<string> {
  const list = await (await admin("GET", `/admin/traces?tenant=${tenant.id}&limit=100`)).text();
  const traces = said.flatMap(({ traceId }) => [
    admin("GET", `/admin/traces/${traceId}`),
    fetch(`${gateway.url}/admin/traces/${traceId}`, {
      headers: { authorization: `Bearer ${adminToken}`, accept: "text/plain" },
    }),
  ]);
  const paths = [
    "/metrics",
    "/admin/audit?limit=100",
    "/admin/export",
    `/jaeger/api/traces?service=headgate&limit=100`,
    ...["", "/keys", "/providers", "/routes", "/queue", "/export"].map(
      (part) => `/admin/tenants/${tenant.id}${part}`,
    ),
  ];
  const others = paths.map((path) => admin("GET", path));
  const texts = await Promise.all([...traces, ...others].map(async (answer) => (await answer).text()));
  return [list, ...texts].join("\n");
}

test(
  "no prompt, answer or secret leaves, or is kept, while content is off",
  { timeout: TIMEOUT_MS },
  async () => {
    const { gateway, operator, own, upstream, tenant } = stack;
    await sendChats();
    await sendRefused();
    await sendForwarded();
    await sendKeysInUrls();
    const failed = said.filter(({ name, status }) => / (answered|called) /.test(name) && status !== 200);
    expect(failed).toEqual([]);
    await operator.waitUntil(() => operator.metricExports.length > 0);
    // Of refusals without a gateway key some have no trace of their own: they are counted.
    const traced = said.filter(({ name, status }) => status !== 401 && !/^admin|nothing/.test(name));
    await Promise.all(traced.map(({ traceId }) => operator.waitForTrace(traceId)));

    const places = {
      operator: operator.allText(),
      own: own.allText(),
      admin: await readAdmin(stack),
      logs: gateway.logs(),
      disk: "",
    };
    await gateway.stop();
    places.disk = stack.stateOnDisk();

    // What was planted has really been said: upstreams got it, clients got it.
    const upstreams = upstream.requests
      .map(({ path, body, headers }) => path + body + JSON.stringify(headers))
      .join("\n");
    for (const place of [
      "prompt",
      "system",
      "tool-arguments",
      "tool-result",
      "user",
      "stop",
      "form-file",
      "proxy-path",
    ])
      expect(upstreams, place).toContain(say(place));
    const answers = said.map(({ text }) => text).join("\n");
    for (const place of ["answer", "answer-arguments", "upstream-error"])
      expect(answers, place).toContain(say(place));
    expect(places.disk).toContain(traced[0]?.traceId);
    expect(places.admin).toContain(traced[0]?.traceId);

    const secrets = {
      key: tenant.key,
      keyWithoutItsForm: tenant.key.slice(3, 35),
      credential: tenant.credential,
      image: Buffer.from(say("image")).toString("base64"),
      ...Object.fromEntries(planted),
    };
    expect(findSecrets(places, secrets)).toEqual([]);
  },
);

test("no answer to a client has a credential in it, and none but a refusal the upstream's words for an error", () => {
  const secrets = [
    stack.adminToken,
    stack.tenant.credential,
    ...["claude-key", "gemini-key", "provider-header", "otlp-header"].map(say),
  ];
  const leaks = said.filter(({ text }) => secrets.some((secret) => text.includes(secret)));
  // A vendor's own API is passed on as it is.
  expect(leaks.map(({ name }) => name).filter((name) => !name.startsWith("proxy "))).toEqual([]);
  const quoting = said.filter(({ text }) => text.includes(say("upstream-error")));
  expect(quoting.length).toBeGreaterThan(0);
  expect(quoting.map(({ name }) => name).filter((name) => !/ refused |^proxy /.test(name))).toEqual([]);
});
