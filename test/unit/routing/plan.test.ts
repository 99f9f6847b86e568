import { describe, expect, test } from "vitest";
import {
  isModelAllowed,
  type Plan,
  type PlanContext,
  planTargets,
  planVersion,
} from "../../../src/routing/plan.ts";
import { createWeightedRoundRobin } from "../../../src/targets/weighted-round-robin.ts";
import type { ProviderRecord } from "../../../src/tenants/records/records.ts";
import { DEFAULT_RETRIES, DEFAULT_TIMEOUTS } from "../../../src/tenants/records/route-record.ts";
import { fakeBundle } from "../../support/fakes/fake-tenant.ts";

const CLOSED = { state: "closed", retryInMs: 0, failures: 0, calls: 0 } as const;

const ROUTES = {
  chat: {
    targets: [
      { provider: "a", model: "small" },
      { provider: "b", model: "org/large", params: { temperature: 0.2 } },
    ],
    retries: { maxAttempts: 2 },
    timeouts: { firstByteMs: 1234 },
  },
};

function plan(model: string, context: Partial<PlanContext> = {}, routes: object = ROUTES): Plan {
  return planTargets(model, {
    bundle: fakeBundle({ routes: { ...routes } }),
    key: {},
    traits: { promptTokens: 10, metadata: {}, keyMetadata: {}, at: 0, needs: () => new Set() },
    priceOf: () => undefined,
    latencyOf: () => undefined,
    claimTrial: () => false,
    circuitOf: () => CLOSED,
    takeTurn: (_, weights) => weights.findIndex((weight) => weight > 0),
    sessionTargetOf: () => undefined,
    ...context,
  });
}

const labels = ({ targets }: Plan): readonly string[] => targets.map(({ label }) => label);

/** How often each target comes first in that many turns. */
function tally(turns: number, targets: readonly object[]): Record<string, number> {
  const counts: Record<string, number> = {};
  const { next } = createWeightedRoundRobin(() => 0.37);
  for (let at = 0; at < turns; at += 1) {
    const [first] = plan("r", { takeTurn: next }, { r: { strategy: "weighted", targets } }).targets;
    counts[first.label] = (counts[first.label] ?? 0) + 1;
  }
  return counts;
}

describe("a bare provider/model", () => {
  test("is split at the first slash and takes the defaults of a route", () => {
    const direct = plan("b/org/large:free");
    expect(direct.targets).toEqual([
      { accountName: "b", model: "org/large:free", label: "b/org/large:free", weight: 1 },
    ]);
    expect(direct).toMatchObject({
      routeId: "b/org/large:free",
      strategy: "direct",
      retries: DEFAULT_RETRIES,
      timeouts: DEFAULT_TIMEOUTS,
    });
  });

  test.each([
    ["an unknown provider is named", "c/gpt", /'c\/gpt' does not exist: no provider 'c'/],
    [
      "a name that is no route says that provider/model works too",
      "chat-fast",
      /'chat-fast'.*provider\/model/,
    ],
    ["a known provider without a model is not called unknown", "a/", /'a\/' does not exist: no route/],
    ["a model without a provider", "/gpt", /'\/gpt' does not exist: no route/],
    ["constructor is no route", "constructor", /'constructor' does not exist/],
    ["__proto__ is no route", "__proto__", /'__proto__' does not exist/],
    ["__proto__ is no provider", "__proto__/x", /no provider '__proto__'/],
    ["constructor is no provider", "constructor/x", /no provider 'constructor'/],
  ])("%s", (_, model, message) => {
    expect(() => plan(model)).toThrow(
      expect.objectContaining({
        code: "model_not_found",
        status: 404,
        message: expect.stringMatching(message),
        details: expect.objectContaining({ param: "model" }),
      }),
    );
  });

  test("names of a plain object's prototype are no records of a bundle that has one", () => {
    const bundle = { ...fakeBundle(), routes: {}, providers: {} };
    for (const model of ["constructor", "toString/x", "__proto__"]) {
      expect(() => plan(model, { bundle })).toThrow(expect.objectContaining({ code: "model_not_found" }));
    }
  });
});

