// Who gets prompts and answers: no one unless the records say so, and each place no more than it may. Black box: HTTP in, real receivers
// out. Also what only a destination's preset brings, and the test span.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startGateway, type Gateway } from "../../support/servers/gateway-process.ts";
import { checkOtlp } from "../../support/checkers/otlp-proto.ts";
import { startOtlpReceiver, type OtlpReceiver } from "../../support/servers/otlp-receiver.ts";
import type { FlatSpan } from "../../support/checkers/otlp-spans.ts";
import { uniqueModel } from "../../support/servers/gateway-stack.ts";
import { startScriptedUpstream, type ScriptedUpstream } from "../../support/servers/scripted-upstream.ts";
import { makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import { checkTrace, type TraceCheck } from "../../support/checkers/trace-invariants.ts";

const EMAIL = "ada.lovelace@engine.example";
const CARD = "4111 1111 1111 1111";
const KEY = `sk-proj-${randomUUID().replaceAll("-", "")}`;
const SECRETS = [EMAIL, CARD, KEY];
const CONTENT_NAMES = [
  "gen_ai.system_instructions",
  "gen_ai.input.messages",
  "gen_ai.output.messages",
  "gen_ai.tool.definitions",
];

let gateway: Gateway;
let upstream: ScriptedUpstream;
/** The operator's. */
let operator: OtlpReceiver;
const receivers: OtlpReceiver[] = [];

beforeAll(async () => {
  [operator, upstream] = await Promise.all([startReceiver([]), startScriptedUpstream()]);
  gateway = await startGateway({ vars: { OTLP_ENDPOINT: operator.url } });
});
afterAll(async () => {
  await gateway.stop();
  await Promise.all([upstream.close(), ...receivers.map((receiver) => receiver.close())]);
});

async function startReceiver(gets: TraceCheck["gets"] = ["content"]): Promise<OtlpReceiver> {
  const receiver = await startOtlpReceiver({ gets });
  receivers.push(receiver);
  return receiver;
}

interface Talk {
  readonly tenant: TestTenant;
  /** Stands in the system prompt, the prompt, the tool's definition and the answer. */
  readonly canary: string;
  readonly traceId: string;
}

/** One request whose every part holds the canary and the secrets. */
async function talk(tenant: TestTenant, { stream = false, via = gateway } = {}): Promise<Talk> {
  const canary = `canary-${randomUUID()}`;
  const model = uniqueModel();
  const said = `${canary} ${SECRETS.join(" ")}`;
  upstream.script(model, { kind: "answer", text: `answer ${said}` });
  const response = await fetch(`${via.url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${tenant.key}`, "content-type": "application/json" },
    body: JSON.stringify({
      model: `up/${model}`,
      stream,
      messages: [
        { role: "system", content: `system ${said}` },
        { role: "user", content: `prompt ${said}` },
      ],
      tools: [{ type: "function", function: { name: "look", description: `tool ${said}`, parameters: {} } }],
    }),
  });
  expect(await response.text()).toContain("answer");
  return { tenant, canary, traceId: response.headers.get("x-trace-id") ?? "" };
}

function tenantWith(tracing: Readonly<Record<string, unknown>>, via = gateway): Promise<TestTenant> {
  return makeTenant(via, { upstreamUrl: upstream.url, record: { tracing } });
}

const inferenceOf = (spans: readonly FlatSpan[]): FlatSpan | undefined =>
  spans.find(({ attributes }) => attributes["gateway.attempt.number"] !== undefined);

const contentOf = (span: FlatSpan | undefined): readonly string[] =>
  CONTENT_NAMES.flatMap((name) => {
    const value = span?.attributes[name];
    return typeof value === "string" ? [value] : [];
  });

async function storedText(traceId: string): Promise<string> {
  return (await gateway.admin("GET", `/admin/traces/${traceId}`)).text();
}

