// The pipeline against upstreams that fail: what is retried, what is called next, what the client gets, and that the lease goes back
// exactly once whatever happens.
import { describe, expect, test } from "vitest";
import { promptTokens } from "../../../src/pricing/estimate/request-tokens.ts";
import { createMeasuredTargets } from "../../../src/targets/targets.ts";
import type { FinishedTrace } from "../../../src/telemetry/trace/trace.ts";
import {
  createFakeGateway,
  type FakeGateway,
  type FakeGatewayOptions,
  spanNamed,
  spansNamed,
  UPSTREAM_SECRET,
} from "../../support/fakes/fake-gateway.ts";
import { fakeBundle } from "../../support/fakes/fake-tenant.ts";
import { completion, failure, hang } from "../../support/fakes/fake-upstream.ts";
import { checkTrace } from "../../support/checkers/trace-invariants.ts";
import { asFlat } from "../../support/checkers/flat-trace.ts";

const TWO_TARGETS = {
  chat: {
    targets: [
      { provider: "a", model: "one" },
      { provider: "b", model: "two" },
    ],
    retries: { maxAttempts: 2 },
  },
};

/** A request to a route over `a/one`, then `b/two`, each asked at most twice. */
function overTwo(options: FakeGatewayOptions): FakeGateway {
  return createFakeGateway({
    bundle: fakeBundle({ routes: TWO_TARGETS }),
    chat: { model: "chat" },
    ...options,
  });
}

const hostsAsked = ({ upstream }: FakeGateway) =>
  upstream.calls.map(({ url }) => new URL(url).hostname.at(0));

const outcomes = (trace: FinishedTrace) =>
  trace.spans
    .filter(({ attributes }) => attributes["gateway.attempt.number"] !== undefined)
    .map(({ attributes }) => [
      attributes["gateway.attempt.number"],
      attributes["gateway.attempt.reason"],
      attributes["gateway.attempt.outcome"],
      attributes["gateway.attempt.left_for"],
    ]);

/** The fake gateway's price of an input token. */
const MICRO_USD_PER_INPUT_TOKEN = 0.15;

/** The lease went back once, with that outcome and no usage but these prompt tokens, and nothing of it is still running. */
function expectSettledInVain(
  gateway: FakeGateway,
  outcome: "error" | "client_disconnected",
  inputTokens = 0,
): void {
  expect(gateway.queue.settlements).toEqual([
    {
      requestId: "req_1",
      keyId: "key-1",
      leaseId: "lease-1",
      outcome,
      inputTokens,
      outputTokens: 0,
      costMicroUsd: inputTokens * MICRO_USD_PER_INPUT_TOKEN,
      usage: expect.any(Array),
      durationMs: expect.any(Number),
    },
  ]);
  expect(gateway.queue.heartbeats).toBe(0);
}

describe("an upstream that fails once", () => {
  test("is asked again after a pause, and the second answer counts", async () => {
    const gateway = overTwo({ replies: [failure(500), completion()] });
    expect((await gateway.generate()).body).toContain("Hello");
    const trace = await gateway.finish();
    expect(hostsAsked(gateway)).toEqual(["a", "a"]);
    expect(gateway.sleeps).toEqual([125]);
    expect(gateway.facts).toMatchObject({ outcome: "ok", attempts: 2, usedFallback: false, target: "a/one" });
    expect(gateway.queue.asks).toHaveLength(1);
    expect(gateway.queue.settlements).toEqual([
      expect.objectContaining({ outcome: "ok", inputTokens: 1000 }),
    ]);
    expect(checkTrace(asFlat(trace))).toEqual([]);
  });

  test("leaves a span for each attempt, and the reason on the root", async () => {
    const gateway = overTwo({ replies: [failure(503), completion()] });
    await gateway.generate();
    const trace = await gateway.finish();
    expect(outcomes(trace)).toEqual([
      [1, "initial", "upstream_overloaded", "retry"],
      [2, "retry", "ok", undefined],
    ]);
    const [first, second] = spansNamed(trace, "chat one");
    expect(first).toMatchObject({
      isError: true,
      attributes: { "error.type": "503", "http.response.status_code": 503 },
    });
    expect(second?.attributes["http.request.resend_count"]).toBe(1);
    expect(second?.startAt).toBe((first?.endAt ?? 0) + 125);
    expect(trace.root.events).toEqual([
      {
        name: "gateway.retry",
        at: first?.endAt,
        attributes: {
          "error.type": "upstream_overloaded",
          "http.response.status_code": 503,
          "gateway.backoff_ms": 125,
        },
      },
    ]);
    expect(trace.root.isError).toBe(false);
  });

  test("is waited for as long as it asks", async () => {
    const gateway = overTwo({
      replies: [failure(429, "slow down", { "retry-after-ms": "1700" }), completion()],
    });
    await gateway.generate();
    expect(gateway.sleeps).toEqual([1700]);
    expect(hostsAsked(gateway)).toEqual(["a", "a"]);
  });
});