describe("a route by fallback", () => {
  test("keeps its order and brings params, retries and timeouts along", () => {
    const made = plan("chat");
    expect(labels(made)).toEqual(["a/small", "b/org/large"]);
    expect(made.targets[1]?.params).toEqual({ temperature: 0.2 });
    expect(made).toMatchObject({
      routeId: "chat",
      strategy: "fallback",
      reason: "first in the route's order",
      rejected: ["b/org/large: later in the order"],
      retries: { maxAttempts: 2 },
      timeouts: { firstByteMs: 1234 },
    });
  });

  test("passes over a target whose provider is missing, and says so", () => {
    const made = plan("chat", { bundle: fakeBundle({ routes: ROUTES, providers: { b: {} } }) });
    expect(labels(made)).toEqual(["b/org/large"]);
    expect(made.rejected).toEqual(["a/small: no provider 'a'"]);
  });

  test("with no provider left is a 404 that names what is missing", () => {
    const bundle = fakeBundle({ routes: ROUTES, providers: { c: {} } });
    expect(() => plan("chat", { bundle })).toThrow(
      expect.objectContaining({
        code: "model_not_found",
        message: expect.stringMatching(/'chat'.*a\/small: no provider 'a'; b\/org\/large: no provider 'b'/),
      }),
    );
  });
});

describe("allowedModels", () => {
  test("absent lets everything through, empty lets nothing through", () => {
    expect(isModelAllowed(undefined, "chat")).toBe(true);
    expect(isModelAllowed([], "chat")).toBe(false);
  });

  test("holds names and prefixes, and a star counts at the end only", () => {
    const allowed = ["chat", "a/gpt-*", "x*y"];
    expect(isModelAllowed(allowed, "chat")).toBe(true);
    expect(isModelAllowed(allowed, "chat-fast")).toBe(false);
    expect(isModelAllowed(allowed, "a/gpt-4o")).toBe(true);
    expect(isModelAllowed(allowed, "a/gpt")).toBe(false);
    expect(isModelAllowed(allowed, "xxy")).toBe(false);
    expect(isModelAllowed(["*"], "anything/at-all")).toBe(true);
  });

  test("a model outside of them is a 403 that names it, even where it does not exist", () => {
    for (const model of ["chat", "a/small", "nowhere"]) {
      expect(() => plan(model, { key: { allowedModels: ["other"] } })).toThrow(
        expect.objectContaining({
          code: "permission_denied",
          status: 403,
          message: expect.stringContaining(`'${model}'`),
        }),
      );
    }
  });

  test("an allowed route may ask targets that the key could not name itself", () => {
    expect(labels(plan("chat", { key: { allowedModels: ["chat"] } }))).toEqual(["a/small", "b/org/large"]);
  });
});

describe("a pin", () => {
  test("leaves one target of the route, with the route's own rules and params", () => {
    const made = plan("chat", { pin: "b/org/large" });
    expect(labels(made)).toEqual(["b/org/large"]);
    expect(made).toMatchObject({
      strategy: "pinned",
      retries: { maxAttempts: 2 },
      rejected: ["a/small: another target is pinned"],
    });
    expect(made.targets[0].params).toEqual({ temperature: 0.2 });
  });

  test.each([
    ["outside of the route", "chat", "a/other"],
    ["that is no target of a bare provider/model", "a/small", "b/small"],
    ["that is empty", "chat", ""],
  ])("%s is a 400 that names the header", (_, model, pin) => {
    expect(() => plan(model, { pin })).toThrow(
      expect.objectContaining({
        code: "invalid_request",
        details: expect.objectContaining({ param: "x-headgate-target" }),
        message: expect.stringContaining("x-headgate-target"),
      }),
    );
  });

  test("that says what a bare provider/model says anyway is no fault", () => {
    expect(plan("a/small", { pin: "a/small" }).strategy).toBe("direct");
  });
});

