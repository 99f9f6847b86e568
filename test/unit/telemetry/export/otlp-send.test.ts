import { gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { retryDelayMs } from "../../../../src/telemetry/export/export-retry.ts";
import {
  sendExport,
  sendPayload,
  tracesUrl,
  type Destination,
  type SendPorts,
} from "../../../../src/telemetry/export/otlp-send.ts";
import { protobufToJson } from "../../../support/checkers/otlp-proto.ts";
import { NOON } from "../../../support/fakes/fake-trace.ts";

const DESTINATION: Destination = {
  name: "grafana",
  url: "https://otlp.example/v1/traces",
  headers: { authorization: "Basic c2VjcmV0" },
  gzip: false,
};

type Answer = Response | Error | (() => Promise<Response>);

/** A network that gives these answers, and time that only sleeping moves. */
function network(...answers: readonly Answer[]) {
  const requests: (RequestInit & { readonly url: string })[] = [];
  const bytes: unknown[] = [];
  const sleeps: number[] = [];
  let nowMs = NOON;
  const ports: SendPorts = {
    async fetch(url, init) {
      const answer = answers[requests.length];
      requests.push({
        url,
        ...init,
        body: init.body instanceof Uint8Array ? textAttribute(init.body) : null,
      });
      bytes.push(init.body);
      if (answer === undefined) throw new Error("one request too many");
      if (answer instanceof Error) throw answer;
      return typeof answer === "function" ? answer() : answer;
    },
    clock: () => nowMs,
    async sleep(ms) {
      sleeps.push(ms);
      nowMs += ms;
    },
    random: () => 0.5,
    timeoutSignal: () => new AbortController().signal,
  };
  return { ports, requests, bytes, sleeps, pass: (ms: number) => void (nowMs += ms) };
}

const textAttribute = (body: Uint8Array): string => new TextDecoder().decode(body);

const status = (code: number, headers: Record<string, string> = {}) =>
  new Response("no", { status: code, headers });
const OK = () => Response.json({ partialSuccess: {} });

describe("an export", () => {
  test("posts the body as it is, with the destination's headers", async () => {
    const { ports, requests } = network(OK());
    expect(await sendExport(DESTINATION, "{}", ports)).toEqual({ kind: "delivered", retries: 0 });
    expect(requests).toEqual([
      expect.objectContaining({
        url: "https://otlp.example/v1/traces",
        method: "POST",
        body: "{}",
        redirect: "manual",
        headers: { authorization: "Basic c2VjcmV0", "content-type": "application/json" },
      }),
    ]);
  });

  test.each([200, 202])("takes %i for success", async (code) => {
    const { ports } = network(new Response("{}", { status: code }));
    expect((await sendExport(DESTINATION, "{}", ports)).kind).toBe("delivered");
  });

  test("takes an empty 204 and an answer that is not JSON for success", async () => {
    const { ports } = network(new Response(null, { status: 204 }), new Response("rejectedSpans? <html>"));
    expect((await sendExport(DESTINATION, "{}", ports)).kind).toBe("delivered");
    expect((await sendExport(DESTINATION, "{}", ports)).kind).toBe("delivered");
  });

  test.each([429, 502, 503, 504])("is sent again after a %i, byte for byte", async (code) => {
    const { ports, requests } = network(status(code), status(code), OK());
    expect(await sendExport(DESTINATION, '{"a":1}', ports)).toEqual({ kind: "delivered", retries: 2 });
    expect(requests.map(({ body }) => body)).toEqual(['{"a":1}', '{"a":1}', '{"a":1}']);
  });

  test("is sent again after a network fault", async () => {
    const { ports } = network(new TypeError("connection lost"), OK());
    expect(await sendExport(DESTINATION, "{}", ports)).toEqual({ kind: "delivered", retries: 1 });
  });

  test.each([400, 401, 403, 404, 413, 500, 501])("is not sent again after a %i", async (code) => {
    const { ports } = network(status(code));
    expect(await sendExport(DESTINATION, "{}", ports)).toEqual({
      kind: "undelivered",
      reason: `http_${code}`,
      mayRetry: false,
      retries: 0,
    });
  });

  test("does not follow a redirect with its credential", async () => {
    const { ports } = network(status(307, { location: "https://evil.example" }));
    expect(await sendExport(DESTINATION, "{}", ports)).toMatchObject({ reason: "redirect", mayRetry: false });
  });

  test.each([{ rejectedSpans: "3" }, { rejectedSpans: 3 }])(
    "a partial success %j is final",
    async (partialSuccess) => {
      const { ports } = network(Response.json({ partialSuccess }));
      expect(await sendExport(DESTINATION, "{}", ports)).toMatchObject({
        reason: "partial_success",
        mayRetry: false,
      });
    },
  );

  test("a partial success that rejected nothing is a success", async () => {
    const { ports } = network(
      Response.json({ partialSuccess: { rejectedSpans: "0", errorMessage: "a warning" } }),
    );
    expect((await sendExport(DESTINATION, "{}", ports)).kind).toBe("delivered");
  });

  test("waits as long as Retry-After says, then some", async () => {
    const { ports, sleeps } = network(status(503, { "retry-after": "3" }), OK());
    await sendExport(DESTINATION, "{}", ports);
    expect(sleeps).toEqual([3250]);
  });

  test("gives up at once when Retry-After lies beyond its 5 s, and says how long that is", async () => {
    const { ports, sleeps } = network(status(503, { "retry-after": "60" }));
    expect(await sendExport(DESTINATION, "{}", ports)).toMatchObject({
      reason: "http_503",
      mayRetry: true,
      retryAfterMs: 60_000,
      retries: 0,
    });
    expect(sleeps).toEqual([]);
  });

  test("begins its last try within 5 s on a receiver that stays down", async () => {
    const { ports, sleeps } = network(...Array.from({ length: 50 }, () => status(503)));
    expect(await sendExport(DESTINATION, "{}", ports)).toMatchObject({
      kind: "undelivered",
      reason: "http_503",
    });
    expect(sleeps.reduce((total, ms) => total + ms, 0)).toBeLessThan(5000);
    expect(sleeps.length).toBeGreaterThan(2);
  });

  test("calls a try that ran into its time limit a timeout", async () => {
    const setup = network(async () => {
      setup.pass(25_000);
      throw new DOMException("late", "TimeoutError");
    });
    const ports = { ...setup.ports, timeoutSignal: () => AbortSignal.abort() };
    expect(await sendExport(DESTINATION, "{}", ports)).toMatchObject({ reason: "timeout", mayRetry: true });
  });

  test("is packed only where the destination asks, and only from 4 KB", async () => {
    const big = JSON.stringify("x".repeat(5000));
    const { ports, requests, bytes } = network(OK(), OK(), OK());
    await sendExport({ ...DESTINATION, gzip: true }, big, ports);
    await sendExport({ ...DESTINATION, gzip: true }, "{}", ports);
    await sendExport(DESTINATION, big, ports);
    const [packed, small, plain] = requests;
    expect(packed?.headers).toHaveProperty("content-encoding", "gzip");
    expect(gunzipSync(bytes[0] as Uint8Array).toString()).toBe(big);
    expect(small?.headers).not.toHaveProperty("content-encoding");
    expect([small?.body, plain?.body]).toEqual(["{}", big]);
  });

  test("reads no more of an endless answer than it needs", async () => {
    let chunks = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => (chunks++, controller.enqueue(new Uint8Array(8192).fill(32))),
    });
    const { ports } = network(new Response(endless));
    expect((await sendExport(DESTINATION, "{}", ports)).kind).toBe("delivered");
    expect(chunks).toBeLessThan(12);
  });
});