describe("an upstream that goes on failing", () => {
  test("is left for the next target, which answers", async () => {
    const gateway = overTwo({ replies: [failure(500), failure(500), completion()] });
    await gateway.generate();
    const trace = await gateway.finish();
    expect(hostsAsked(gateway)).toEqual(["a", "a", "b"]);
    expect(gateway.facts).toMatchObject({ attempts: 3, usedFallback: true, target: "b/two", outcome: "ok" });
    expect(outcomes(trace)).toEqual([
      [1, "initial", "upstream_error", "retry"],
      [2, "retry", "upstream_error", "fallback"],
      [3, "fallback", "ok", undefined],
    ]);
    expect(spanNamed(trace, "chat two").attributes["http.request.resend_count"]).toBeUndefined();
    expect(
      trace.root.events.map(({ name, attributes }) => [name, attributes["gateway.attempt.target"]]),
    ).toEqual([
      ["gateway.retry", undefined],
      ["gateway.fallback", "b/two"],
    ]);
    expect(checkTrace(asFlat(trace))).toEqual([]);
  });

  test("on every target reaches the client as the last one's fault", async () => {
    const gateway = overTwo({ replies: [failure(500), failure(500), failure(503), failure(503)] });
    expect(await gateway.refusal()).toMatchObject({ code: "upstream_overloaded", status: 503 });
    const trace = await gateway.finish();
    expectSettledInVain(gateway, "error");
    expect(gateway.facts).toMatchObject({ outcome: "upstream_error", attempts: 4 });
    expect(outcomes(trace).at(-1)).toEqual([4, "retry", "upstream_overloaded", "give_up"]);
    expect(checkTrace(asFlat(trace))).toEqual([]);
  });

  test("by limiting its rate everywhere is a 429 with the Retry-After of the last one", async () => {
    const limited = () => failure(429, "slow down", { "retry-after": "120" });
    const gateway = overTwo({
      bundle: fakeBundle({
        routes: { chat: { ...TWO_TARGETS.chat, timeouts: { totalMs: 60_000 } } },
      }),
      replies: [limited(), limited()],
    });
    expect(await gateway.refusal()).toMatchObject({
      code: "upstream_rate_limited",
      status: 429,
      details: { retryAfterMs: 120_000 },
    });
    expect(gateway.sleeps).toEqual([]);
    expect(hostsAsked(gateway)).toEqual(["a", "b"]);
  });

  test("is not asked again beyond the request's time", async () => {
    const gateway = overTwo({
      bundle: fakeBundle({ routes: { chat: { ...TWO_TARGETS.chat, timeouts: { totalMs: 100 } } } }),
      replies: [
        () => {
          gateway.pass(101);
          return failure(500);
        },
      ],
    });
    expect(await gateway.refusal()).toMatchObject({ code: "upstream_error" });
    expect(hostsAsked(gateway)).toEqual(["a"]);
  });

  test("is not sought out by least-latency for failing fast", async () => {
    const targets = createMeasuredTargets(() => 0);
    const routes = { chat: { ...TWO_TARGETS.chat, strategy: "least-latency", retries: { maxAttempts: 1 } } };
    const bundle = fakeBundle({ routes });
    const asked: (string | undefined)[] = [];
    for (const replies of [[failure(500), completion()], [completion()], [completion()]]) {
      const gateway = overTwo({ bundle, replies, targets });
      await gateway.generate();
      asked.push(hostsAsked(gateway).join(""));
    }
    expect(asked).toEqual(["ab", "b", "b"]);
  });
});

describe("the caller's own fault", () => {
  test.each([400, 404, 409, 413, 422])("a %i is passed on, with no retry and no fallback", async (status) => {
    const gateway = overTwo({ replies: [failure(status, "max_tokens is too large")] });
    expect(await gateway.refusal()).toMatchObject({
      code: "upstream_rejected",
      status,
      message: "max_tokens is too large",
    });
    const trace = await gateway.finish();
    expect(hostsAsked(gateway)).toEqual(["a"]);
    expectSettledInVain(gateway, "error");
    expect(outcomes(trace)).toEqual([[1, "initial", "upstream_rejected", "give_up"]]);
  });

  test("never brings the account's credential along, even where the upstream quotes it", async () => {
    const gateway = overTwo({ replies: [failure(400, `bad request for key ${UPSTREAM_SECRET} of yours`)] });
    const refusal = await gateway.refusal();
    expect(refusal).toMatchObject({ message: "bad request for key [redacted] of yours" });
    expect(JSON.stringify(await gateway.finish())).not.toContain(UPSTREAM_SECRET);
  });
});