describe("a weighted route", () => {
  test("draws each target as often as its weight says, and never one of weight zero", () => {
    const targets = [
      { provider: "a", model: "never", weight: 0 },
      { provider: "a", model: "often", weight: 80 },
      { provider: "b", model: "seldom", weight: 20 },
    ];
    expect(tally(1000, targets)).toEqual({ "a/often": 800, "b/seldom": 200 });
  });

  test("counts a target without a weight as 1", () => {
    const targets = [
      { provider: "a", model: "x" },
      { provider: "b", model: "y", weight: 3 },
    ];
    expect(tally(100, targets)).toEqual({ "a/x": 25, "b/y": 75 });
  });

  test("with all weights zero still has someone to ask", () => {
    const targets = [
      { provider: "a", model: "x", weight: 0 },
      { provider: "b", model: "y", weight: 0 },
    ];
    expect(labels(plan("r", {}, { r: { strategy: "weighted", targets } }))).toEqual(["a/x", "b/y"]);
  });

  test("asks the others after the one whose turn it is, the heaviest first", () => {
    const targets = [
      { provider: "a", model: "one", weight: 1 },
      { provider: "a", model: "three", weight: 3 },
      { provider: "b", model: "two", weight: 2 },
    ];
    const made = plan("r", { takeTurn: () => 2 }, { r: { strategy: "weighted", targets } });
    expect(labels(made)).toEqual(["b/two", "a/three", "a/one"]);
    expect(made.reason).toBe("its turn by weight 2 of 6");
    expect(made.rejected).toEqual(["a/three: not its turn", "a/one: not its turn"]);
  });

  test("weighs only what exists", () => {
    const targets = [
      { provider: "gone", model: "x", weight: 98 },
      { provider: "a", model: "x", weight: 1 },
      { provider: "b", model: "y", weight: 1 },
    ];
    expect(tally(10, targets)).toEqual({ "a/x": 5, "b/y": 5 });
  });
});

describe("a sticky session", () => {
  const targets = [
    { provider: "a", model: "x", weight: 50 },
    { provider: "b", model: "y", weight: 50 },
  ];
  const sticky = { r: { strategy: "weighted", sticky: "session", targets } };
  const firstFor = (session: string): string => {
    // Whose turn it is changes each time and must not matter.
    const seen = [0, 1, 0].map((turn) => labels(plan("r", { session, takeTurn: () => turn }, sticky))[0]);
    expect(new Set(seen).size).toBe(1);
    return seen[0] ?? "";
  };

  test("draws the same target each time", () => {
    expect(firstFor("conversation-1")).toBe(firstFor("conversation-1"));
  });

  test("without a session id the turn decides", () => {
    expect(labels(plan("r", { takeTurn: () => 1 }, sticky))[0]).toBe("b/y");
  });

  test.each(["s-", "conversation-", "user-000", ""])(
    "sessions numbered behind '%s' spread over the targets as the weights say",
    (prefix) => {
      const sessions = 200;
      const toA = Array.from({ length: sessions }, (_, at) => firstFor(`${prefix}${at}`)).filter(
        (to) => to === "a/x",
      );
      // Five standard deviations of a fair draw.
      expect(Math.abs(toA.length - sessions / 2)).toBeLessThan(36);
    },
  );

  test("sessions that differ in their last digit only don't all go to one target", () => {
    const firsts = Array.from({ length: 10 }, (_, at) => firstFor(`chat-2026-11-25-${at}`));
    expect(new Set(firsts).size).toBe(2);
  });
});

describe("a session and its vendor's prompt cache", () => {
  const targets = ["p1", "p2"].map((model) => ({ provider: "a", model }));
  const promptSession = () => ({ id: "s", cache: { isLong: false } });
  const learned = {
    promptSession,
    priceOf: ({ model }: { readonly model: string }) => (model === "p1" ? 1 : 2),
  };
  const first = (route: object, more: Parameters<typeof plan>[1] = {}) =>
    labels(
      plan("r", { ...learned, sessionTargetOf: () => "a/p2", ...more }, { r: { targets, ...route } }),
    )[0];

  test("stay together where the strategy would choose again", () => {
    expect(first({ strategy: "least-cost" })).toBe("a/p2");
    expect(first({ strategy: "least-cost" }, { sessionTargetOf: () => undefined })).toBe("a/p1");
    expect(first({ strategy: "least-cost" }, { promptSession: () => undefined })).toBe("a/p1");
  });

  test("a weighted route draws for the session", () => {
    const weighted = { r: { strategy: "weighted", targets } };
    const turns = [0, 1, 0].map(
      (turn) => labels(plan("r", { ...learned, takeTurn: () => turn }, weighted))[0],
    );
    expect(new Set(turns).size).toBe(1);
  });

  test("don't change the order of a fallback route, and nothing where `sticky` is off", () => {
    expect(first({ strategy: "fallback" })).toBe("a/p1");
    expect(first({ strategy: "least-cost", sticky: "off" })).toBe("a/p1");
  });

  test("are not looked for where there is one target", () => {
    const never = () => {
      throw new Error("looked for");
    };
    const alone = { r: { strategy: "least-cost", targets: targets.slice(0, 1) } };
    expect(labels(plan("r", { promptSession: never }, alone))).toEqual(["a/p1"]);
  });
});