describe("an export as Protobuf", () => {
  const protobuf: Destination = { ...DESTINATION, encoding: "protobuf" };
  const span = { traceId: "4bf92f3577b34da6a3ce929d0e0e4736", name: "x".repeat(5000), kind: 2 };
  const json = JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] });

  test("says so, and is packed where the destination asks", async () => {
    const { ports, requests, bytes } = network(status(503), new Response(null), new Response(null));
    await sendExport(protobuf, json, ports);
    await sendExport({ ...protobuf, gzip: true }, json, ports);
    const written = bytes.map((body) => Buffer.from(body as Uint8Array));
    expect(protobufToJson(written[0] ?? Buffer.of())).toBe(json);
    expect(written[1]).toEqual(written[0]);
    expect(gunzipSync(written[2] ?? "")).toEqual(written[0]);
    expect(requests.map(({ headers }) => headers)).toEqual([
      { ...DESTINATION.headers, "content-type": "application/x-protobuf" },
      { ...DESTINATION.headers, "content-type": "application/x-protobuf" },
      { ...DESTINATION.headers, "content-type": "application/x-protobuf", "content-encoding": "gzip" },
    ]);
  });

  test("is written from what waits packed", async () => {
    const { ports, bytes } = network(new Response(null));
    const waiting = { body: new Uint8Array(gzipSync(json)), isGzip: true };
    expect((await sendPayload(protobuf, waiting, ports)).kind).toBe("delivered");
    expect(protobufToJson(bytes[0] as Uint8Array)).toBe(json);
  });

  test.each<[string, readonly number[], boolean]>([
    ["an empty answer", [], true],
    ["a partial success without spans", [0x0a, 0x00], true],
    ["a warning of eight characters", [0x0a, 0x0a, 0x12, 0x08, ...Buffer.from("careful!")], true],
    ["refused spans", [0x0a, 0x02, 0x08, 0x03], false],
    [
      "refused spans with a long word",
      [0x0a, 0xcc, 0x01, 0x08, 0x80, 0x01, 0x12, 0xc6, 0x01, ...Array<number>(198).fill(0x61)],
      false,
    ],
    ["none refused, in so many words", [0x0a, 0x02, 0x08, 0x00], true],
  ])("reads %s", async (_, answer, isDelivered) => {
    const { ports } = network(new Response(Uint8Array.from(answer)));
    const delivery = await sendExport(protobuf, json, ports);
    expect(delivery).toMatchObject(
      isDelivered ? { kind: "delivered" } : { reason: "partial_success", mayRetry: false },
    );
  });
});

test.each([
  ["http://localhost:4318", "http://localhost:4318/v1/traces"],
  ["http://localhost:4318/", "http://localhost:4318/v1/traces"],
  ["https://g.example/otlp", "https://g.example/otlp/v1/traces"],
  ["https://g.example/otlp/v1/traces", "https://g.example/otlp/v1/traces"],
  ["https://g.example/otlp/v1/traces/", "https://g.example/otlp/v1/traces"],
  ["https://g.example/otlp?x=1", "https://g.example/otlp/v1/traces?x=1"],
])("the traces endpoint of %s is %s", (endpoint, url) => {
  expect(tracesUrl(endpoint)).toBe(url);
});

test("the pause doubles up to 8 s, and chance may make it any shorter", () => {
  const longest = [0, 1, 2, 3, 4, 5, 6].map((attempt) => retryDelayMs(attempt, undefined, 1));
  expect(longest).toEqual([500, 1000, 2000, 4000, 8000, 8000, 8000]);
  expect(retryDelayMs(3, undefined, 0)).toBe(0);
});