describe.each([false, true])("with stream %j", (stream) => {
  test("no place gets a word unless the tenant says so, whatever a destination asks for", async () => {
    const own = await startReceiver();
    const destinations = [{ name: "own", endpoint: own.url, content: "full" }];
    const { canary, traceId } = await talk(await tenantWith({ destinations }), { stream });
    const [toOwn, toOperator] = [await own.waitForTrace(traceId), await operator.waitForTrace(traceId)];
    expect([...contentOf(inferenceOf(toOwn)), ...contentOf(inferenceOf(toOperator))]).toEqual([]);
    const written = [own.allText(), operator.allText(), gateway.logs(), await storedText(traceId)].join("\n");
    expect(written).toContain(traceId);
    for (const text of [canary, ...SECRETS]) expect(written).not.toContain(text);
  });

  test("each place gets what it may, masked where it asked for that, and the operator nothing", async () => {
    const [off, redacted, full] = await Promise.all([startReceiver([]), startReceiver(), startReceiver()]);
    const destinations = [
      { name: "off", endpoint: off.url },
      { name: "redacted", endpoint: redacted.url, content: "redacted" },
      { name: "full", endpoint: full.url, content: "full", gzip: true },
    ];
    const { canary, traceId } = await talk(await tenantWith({ content: "full", destinations }), { stream });
    const spansOf = async (receiver: OtlpReceiver) => inferenceOf(await receiver.waitForTrace(traceId));
    const whole = contentOf(await spansOf(full));
    const masked = contentOf(await spansOf(redacted));
    expect([whole.length, masked.length]).toEqual([4, 4]);
    for (const json of [...whole, ...masked]) expect(JSON.stringify(JSON.parse(json))).toContain(canary);
    for (const secret of SECRETS) {
      for (const json of whole) expect(json).toContain(secret);
      expect(redacted.allText()).not.toContain(secret);
    }
    for (const mask of ["[email]", "[card]", "[secret]"]) expect(masked.join("\n")).toContain(mask);
    expect(contentOf(await spansOf(off))).toEqual([]);
    await operator.waitForTrace(traceId);
    for (const text of [off.allText(), operator.allText(), gateway.logs()])
      expect(text).not.toContain(canary);
    for (const receiver of [redacted, full]) {
      expect(receiver.exports.flatMap(({ json }) => checkOtlp(json))).toEqual([]);
      expect(checkTrace(receiver.spansOf(traceId), { gets: ["content"] })).toEqual([]);
    }
    for (const receiver of [off, operator]) expect(checkTrace(receiver.spansOf(traceId))).toEqual([]);
    expect(await storedText(traceId)).toContain(CARD);
  });

  test("a tenant that masks has nothing but masks, in its own store too", async () => {
    const own = await startReceiver();
    const destinations = [{ name: "own", endpoint: own.url, content: "full" }];
    const { canary, traceId } = await talk(await tenantWith({ content: "redacted", destinations }), {
      stream,
    });
    await own.waitForTrace(traceId);
    for (const text of [own.allText(), await storedText(traceId)]) {
      expect(text).toContain(canary);
      for (const secret of SECRETS) expect(text).not.toContain(secret);
    }
  });

  test("the messages are in the conventions' form", async () => {
    const own = await startReceiver();
    const destinations = [{ name: "own", endpoint: own.url, content: "full" }];
    const { canary, traceId } = await talk(await tenantWith({ content: "full", destinations }), { stream });
    const { attributes = {} } = inferenceOf(await own.waitForTrace(traceId)) ?? {};
    const read = (name: string): unknown => JSON.parse(String(attributes[name]));
    const text = (content: string) => ({
      type: "text",
      content: expect.stringContaining(`${content} ${canary}`),
    });
    expect(read("gen_ai.system_instructions")).toEqual([text("system")]);
    expect(read("gen_ai.input.messages")).toEqual([{ role: "user", parts: [text("prompt")] }]);
    expect(read("gen_ai.output.messages")).toEqual([
      { role: "assistant", parts: [text("answer")], finish_reason: "stop" },
    ]);
    expect(read("gen_ai.tool.definitions")).toMatchObject([{ function: { name: "look" } }]);
  });
});

test("a deployment can switch content off for all tenants", { timeout: 60_000 }, async () => {
  const own = await startReceiver();
  const closed = await startGateway({ vars: { CONTENT_CAPTURE: "false" } });
  try {
    const destinations = [{ name: "own", endpoint: own.url, content: "full" }];
    const tenant = await tenantWith({ content: "full", destinations }, closed);
    const { canary, traceId } = await talk(tenant, { via: closed });
    await own.waitForTrace(traceId);
    const stored = await (await closed.admin("GET", `/admin/traces/${traceId}`)).text();
    expect(stored).toContain(traceId);
    expect(own.allText() + stored).not.toContain(canary);
  } finally {
    await closed.stop();
  }
});

