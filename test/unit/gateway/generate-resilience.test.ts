// The pipeline and what an isolate has learned of its targets: circuits, the retry budget, credentials that can't be opened.
import { describe, expect, test } from "vitest";
import { GatewayError } from "../../../src/errors.ts";
import { createMeasuredTargets } from "../../../src/targets/targets.ts";
import type { TargetCircuits } from "../../../src/targets/isolate-circuits.ts";
import {
  createFakeGateway,
  createLoneCircuits,
  type FakeGatewayOptions,
  spanNamed,
} from "../../support/fakes/fake-gateway.ts";
import { fakeBundle } from "../../support/fakes/fake-tenant.ts";
import { completion, failure } from "../../support/fakes/fake-upstream.ts";
import { checkTrace } from "../../support/checkers/trace-invariants.ts";
import { asFlat } from "../../support/checkers/flat-trace.ts";

const ROUTES = {
  chat: {
    targets: [
      { provider: "a", model: "one" },
      { provider: "b", model: "two" },
    ],
    retries: { maxAttempts: 1 },
  },
};

function ask(options: FakeGatewayOptions) {
  return createFakeGateway({ bundle: fakeBundle({ routes: ROUTES }), chat: { model: "chat" }, ...options });
}

const hostsOf = ({ upstream }: ReturnType<typeof ask>) =>
  upstream.calls.map(({ url }) => new URL(url).hostname.at(0)).join("");

/** The circuits of an isolate, as its requests share them, by a clock that stands still. */
const START_AT = createFakeGateway().deps.now();
const circuitsAt = (): TargetCircuits => createLoneCircuits(() => START_AT);

describe("a circuit", () => {
  test("opens after five failed requests, and the sixth asks the second target alone", async () => {
    const circuits = circuitsAt();
    const asked: string[] = [];
    let finder = "";
    for (let request = 0; request < 6; request += 1) {
      const replies = request < 5 ? [failure(500), completion()] : [completion()];
      const gateway = ask({ replies, targets: { circuits } });
      await gateway.generate();
      asked.push(hostsOf(gateway));
      const trace = await gateway.finish();
      expect(checkTrace(asFlat(trace))).toEqual([]);
      if (request === 4) finder = trace.traceId;
      if (request < 5) continue;
      expect(spanNamed(trace, "gateway.route").attributes).toMatchObject({
        "gateway.route.chosen": "b/two",
        "gateway.route.rejected": [
          `a/one: circuit open for 0 s, asked again in 10 s, found by trace ${finder}`,
        ],
      });
    }
    expect(asked).toEqual(["ab", "ab", "ab", "ab", "ab", "b"]);
  });

  test("that is half-open lets one request probe the target, and its span says so", async () => {
    let now = START_AT;
    const circuits = createLoneCircuits(() => now);
    for (let call = 0; call < 5; call += 1) circuits.record({ target: "a/one", keyId: "key-1" }, "failed");
    now += 10_000;
    const probe = ask({ replies: [completion()], targets: { circuits }, deps: { now: () => now } });
    await probe.generate();
    expect(hostsOf(probe)).toBe("a");
    const trace = await probe.finish();
    expect(spanNamed(trace, "chat one").attributes["gateway.circuit.state"]).toBe("half_open");
    expect(spanNamed(trace, "gateway.route").attributes["gateway.route.reason"]).toBe(
      "first in the route's order; its circuit is half-open",
    );
    expect(circuits.of("a/one", "key-1", now).state).toBe("closed");
  });

  test("that is open for all still lets the cache answer", async () => {
    const circuits = circuitsAt();
    const first = ask({ cache: { mode: "on" }, replies: [completion()], targets: { circuits } });
    await first.generate();
    await first.finish();
    for (const target of ["a/one", "b/two"]) {
      for (let call = 0; call < 5; call += 1) circuits.record({ target, keyId: "key-1" }, "failed");
    }
    const { cacheStore } = first;
    const now = (): number => START_AT;
    const hit = ask({ cache: { mode: "on" }, cacheStore, targets: { circuits }, deps: { now } });
    expect((await hit.generate()).body).toContain("Hello");
    const miss = ask({ targets: { circuits }, deps: { now } });
    expect(await miss.refusal()).toMatchObject({
      code: "upstream_overloaded",
      status: 503,
      details: { retryAfterMs: 10_000 },
    });
    expect(miss.upstream.calls).toHaveLength(0);
    expect((await miss.finish()).root.events).toMatchObject([
      { name: "gateway.circuit_open", attributes: { "gateway.circuit.state": "open" } },
      { name: "gateway.circuit_open", attributes: { "gateway.circuit.state": "open" } },
    ]);
  });

  test("is not moved by the caller's faults, nor by a limit", async () => {
    const circuits = circuitsAt();
    for (let request = 0; request < 12; request += 1) {
      const isLimit = request % 2 === 0;
      const gateway = ask({ replies: [failure(isLimit ? 429 : 422), completion()], targets: { circuits } });
      await gateway.generate().catch(() => {});
      await gateway.finish();
    }
    expect(circuits.of("a/one", "key-1", START_AT).state).toBe("closed");
  });
});

