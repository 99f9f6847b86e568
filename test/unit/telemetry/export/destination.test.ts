import { describe, expect, test } from "vitest";
import { probeDestination } from "../../../../src/telemetry/export/destination-probe.ts";
import { operatorDestination, toDestination } from "../../../../src/telemetry/export/destination.ts";
import { PRESET_NAMES, PRESETS } from "../../../../src/tenants/records/destination-presets.ts";
import type { OpenDestination } from "../../../../src/tenants/records/open-records.ts";
import { parseTenant } from "../../../../src/tenants/records/parse-record.ts";
import { checkOtlp } from "../../../support/checkers/otlp-proto.ts";
import { to } from "../../../support/fakes/fake-exporter.ts";
import { NOON, startTrace } from "../../../support/fakes/fake-trace.ts";

const RULES = { allowPrivateUpstreams: false, defaultBaseUrl: () => undefined };
const OPEN_RULES = { allowPrivateUpstreams: false, isContentAllowed: true };
const basic = (pair: string): string => `Basic ${btoa(pair)}`;

/** What an operator would write, each right. */
const RIGHT: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  otlp: { endpoint: "https://collector.example" },
  jaeger: { endpoint: "https://jaeger.example:4318" },
  "grafana-cloud": {
    endpoint: "https://otlp-gateway-prod-eu-west-2.grafana.net/otlp",
    headers: { Authorization: basic("123456:glc_abc") },
  },
  honeycomb: { headers: { "x-honeycomb-team": "hcaik_0123" } },
  datadog: { headers: { "DD-API-KEY": "0123456789abcdef" } },
  "new-relic": { headers: { "api-key": "0123NRAL" } },
  langfuse: { headers: { authorization: basic("pk-lf-1:sk-lf-2") } },
  phoenix: { endpoint: "https://phoenix.example" },
  mlflow: { endpoint: "https://mlflow.example", headers: { "X-MLflow-Experiment-Id": "1" } },
};

function write(destination: Readonly<Record<string, unknown>>) {
  const record = parseTenant({ tracing: { destinations: [{ name: "d", ...destination }] } }, "acme", RULES);
  const [written] = record.tracing.destinations;
  if (written === undefined) throw new Error("nothing was written");
  return written;
}

const opened = (preset: string, about: Readonly<Record<string, unknown>> = {}): OpenDestination =>
  write({ preset, ...RIGHT[preset], ...about });

describe("a preset", () => {
  test.each(PRESET_NAMES)("%s takes what its vendor documents", (preset) => {
    expect(write({ preset, ...RIGHT[preset] })).toMatchObject({ preset, content: "off", gzip: false });
  });

  test.each<[string, Readonly<Record<string, unknown>>, string]>([
    ["otlp", {}, "endpoint"],
    ["grafana-cloud", { headers: { authorization: basic("1:glc_a") } }, "endpoint"],
    ["grafana-cloud", { endpoint: "https://g.example", headers: {} }, "headers.authorization"],
    [
      "grafana-cloud",
      { endpoint: "https://g.example", headers: { authorization: "Bearer glc_a" } },
      "headers.authorization",
    ],
    [
      "grafana-cloud",
      { endpoint: "https://g.example", headers: { authorization: basic("me:glc_a") } },
      "headers.authorization",
    ],
    ["honeycomb", { headers: { authorization: "x" } }, "headers.x-honeycomb-team"],
    ["honeycomb", { headers: { "x-honeycomb-team": "Bearer abc" } }, "headers.x-honeycomb-team"],
    ["datadog", {}, "headers.dd-api-key"],
    ["new-relic", { headers: { "api-key": " " } }, "headers.api-key"],
    ["langfuse", { headers: { authorization: basic("sk-lf-2:pk-lf-1") } }, "headers.authorization"],
    ["langfuse", { headers: { authorization: "Basic not base64!" } }, "headers.authorization"],
    ["phoenix", {}, "endpoint"],
    ["mlflow", { endpoint: "https://m.example" }, "headers.x-mlflow-experiment-id"],
    [
      "mlflow",
      { endpoint: "https://m.example", headers: { "x-mlflow-experiment-id": "Default" } },
      "headers.x-mlflow-experiment-id",
    ],
    ["otlp", { endpoint: "https://c.example", encoding: "grpc" }, "encoding"],
    ["splunk", { endpoint: "https://s.example" }, "preset"],
    ["otlp", { endpoint: "https://c.example", headers: { Host: "evil.example" } }, "headers.Host"],
    [
      "otlp",
      { endpoint: "https://c.example", headers: { "content-encoding": "br" } },
      "headers.content-encoding",
    ],
    ["otlp", { endpoint: "http://169.254.169.254/latest" }, "endpoint"],
    ["otlp", { endpoint: "https://c.example", content: "some" }, "content"],
  ])("%s refuses %j and names the field", (preset, fields, field) => {
    expect(() => write({ preset, ...fields })).toThrow(
      expect.objectContaining({ details: { param: `tracing.destinations[0].${field}` } }),
    );
  });

  test("does not quote a header's value in what it says", () => {
    const headers = { authorization: "Bearer canary-0123456789" };
    expect(() => write({ preset: "langfuse", headers })).toThrow(/^(?!.*canary)/);
  });

  test("takes a mask for the secret it stands for", () => {
    expect(() => write({ preset: "langfuse", headers: { authorization: "Bas…MQ==" } })).not.toThrow();
  });
});