describe("a credential of ours that is refused", () => {
  test.each([401, 403])("by a %i is not tried again there, but the next target is", async (status) => {
    const gateway = overTwo({ replies: [failure(status), completion()] });
    await gateway.generate();
    expect(hostsAsked(gateway)).toEqual(["a", "b"]);
    expect(outcomes(await gateway.finish())[0]).toEqual([1, "initial", "upstream_auth", "fallback"]);
  });

  test("everywhere is a 502 and never a 401", async () => {
    const gateway = overTwo({ replies: [failure(401), failure(403)] });
    expect(await gateway.refusal()).toMatchObject({ code: "upstream_auth", status: 502 });
    await gateway.finish();
    expectSettledInVain(gateway, "error");
  });
});

describe("an answer that is none", () => {
  test.each<[string, () => Response | Error]>([
    ["a connection that breaks", () => new TypeError("fetch failed to https://secret.internal")],
    ["a body that is not JSON", () => new Response("<html>")],
    ["JSON that is no completion", () => Response.json({ hello: 1 })],
    ["an error sent as a success", () => Response.json({ error: { message: "overloaded" } })],
    ["a body that breaks half-way", () => brokenBody('{"choices":[')],
    [
      "a redirect",
      () => new Response(null, { status: 302, headers: { location: "http://169.254.169.254/" } }),
    ],
    ["an empty body", () => new Response(null)],
  ])("%s counts as the upstream's fault: the next target answers", async (_, reply) => {
    const routes = { chat: { ...TWO_TARGETS.chat, retries: { maxAttempts: 1 } } };
    const gateway = overTwo({ bundle: fakeBundle({ routes }), replies: [reply(), completion()] });
    expect((await gateway.generate()).body).toContain("Hello");
    expect(hostsAsked(gateway)).toEqual(["a", "b"]);
    await gateway.finish();
    expect(gateway.queue.settlements).toHaveLength(1);
  });

  test("is reported without the address that a network error names", async () => {
    const gateway = createFakeGateway({
      replies: Array.from({ length: 3 }, () => new TypeError("connect ECONNREFUSED 10.0.0.7:443")),
    });
    const refusal = await gateway.refusal();
    expect(refusal).toMatchObject({
      code: "upstream_error",
      status: 502,
      message: "The connection to 'a' failed.",
    });
  });

  function brokenBody(start: string): Response {
    return new Response(
      new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode(start));
        },
        pull(controller) {
          controller.error(new Error("reset"));
        },
      }),
    );
  }
});

describe("an upstream that says nothing", () => {
  test("is left after the time that the request allows for the first byte", async () => {
    const gateway = overTwo({
      bundle: fakeBundle({ routes: { chat: { ...TWO_TARGETS.chat, retries: { maxAttempts: 1 } } } }),
      headers: { "x-headgate-timeout-ms": "20" },
      replies: [hang, completion()],
    });
    await gateway.generate();
    expect(hostsAsked(gateway)).toEqual(["a", "b"]);
    expect(outcomes(await gateway.finish())[0]).toEqual([1, "initial", "upstream_timeout", "fallback"]);
    expect(gateway.upstream.calls[0]?.signal.aborted).toBe(true);
  });

  test("until the request's time is over is a 504, and no other target is called", async () => {
    const routes = { chat: { ...TWO_TARGETS.chat, timeouts: { totalMs: 20 } } };
    const gateway = overTwo({
      bundle: fakeBundle({ routes }),
      replies: [
        (call) => {
          call.signal.addEventListener("abort", () => gateway.pass(20));
          return hang(call);
        },
      ],
    });
    expect(await gateway.refusal()).toMatchObject({
      code: "upstream_timeout",
      status: 504,
      message: expect.stringContaining("total time limit"),
    });
    expect(hostsAsked(gateway)).toEqual(["a"]);
  });

  test("after its head is given the idle time for the rest, not what was left for the first byte", async () => {
    const routes = {
      chat: { ...TWO_TARGETS.chat, retries: { maxAttempts: 1 }, timeouts: { firstByteMs: 30, idleMs: 5000 } },
    };
    const text = await completion().text();
    const gateway = overTwo({
      bundle: fakeBundle({ routes }),
      replies: [
        ({ signal }) =>
          new Response(
            new ReadableStream({
              start(controller) {
                signal.addEventListener("abort", () => controller.error(signal.reason));
                setTimeout(() => {
                  if (signal.aborted) return;
                  controller.enqueue(new TextEncoder().encode(text));
                  controller.close();
                }, 80);
              },
            }),
          ),
      ],
    });
    expect((await gateway.generate()).body).toContain("Hello");
  });

  test("in the middle of a whole answer is left after the idle time", async () => {
    const routes = { chat: { ...TWO_TARGETS.chat, retries: { maxAttempts: 1 }, timeouts: { idleMs: 20 } } };
    const gateway = overTwo({
      bundle: fakeBundle({ routes }),
      replies: [
        ({ signal }) =>
          new Response(
            new ReadableStream({
              start(controller) {
                controller.enqueue(new TextEncoder().encode('{"choi'));
                signal.addEventListener("abort", () => controller.error(signal.reason));
              },
            }),
          ),
        completion(),
      ],
    });
    await gateway.generate();
    expect(outcomes(await gateway.finish())[0]).toEqual([1, "initial", "upstream_timeout", "fallback"]);
  });
});