describe("the retry budget", () => {
  test("used up makes the next failure go to the next target at once, and the span says why", async () => {
    const targets = createMeasuredTargets(() => 0);
    const routes = { chat: { ...ROUTES.chat, retries: { maxAttempts: 3 } } };
    const gateway = ask({
      bundle: fakeBundle({ routes }),
      replies: [failure(500), completion()],
      targets,
    });
    while (targets.retryBudget.take("acme", gateway.deps.now()));
    await gateway.generate();
    expect(hostsOf(gateway)).toBe("ab");
    const span = spanNamed(await gateway.finish(), "chat one");
    expect(span.attributes).toMatchObject({
      "gateway.attempt.left_for": "fallback",
      "gateway.retry.refused": "budget",
    });
  });
});

describe("a credential that can't be opened", () => {
  const unavailable = new GatewayError("unavailable", "The credential of 'a' can't be opened.");

  test("is passed over for the next target", async () => {
    const gateway = ask({ replies: [completion()] });
    const { accountOf } = gateway.deps;
    Object.assign(gateway.deps, {
      accountOf: (...[bundle, name]: Parameters<typeof accountOf>) =>
        name === "a" ? Promise.reject(unavailable) : accountOf(bundle, name),
    });
    await gateway.generate();
    expect(hostsOf(gateway)).toBe("b");
    expect(gateway.facts).toMatchObject({ target: "b/two", usedFallback: true, outcome: "ok" });
    const trace = await gateway.finish();
    expect(trace.root.events.map(({ name, attributes }) => [name, attributes["error.type"]])).toEqual([
      ["gateway.fallback", "unavailable"],
    ]);
    expect(checkTrace(asFlat(trace))).toEqual([]);
  });

  test("everywhere is reported as what it is", async () => {
    const gateway = ask({ deps: { accountOf: () => Promise.reject(unavailable) } });
    expect(await gateway.refusal()).toMatchObject({ code: "unavailable", status: 503 });
    expect(gateway.upstream.calls).toHaveLength(0);
  });
});

test("a hedge that the retry budget refuses leaves the reason on the trace", async () => {
  const gateway = createFakeGateway({
    bundle: fakeBundle({
      providers: { a: { kind: "openai-compatible" } },
      routes: { hedged: { targets: [{ provider: "a", model: "m" }], hedge: { afterMs: 100 } } },
    }),
    chat: { model: "hedged", messages: [{ role: "user", content: "hi" }] },
    targets: { retryBudget: { take: () => false, noteRequest: () => {} } },
    // Slower than the sleep, which takes no real time here.
    replies: [
      async () => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        return Response.json({ choices: [{ message: { content: "ok" }, finish_reason: "stop" }] });
      },
    ],
  });
  await gateway.generate();
  expect(gateway.upstream.calls).toHaveLength(1);
  expect((await gateway.finish()).root.attributes["gateway.retry.refused"]).toBe("budget");
});
