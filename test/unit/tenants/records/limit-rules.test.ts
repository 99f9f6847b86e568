/** The deployment's defaults and ceilings: what a tenant without limits gets, and what no record exceeds. */
import { describe, expect, it } from "vitest";
import { parseBundle } from "../../../../src/tenants/bundle.ts";
import {
  clampLimits,
  effectiveLimits,
  findExcess,
  NO_LIMIT_RULES,
  parseLimitRules,
} from "../../../../src/tenants/records/limit-rules.ts";
import { parseKey, parseRaise, parseTenant } from "../../../../src/tenants/records/parse-record.ts";
import { viewTenant } from "../../../../src/tenants/records/record-views.ts";

const DEFAULTS = { requestsPerMinute: 60, burst: 5, concurrency: 4, queue: { maxDepth: 10 } };
const CEILINGS = {
  requestsPerMinute: 600,
  burst: 20,
  tokensPerMinute: 100_000,
  concurrency: 8,
  maxBodyBytes: 1000,
  queue: { maxWaitMs: 5000 },
};
const rules = parseLimitRules(JSON.stringify(DEFAULTS), JSON.stringify(CEILINGS));
const RECORD_RULES = { allowPrivateUpstreams: false, defaultBaseUrl: () => undefined, limitRules: rules };

describe("the limits in force", () => {
  it("of a tenant without any are the defaults, and the ceilings where there is no default", () => {
    expect(effectiveLimits({}, rules)).toEqual({
      requestsPerMinute: 60,
      burst: 5,
      tokensPerMinute: 100_000,
      concurrency: 4,
      maxBodyBytes: 1000,
      queue: { maxDepth: 10, maxWaitMs: 5000 },
    });
  });

  it("are the record's own where it has them, up to the ceilings", () => {
    const own = { requestsPerMinute: 6000, concurrency: 6, queue: { maxDepth: 500, maxWaitMs: 60_000 } };
    expect(effectiveLimits(own, rules)).toMatchObject({
      requestsPerMinute: 600,
      concurrency: 6,
      queue: { maxDepth: 500, maxWaitMs: 5000 },
    });
  });

  it.each<[string, object, number]>([
    ["a default burst goes with the default rate", {}, 5],
    ["a rate of the record's own has ten seconds' worth", { requestsPerMinute: 30 }, 5],
    ["a small rate of its own has one", { requestsPerMinute: 3 }, 1],
    ["ten seconds' worth is at most the ceiling", { requestsPerMinute: 600 }, 20],
    ["its own burst counts", { requestsPerMinute: 600, burst: 7 }, 7],
    ["its own burst is at most the ceiling", { burst: 700 }, 20],
  ])("%s", (_, own, burst) => {
    expect(effectiveLimits(own, rules).burst).toBe(burst);
  });

  it("are the record's own and nothing else where the deployment sets none", () => {
    const own = { concurrency: 3 };
    expect(effectiveLimits(own, NO_LIMIT_RULES)).toBe(own);
    expect(parseLimitRules("", "")).toBe(NO_LIMIT_RULES);
  });

  it("are what a reader of a stored record gets, whenever it was written", () => {
    const stored = { id: "acme", version: 3, tenant: { limits: { concurrency: 5000 } }, keys: [] };
    const bundle = parseBundle(JSON.stringify(stored), rules);
    expect(bundle.tenant.limits).toMatchObject({ concurrency: 8, requestsPerMinute: 60 });
    expect(bundle.limitRulesId).toBe(rules.id);
    expect(parseBundle(JSON.stringify(stored)).tenant.limits).toEqual({ concurrency: 5000 });
  });
});

describe("a record above a ceiling", () => {
  it.each([
    ["limits.concurrency", { concurrency: 9 }, 8],
    ["limits.requestsPerMinute", { requestsPerMinute: 601 }, 600],
    ["limits.maxBodyBytes", { maxBodyBytes: 1001 }, 1000],
    ["limits.queue.maxWaitMs", { queue: { maxWaitMs: 5001 } }, 5000],
  ])("is refused by name: %s", (param, limits, ceiling) => {
    const fault = {
      code: "invalid_request",
      details: { param },
      message: `${param}: must be at most ${ceiling} in this deployment (MAX_LIMITS).`,
    };
    const faultOf = (work: () => unknown): unknown => {
      try {
        return work();
      } catch (thrown) {
        return thrown;
      }
    };
    expect(faultOf(() => parseTenant({ limits }, "acme", RECORD_RULES))).toMatchObject(fault);
    expect(faultOf(() => parseKey({ name: "k", limits }, 0, rules))).toMatchObject(fault);
    if (!("maxBodyBytes" in limits))
      expect(faultOf(() => parseRaise({ limits, forSeconds: 60 }, rules))).toMatchObject(fault);
  });

  it("at the ceiling is not", () => {
    expect(findExcess(CEILINGS, rules)).toBeUndefined();
    expect(parseTenant({ limits: CEILINGS }, "acme", RECORD_RULES).limits).toEqual(CEILINGS);
  });

  it("that was stored before is shown as far as it holds, and its view can be sent back", () => {
    const own = { concurrency: 5000, queue: { maxDepth: 7, maxWaitMs: 60_000 } };
    expect(clampLimits(own, rules)).toEqual({ concurrency: 8, queue: { maxDepth: 7, maxWaitMs: 5000 } });
    expect(own.queue.maxWaitMs).toBe(60_000);
    const { tracing, alerts: _none, ...rest } = parseTenant({}, "acme", RECORD_RULES);
    const stored = { ...rest, limits: own, tracing: { ...tracing, destinations: [] } };
    const view = viewTenant("acme", stored, rules);
    expect(view.limits.concurrency).toBe(8);
    expect(view.effectiveLimits).toMatchObject({ concurrency: 8, requestsPerMinute: 60 });
    expect(parseTenant(view, "acme", RECORD_RULES).limits).toEqual(view.limits);
    expect(viewTenant("acme", stored)).not.toHaveProperty("effectiveLimits");
  });
});

it.each([
  ["{", "DEFAULT_LIMITS"],
  ['{"concurrency":0}', "DEFAULT_LIMITS.concurrency"],
  ['{"queue":{"depth":1}}', "DEFAULT_LIMITS.queue"],
  ["[]", "DEFAULT_LIMITS"],
])("a wrong setting is named with its field: %s", (text, field) => {
  expect(() => parseLimitRules(text, "")).toThrow(`misconfigured: ${field}:`);
  expect(() => parseLimitRules("", text)).toThrow(`misconfigured: ${field.replace("DEFAULT", "MAX")}:`);
});
