// The Jaeger facade as Grafana's Jaeger data source uses it: health by /services, drop-downs, search, one trace; and the download.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TEST_VARS } from "../../support/clients/admin-client.ts";
import { checkOtlp } from "../../support/checkers/otlp-proto.ts";
import { flattenSpans } from "../../support/checkers/otlp-spans.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import { checkTrace } from "../../support/checkers/trace-invariants.ts";

let stack: GatewayStack;
let tenant: TestTenant;
let sound: string;
let okId: string;
let failedId: string;
/** What a gateway that has seen nothing yet says to Grafana's first questions. */
const firstAnswers: (readonly unknown[] | null)[] = [];

/** What Grafana reads of an answer; `data` is an array or null. */
type Answer = {
  readonly data: readonly unknown[] | null;
  readonly total: number;
  readonly limit: number;
  readonly offset: number;
  readonly errors: readonly { readonly code: number; readonly msg: string }[] | null;
};
type Trace = {
  readonly traceID: string;
  readonly spans: readonly {
    readonly spanID: string;
    readonly operationName: string;
    readonly startTime: number;
    readonly duration: number;
    readonly processID: string;
    readonly references: readonly { readonly refType: string; readonly spanID: string }[];
    readonly tags: readonly { readonly key: string; readonly type: string; readonly value: unknown }[];
  }[];
  readonly processes: Readonly<Record<string, { readonly serviceName: string }>>;
};

const TEST_ADMIN_TOKEN = TEST_VARS["ADMIN_TOKEN"] ?? "";
const BASIC = `Basic ${btoa(`admin:${TEST_ADMIN_TOKEN}`)}`;

async function ask(
  path: string,
  parameters: Readonly<Record<string, string>> = {},
): Promise<{ readonly status: number; readonly body: Answer }> {
  const separator = path.includes("?") ? "" : "?";
  const url = `${stack.gateway.url}/jaeger/api${path}${separator}${new URLSearchParams(parameters).toString()}`;
  const response = await fetch(url, { headers: { authorization: BASIC } });
  expect(response.headers.get("content-type")).toContain("application/json");
  // The shape is what these tests are about: each looks at the fields it relies on.
  const body = await response.json<Answer>();
  return { status: response.status, body };
}

async function search(parameters: Readonly<Record<string, string>>): Promise<readonly Trace[]> {
  const tags = { "gateway.tenant.id": tenant.id, ...JSON.parse(parameters["tags"] ?? "{}") };
  const { status, body } = await ask("/traces", {
    service: "headgate",
    limit: "20",
    ...parameters,
    tags: JSON.stringify(tags),
  });
  expect([status, body.errors]).toEqual([200, null]);
  // As above.
  return (body.data ?? []) as readonly Trace[];
}

const idsOf = (traces: readonly Trace[]): readonly string[] => traces.map(({ traceID }) => traceID);

async function chat(model: string): Promise<string> {
  const response = await fetch(`${stack.gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${tenant.key}`, "content-type": "application/json" },
    body: JSON.stringify({ model, messages: [{ role: "user", content: "Hello?" }] }),
  });
  await response.text();
  const traceId = response.headers.get("x-trace-id") ?? "";
  await stack.otlp.waitForTrace(traceId);
  return traceId;
}

beforeAll(async () => {
  stack = await startGatewayStack();
  const paths = ["/services", "/services/headgate/operations", "/traces"];
  for (const path of paths) firstAnswers.push((await ask(path, { service: "headgate" })).body.data);
  tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url });
  sound = uniqueModel();
  const failing = uniqueModel();
  stack.upstream.script(sound, { kind: "answer", text: "x", delayMs: 120 });
  stack.upstream.script(failing, { kind: "error", status: 400 });
  okId = await chat(`up/${sound}`);
  failedId = await chat(`up/${failing}`);
});
afterAll(() => stack.close());