describe("a destination that is sent to", () => {
  test.each(PRESET_NAMES)("%s has an endpoint for traces and the headers its vendor wants", (preset) => {
    const destination = toDestination(opened(preset), "off", OPEN_RULES);
    expect(destination).toMatchObject({
      url: expect.stringMatching(/^https:.*\/v1\/traces$/),
      headers: expect.objectContaining(PRESETS[preset].extraHeaders),
    });
  });

  test("keeps a header of the record's own before the preset's", () => {
    const headers = { "dd-api-key": "k", "dd-otlp-source": "datadog" };
    expect(toDestination(opened("datadog", { headers }), "off", OPEN_RULES)).toMatchObject({ headers });
  });

  test.each([
    ["full", "full", true, "full"],
    ["full", "redacted", true, "redacted"],
    ["redacted", "full", true, "redacted"],
    ["off", "full", true, "off"],
    ["full", "off", true, "off"],
    ["full", "full", false, "off"],
  ] as const)(
    "gets of content %s what a tenant with %s lets it, with the switch %s: %s",
    (content, tenantContent, isContentAllowed, expected) => {
      const rules = { ...OPEN_RULES, isContentAllowed };
      expect(toDestination(opened("otlp", { content }), tenantContent, rules)).toMatchObject({
        content: expected,
      });
    },
  );

  test("is none where the record is older than the deployment's rules, or can't be opened", () => {
    const local = { ...opened("otlp"), endpoint: "http://127.0.0.1:4318" };
    expect(toDestination(local, "off", OPEN_RULES)).toEqual({ name: "d", fault: "endpoint_refused" });
    const closed = { name: "d", fault: "credential" } as const;
    expect(toDestination(closed, "off", OPEN_RULES)).toEqual(closed);
  });

  test("of the operator gets no content at all", () => {
    const settings = { otlpEndpoint: "http://127.0.0.1:4318", otlpHeaders: { a: "b" } };
    expect(operatorDestination(settings)).toMatchObject({
      url: "http://127.0.0.1:4318/v1/traces",
      headers: { a: "b" },
      content: "off",
    });
    expect(operatorDestination({ otlpEndpoint: undefined, otlpHeaders: {} })).toBeUndefined();
  });
});

describe("a test span", () => {
  const RESOURCE = { serviceName: "headgate", serviceVersion: "0.1.0" };

  async function probe(answer: () => Promise<Response>) {
    let nowMs = NOON;
    const bodies: string[] = [];
    const ports = {
      fetch: async (_: string, { body }: RequestInit) => {
        bodies.push(body instanceof Uint8Array ? new TextDecoder().decode(body) : "");
        nowMs += 12;
        return answer();
      },
      clock: () => nowMs,
      timeoutSignal: () => new AbortController().signal,
    };
    const trace = await startTrace({ name: "gateway.destination.test", kind: "internal" }).finish();
    return { report: await probeDestination(to("d"), trace, RESOURCE, ports), bodies, trace };
  }

  test("says that it was delivered, and what to look for", async () => {
    const { report, bodies, trace } = await probe(async () => Response.json({}));
    expect(report).toEqual({ delivered: true, status: 200, ms: 12, error: null, traceId: trace.traceId });
    expect(checkOtlp(JSON.parse(bodies[0] ?? ""))).toEqual([]);
    expect(bodies).toHaveLength(1);
  });

  test.each<[string, () => Promise<Response>, object]>([
    ["refused it", async () => new Response(null, { status: 401 }), { status: 401, error: "http_401" }],
    ["is busy", async () => new Response(null, { status: 503 }), { status: 503, error: "http_503" }],
    ["is not there", () => Promise.reject(new Error("refused")), { status: null, error: "network" }],
  ])("says that the destination %s, after one try", async (_, answer, expected) => {
    const { report, bodies } = await probe(answer);
    expect(report).toMatchObject({ delivered: false, ...expected });
    expect(bodies).toHaveLength(1);
  });
});