describe("least-cost", () => {
  const targets = ["p1", "p2", "p3", "p4"].map((model) => ({ provider: "a", model }));
  const route = { r: { strategy: "least-cost", targets } };

  test("asks the cheapest first, unknown prices last, and equal ones in the route's order", () => {
    const prices: Record<string, number> = { p2: 500, p3: 20, p4: 500 };
    const made = plan("r", { priceOf: ({ model }) => prices[model] }, route);
    expect(labels(made)).toEqual(["a/p3", "a/p2", "a/p4", "a/p1"]);
    expect(made.reason).toBe("lowest expected cost ($0.000020)");
    expect(made.rejected).toEqual([
      "a/p2: expected cost $0.000500",
      "a/p4: expected cost $0.000500",
      "a/p1: expected cost unknown",
    ]);
  });

  test("takes a price of zero for a price", () => {
    const prices: Record<string, number> = { p1: 1, p3: 0 };
    expect(labels(plan("r", { priceOf: ({ model }) => prices[model] }, route))[0]).toBe("a/p3");
  });

  test("with no price at all keeps the route's order", () => {
    expect(labels(plan("r", {}, route))).toEqual(["a/p1", "a/p2", "a/p3", "a/p4"]);
  });
});

describe("least-latency", () => {
  const targets = ["t1", "t2", "t3"].map((model) => ({ provider: "a", model }));
  const route = { r: { strategy: "least-latency", targets } };

  test("asks the fastest first", () => {
    const times: Record<string, number> = { t1: 900, t2: 120.4, t3: 300 };
    const made = plan("r", { latencyOf: ({ model }) => times[model] }, route);
    expect(labels(made)).toEqual(["a/t2", "a/t3", "a/t1"]);
    expect(made.reason).toBe("lowest latency (120 ms)");
  });

  const seen: Record<string, number> = { t1: 30, t3: 10 };
  const latencyOf = ({ model }: { readonly model: string }): number | undefined => seen[model];

  test("lets one request try a target that was not seen lately", () => {
    const made = plan("r", { latencyOf, claimTrial: ({ label }) => label === "a/t2" }, route);
    expect(labels(made)).toEqual(["a/t2", "a/t3", "a/t1"]);
    expect(made.reason).toBe("not measured lately");
  });

  test("sends all others where it is known to be fast, while the trial is under way", () => {
    expect(labels(plan("r", { latencyOf }, route))).toEqual(["a/t3", "a/t1", "a/t2"]);
  });
});

describe("a plan's version", () => {
  const version = (draw: number, targets: readonly object[], context: Partial<PlanContext> = {}): string =>
    planVersion(
      plan("r", { takeTurn: () => draw, ...context }, { r: { strategy: "weighted", targets } }),
      fakeBundle().providers,
    );

  test("does not depend on the draw", () => {
    const targets = [
      { provider: "a", model: "x" },
      { provider: "b", model: "y", params: { temperature: 1 } },
    ];
    expect(version(1, targets)).toBe(version(0, targets));
  });

  test.each<[string, Partial<ProviderRecord>]>([
    ["address", { baseUrl: "https://other.example/v1" }],
    ["kind", { kind: "anthropic" }],
    ["option", { options: { apiVersion: "2" } }],
    ["credential", { apiKey: { sealed: "s2", masked: "m" } }],
    ["header", { headers: { "x-org": { sealed: "s", masked: "m" } } }],
  ])("changes with an account's %s", (_, changed) => {
    const made = plan("a/x", {});
    const versionWith = (a: Partial<ProviderRecord>): string =>
      planVersion(made, fakeBundle({ providers: { a } }).providers);
    expect(versionWith({})).toBe(versionWith({}));
    expect(versionWith(changed)).not.toBe(versionWith({}));
  });

  test("does not depend on the draw between two settings of one model", () => {
    const targets = [
      { provider: "a", model: "x", params: { temperature: 0 } },
      { provider: "a", model: "x", params: { temperature: 1 } },
    ];
    expect(version(1, targets)).toBe(version(0, targets));
  });

  test("changes with a target, with its params, and with a pin", () => {
    const base = [
      { provider: "a", model: "x" },
      { provider: "b", model: "y" },
    ];
    const versions = [
      version(0, base),
      version(0, base, { pin: "a/x" }),
      version(0, [base[0] ?? {}, { provider: "b", model: "z" }]),
      version(0, [base[0] ?? {}, { ...base[1], params: { temperature: 0 } }]),
    ];
    expect(new Set(versions).size).toBe(4);
  });
});