describe("the Jaeger facade", () => {
  test("answers in Jaeger's envelope", async () => {
    const { body } = await ask("/services");
    expect(body).toEqual({ data: ["headgate"], total: 1, limit: 0, offset: 0, errors: null });
    expect((await ask("/dependencies", { endTs: "1", lookback: "1" })).body.data).toEqual([]);
  });

  test("names its service and its operations before the first request", () => {
    const [services, operations, traces] = firstAnswers;
    expect(services).toEqual(["headgate"]);
    expect(operations).toContain("gateway.queue.wait");
    expect(traces).toEqual([]);
  });

  test("lists the operations, by both paths, and those of no other service", async () => {
    const { body } = await ask("/services/headgate/operations");
    expect(body.data).toEqual(
      expect.arrayContaining(["POST /v1/chat/completions", `chat ${sound}`, "gateway.admission"]),
    );
    const servers = await ask("/operations", { service: "headgate", spanKind: "server" });
    expect(servers.body.data).toContainEqual({ name: "POST /v1/chat/completions", spanKind: "server" });
    expect(servers.body.data).not.toContainEqual(expect.objectContaining({ spanKind: "client" }));
    expect((await ask("/services/other/operations")).body.data).toEqual([]);
  });

  test("gives one trace whole: ids, parents, times in µs, tags by type", async () => {
    const { status, body } = await ask(`/traces/${okId}`);
    expect([status, body.data?.length]).toEqual([200, 1]);
    // As above.
    const [trace] = body.data as readonly Trace[];
    const sent = stack.otlp.spansOf(okId);
    expect(trace?.spans).toHaveLength(sent.length);
    for (const span of trace?.spans ?? []) {
      const original = sent.find(({ spanId }) => spanId === span.spanID);
      expect(span.operationName).toBe(original?.name);
      expect(span.startTime).toBe(Number(BigInt(original?.startTimeUnixNano ?? 0) / 1000n));
      const parent = span.references.find(({ refType }) => refType === "CHILD_OF");
      expect(parent?.spanID).toBe(original?.parentSpanId);
      expect(trace?.processes[span.processID]?.serviceName).toBe("headgate");
    }
    const root = trace?.spans.find(({ references }) => references.length === 0);
    expect(root?.duration).toBeGreaterThanOrEqual(120_000);
    expect(root?.tags).toContainEqual({ key: "http.response.status_code", type: "int64", value: 200 });
  });

  test("answers 404 for a trace that is not there, and 400 for what is no id", async () => {
    const missing = await ask(`/traces/${"1".repeat(32)}`);
    expect([missing.status, missing.body.data, missing.body.errors]).toEqual([
      404,
      null,
      [{ code: 404, msg: "trace not found" }],
    ]);
    expect((await ask("/traces/not-an-id")).status).toBe(400);
    expect((await ask(`/traces/${okId.toUpperCase()}`)).status).toBe(200);
  });

  test.each<[string, () => Readonly<Record<string, string>>, () => readonly string[]]>([
    ["nothing: the newest first", () => ({}), () => [failedId, okId]],
    ["a status", () => ({ tags: '{"http.status_code":"400"}' }), () => [failedId]],
    ["an error", () => ({ tags: '{"error":"true"}' }), () => [failedId]],
    ["no error", () => ({ tags: '{"error":"false"}' }), () => [okId]],
    ["a model", () => ({ tags: JSON.stringify({ model: sound }) }), () => [okId]],
    [
      "a tag of a span",
      () => ({ tags: '{"gateway.attempt.outcome":"upstream_rejected"}' }),
      () => [failedId],
    ],
    ["an operation", () => ({ operation: `chat ${sound}` }), () => [okId]],
    ["a least duration", () => ({ minDuration: "100ms" }), () => [okId]],
    ["a longest duration", () => ({ maxDuration: "100ms" }), () => [failedId]],
    ["a time that is over", () => ({ start: "0", end: "1000000" }), () => []],
    ["the last hour", () => ({ start: `${(Date.now() - 3_600_000) * 1000}` }), () => [failedId, okId]],
    ["a limit", () => ({ limit: "1" }), () => [failedId]],
    ["another service", () => ({ service: "other" }), () => []],
  ])("searches by %s", async (_, parameters, expected) => {
    expect(idsOf(await search(parameters()))).toEqual(expected());
  });

  test("names the parameter it can't read, in Jaeger's envelope", async () => {
    const { status, body } = await ask("/traces", { service: "headgate", minDuration: "soon" });
    expect([status, body.data, body.errors?.[0]?.code]).toEqual([400, null, 400]);
    expect(body.errors?.[0]?.msg).toContain("minDuration");
    expect((await ask("/traces")).status).toBe(400);
    expect((await ask("/operations")).status).toBe(400);
  });

  test("gives several traces by their ids, without a service, as Jaeger's own UI asks", async () => {
    const { status, body } = await ask(`/traces?traceID=${okId}&traceID=${"0".repeat(31)}1&`);
    expect(status).toBe(200);
    expect(body.data).toMatchObject([{ traceID: okId }]);
    expect((await ask("/traces?traceID=nothing&")).status).toBe(400);
  });

  test("says in Jaeger's envelope that version 3 is not served", async () => {
    const { status, body } = await ask("/v3/services");
    expect([status, body.data, body.errors?.[0]?.code]).toEqual([404, null, 404]);
  });

  test("takes the admin token as a bearer or as basic auth's password, and nothing else", async () => {
    const statusWith = async (authorization?: string): Promise<number> => {
      const headers = authorization === undefined ? {} : { authorization };
      return (await fetch(`${stack.gateway.url}/jaeger/api/services`, { headers })).status;
    };
    expect(await statusWith(`Bearer ${TEST_ADMIN_TOKEN}`)).toBe(200);
    expect(await statusWith(BASIC)).toBe(200);
    expect(await statusWith()).toBe(401);
    expect(await statusWith(`Basic ${btoa("admin:wrong")}`)).toBe(401);
    expect(await statusWith(`Bearer ${tenant.key}`)).toBe(401);
  });
});

test("a trace can be downloaded as OTLP/JSON", async () => {
  const response = await stack.gateway.admin("GET", `/admin/traces/${okId}?download=1`);
  expect(response.headers.get("content-disposition")).toBe(`attachment; filename="trace-${okId}.json"`);
  const body: unknown = await response.json();
  expect(checkOtlp(body)).toEqual([]);
  expect(checkTrace(flattenSpans(body))).toEqual([]);
  const plain = await stack.gateway.admin("GET", `/admin/traces/${okId}`);
  expect(plain.headers.get("content-disposition")).toBeNull();
  expect(await plain.json()).toEqual(body);
});