describe("a preset", () => {
  const basic = `Basic ${btoa("pk-lf-1:sk-lf-2")}`;

  test("brings the headers and the attributes of its back end, to that one only", async () => {
    const [langfuse, plain] = await Promise.all([startReceiver(["langfuse"]), startReceiver([])]);
    const destinations = [
      {
        name: "l",
        preset: "langfuse",
        endpoint: `${langfuse.url}/api/public/otel`,
        headers: { authorization: basic },
      },
      { name: "p", preset: "jaeger", endpoint: plain.url },
    ];
    const { traceId } = await talk(await tenantWith({ destinations }), { stream: true });
    const spans = await langfuse.waitForTrace(traceId);
    await plain.waitForTrace(traceId);
    expect(langfuse.exports[0]).toMatchObject({
      path: "/api/public/otel/v1/traces",
      headers: { authorization: basic, "x-langfuse-ingestion-version": "4" },
    });
    expect(inferenceOf(spans)?.attributes).toMatchObject({
      "langfuse.observation.type": "generation",
      "langfuse.observation.completion_start_time": expect.stringMatching(/^\d{4}-.*Z$/),
    });
    expect(plain.allText()).not.toContain("langfuse");
    expect(checkTrace(spans, { gets: ["langfuse"] })).toEqual([]);
  });

  test("of Phoenix or MLflow makes its views count a request once and show what was said", async () => {
    const [phoenix, mlflow] = await Promise.all([
      startReceiver(["content", "phoenix"]),
      startReceiver(["content", "mlflow"]),
    ]);
    const destinations = [
      { name: "p", preset: "phoenix", endpoint: phoenix.url, content: "full" },
      {
        name: "m",
        preset: "mlflow",
        endpoint: mlflow.url,
        headers: { "x-mlflow-experiment-id": "1" },
        content: "full",
        encoding: "protobuf",
      },
    ];
    const { canary, traceId } = await talk(await tenantWith({ content: "full", destinations }));
    const inPhoenix = await phoenix.waitForTrace(traceId);
    const inMlflow = await mlflow.waitForTrace(traceId);
    for (const receiver of [phoenix, mlflow])
      expect(receiver.exports[0]?.headers["content-type"]).toBe("application/x-protobuf");
    const kinds = inPhoenix.map(({ attributes }) => attributes["openinference.span.kind"] ?? "a call");
    expect(kinds.filter((kind) => kind !== "CHAIN")).toEqual(["a call"]);
    const root = (spans: readonly FlatSpan[]) => spans.find(({ kind }) => kind === 2)?.attributes ?? {};
    expect(root(inPhoenix)).toMatchObject({
      "input.value": expect.stringContaining(canary),
      "output.value": expect.stringContaining(canary),
    });
    expect(root(inMlflow)).toMatchObject({
      "mlflow.spanType": "CHAIN",
      "gen_ai.input.messages": expect.stringContaining(canary),
      "gen_ai.output.messages": expect.stringContaining(canary),
    });
  });

  test("is checked when the record is written, and its secret is never shown", async () => {
    const { id } = await tenantWith({});
    const put = (headers: Readonly<Record<string, string>>) =>
      gateway.admin("PUT", `/admin/tenants/${id}`, {
        tracing: { destinations: [{ name: "l", preset: "langfuse", headers }] },
      });
    const refused = await put({ authorization: "Bearer canary-sk" });
    expect(refused.status).toBe(400);
    const problem = await refused.text();
    expect(problem).toContain("tracing.destinations[0].headers.authorization");
    expect(problem).not.toContain("canary-sk");
    expect((await put({ authorization: basic })).status).toBe(200);
    const shown = await gateway.admin("GET", `/admin/tenants/${id}`);
    const record: unknown = await shown.json();
    expect(JSON.stringify(record)).not.toContain(basic);
    // What GET shows, PUT takes: the mask stands for the secret that is there.
    expect((await gateway.admin("PUT", `/admin/tenants/${id}`, record)).status).toBe(200);
  });
});

describe("a test span", () => {
  const probe = async (id: string, name: string) => {
    const response = await gateway.admin("POST", `/admin/tenants/${id}/destinations/${name}/test`);
    return { code: response.status, report: await response.json() };
  };

  test("arrives, and the answer says where to look for it", async () => {
    const own = await startReceiver();
    const headers = { authorization: "Bearer own" };
    const { id } = await tenantWith({ destinations: [{ name: "own", endpoint: own.url, headers }] });
    const { code, report } = await probe(id, "own");
    expect([code, report]).toEqual([
      200,
      { delivered: true, status: 200, ms: expect.any(Number), error: null, traceId: expect.any(String) },
    ]);
    expect(own.exports.map((each) => each.headers.authorization)).toEqual(["Bearer own"]);
    expect(own.spans()).toMatchObject([
      { name: "gateway.destination.test", traceId: Reflect.get(Object(report), "traceId") },
    ]);
    expect(own.exports.flatMap(({ json }) => checkOtlp(json))).toEqual([]);
  });

  test("says what the destination said when it did not take it, and where there is none", async () => {
    const own = await startReceiver();
    own.behave({ status: 401 });
    const destinations = [
      { name: "own", endpoint: own.url },
      { name: "nobody", endpoint: "http://127.0.0.1:9" },
    ];
    const { id } = await tenantWith({ destinations });
    expect((await probe(id, "own")).report).toMatchObject({
      delivered: false,
      status: 401,
      error: "http_401",
    });
    expect((await probe(id, "nobody")).report).toMatchObject({ status: null, error: "network" });
    expect((await probe(id, "unknown")).code).toBe(404);
    expect((await probe("nobody", "own")).code).toBe(404);
  });
});