describe("a client who leaves", () => {
  test("while the upstream works: its call is aborted, the lease goes back, no other target is called", async () => {
    const client = new AbortController();
    const gateway = overTwo({
      signal: client.signal,
      replies: [
        (call) => {
          queueMicrotask(() => client.abort());
          return hang(call);
        },
      ],
    });
    expect(await gateway.refusal()).toMatchObject({ code: "client_disconnected" });
    const trace = await gateway.finish();
    expect(gateway.upstream.calls[0]?.signal.aborted).toBe(true);
    expectSettledInVain(gateway, "client_disconnected", promptTokens(gateway.call.chat));
    expect(gateway.facts.outcome).toBe("client_disconnected");
    // No fault of the upstream: the attempt's span is not an error.
    expect(spanNamed(trace, "chat one")).toMatchObject({
      isError: false,
      attributes: { "gateway.attempt.outcome": "client_disconnected" },
    });
    expect(checkTrace(asFlat(trace))).toEqual([]);
  });

  test("between two attempts: the second is not made", async () => {
    const client = new AbortController();
    const gateway = overTwo({
      signal: client.signal,
      replies: [failure(500)],
      onSleep: () => client.abort(),
    });
    expect(await gateway.refusal()).toMatchObject({ code: "client_disconnected" });
    await gateway.finish();
    expect(hostsAsked(gateway)).toEqual(["a"]);
    expectSettledInVain(gateway, "client_disconnected");
    expect(gateway.facts.outcome).toBe("client_disconnected");
  });

  test("during a long pause does not hold the slot until its end", async () => {
    const client = new AbortController();
    const gateway = overTwo({
      signal: client.signal,
      replies: [failure(500)],
      deps: {
        sleep() {
          queueMicrotask(() => client.abort());
          return new Promise(() => {});
        },
      },
    });
    expect(await gateway.refusal()).toMatchObject({ code: "client_disconnected" });
    await gateway.finish();
    expectSettledInVain(gateway, "client_disconnected");
  });

  test("before any target was called: none is", async () => {
    const gateway = overTwo({ signal: AbortSignal.abort(), replies: [completion()] });
    expect(await gateway.refusal()).toMatchObject({ code: "client_disconnected" });
    await gateway.finish();
    expectSettledInVain(gateway, "client_disconnected");
  });
});

describe("an account that can't be used", () => {
  test("of a kind that this deployment does not know is passed over for the next target", async () => {
    const gateway = overTwo({ replies: [completion()] });
    const { accountOf } = gateway.deps;
    Object.assign(gateway.deps, {
      accountOf: async (...[bundle, name]: Parameters<typeof accountOf>) => ({
        ...(await accountOf(bundle, name)),
        ...(name === "a" && { kind: "of-tomorrow" }),
      }),
    });
    await gateway.generate();
    const trace = await gateway.finish();
    expect(hostsAsked(gateway)).toEqual(["b"]);
    expect(trace.root.events.map(({ name }) => name)).toContain("gateway.fallback");
    expect(checkTrace(asFlat(trace))).toEqual([]);
  });

  test("whose credential can't be opened gives the lease back all the same", async () => {
    const gateway = overTwo({ deps: { accountOf: async () => Promise.reject(new Error("no master key")) } });
    expect(await gateway.refusal()).toMatchObject({
      code: "internal_error",
      message: expect.not.stringContaining("master key"),
    });
    await gateway.finish();
    expectSettledInVain(gateway, "error");
    expect(gateway.facts.outcome).toBe("gateway_error");
  });
});
