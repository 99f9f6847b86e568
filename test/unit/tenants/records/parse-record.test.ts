/** What an operator may write: faults are named by field, addresses are checked. */
import { describe, expect, it } from "vitest";
import { REGISTERED_KINDS } from "../../../../src/providers/registry.ts";
import { GatewayError } from "../../../../src/errors.ts";
import {
  parseKey,
  parseName,
  parseProvider,
  parseRotation,
  parseRoute,
  parseTenant,
  type RecordRules,
} from "../../../../src/tenants/records/parse-record.ts";

const NOW = Date.UTC(2026, 0, 1);
const DEPLOYED: RecordRules = {
  allowPrivateUpstreams: false,
  providerKinds: REGISTERED_KINDS,
  defaultBaseUrl: (kind) =>
    kind === "openai"
      ? "https://api.openai.com/v1"
      : kind === "ollama" || kind === "litellm"
        ? "http://localhost:11434/v1"
        : undefined,
};
const LOCAL: RecordRules = { ...DEPLOYED, allowPrivateUpstreams: true };

function faultOf(work: () => unknown): GatewayError {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof GatewayError) return thrown;
    throw thrown;
  }
  throw new Error("nothing was thrown");
}

describe("a tenant record", () => {
  it("gets the defaults of src/docs/records.md", () => {
    expect(parseTenant({}, "acme", DEPLOYED)).toMatchObject({
      status: "active",
      limits: {},
      cache: { enabled: false, ttlSeconds: 3600, coalesce: false },
      tracing: { sampleRatio: 1, content: "off", store: { enabled: true, maxTraces: 10_000 } },
      onQueueError: "open",
    });
  });

  it.each([
    [{ name: "Acme\u202e" }, "name"],
    [{ limitz: {} }, "limitz"],
    [{ limits: { concurency: 1 } }, "limits.concurency"],
    [{ limits: { concurrency: -1 } }, "limits.concurrency"],
    [{ limits: { concurrency: 0 } }, "limits.concurrency"],
    [{ limits: { requestsPerMinute: 1.5 } }, "limits.requestsPerMinute"],
    [{ limits: { queue: { maxDepth: -1 } } }, "limits.queue.maxDepth"],
    [{ status: "off" }, "status"],
    [{ prices: { "openai/gpt-4o": { input: -1 } } }, "prices.openai/gpt-4o.input"],
    [{ prices: { "openai/gpt-4o": { input: 1, tokens: 2 } } }, "prices.openai/gpt-4o.tokens"],
    [{ prices: { "o/gpt-audio": { input: 1, inputAudio: "32" } } }, "prices.o/gpt-audio.inputAudio"],
    [{ prices: { "gpt-4o": { input: 1 } } }, "prices.gpt-4o"],
    [{ prices: { "openai/*-mini": { input: 1 } } }, "prices.openai/*-mini"],
    [{ prices: { "openai/gpt-4o": { input: 2_500_000 } } }, "prices.openai/gpt-4o.input"],
    [{ cache: { ttlSeconds: 59 } }, "cache.ttlSeconds"],
    [{ budget: { usd: 1 } }, "budget.period"],
    [{ tracing: { alwaysKeep: ["error", "never"] } }, "tracing.alwaysKeep[1]"],
    [{ defaultRoute: "No Such Name" }, "defaultRoute"],
    [{ id: "other" }, "id"],
  ])("is refused with the field's name: %j", (body, param) => {
    const fault = faultOf(() => parseTenant(body, "acme", DEPLOYED));
    expect(fault).toMatchObject({ code: "invalid_request", status: 400, details: { param } });
    expect(fault.message).toContain(param);
  });

  it.each([[null], [[]], ["text"], [7]])("must be an object, not %j", (body) => {
    expect(faultOf(() => parseTenant(body, "acme", DEPLOYED)).code).toBe("invalid_request");
  });

  it("may come back with the id that GET answers", () => {
    expect(parseTenant({ id: "acme", name: "Acme" }, "acme", DEPLOYED)).not.toHaveProperty("id");
  });

  it("names several faults at once", () => {
    const fault = faultOf(() => parseTenant({ status: 1, nope: 1 }, "acme", DEPLOYED));
    expect(fault.message).toMatch(/status.*nope/s);
  });

  it("refuses a private trace destination, unless private addresses are allowed", () => {
    const body = { tracing: { destinations: [{ name: "local", endpoint: "http://127.0.0.1:4318" }] } };
    expect(faultOf(() => parseTenant(body, "acme", DEPLOYED)).details.param).toBe(
      "tracing.destinations[0].endpoint",
    );
    expect(parseTenant(body, "acme", LOCAL).tracing.destinations).toHaveLength(1);
  });

  it("refuses two trace destinations of one name", () => {
    const destination = { name: "a", endpoint: "https://otlp.example.com" };
    const body = { tracing: { destinations: [destination, destination] } };
    expect(faultOf(() => parseTenant(body, "acme", DEPLOYED)).details.param).toBe(
      "tracing.destinations[1].name",
    );
  });
});

describe("a provider record", () => {
  it.each(["http://api.example.com/v1", "https://10.0.0.1/v1", "https://localhost/v1", "ftp://example.com"])(
    "refuses the base URL %s when deployed",
    (baseUrl) => {
      const fault = faultOf(() => parseProvider({ kind: "openai", baseUrl }, "up", DEPLOYED));
      expect(fault).toMatchObject({ code: "invalid_request", details: { param: "baseUrl" } });
    },
  );

  it("takes a private base URL where the deployment allows it", () => {
    const body = { kind: "openai-compatible", baseUrl: "http://127.0.0.1:11434/v1" };
    expect(parseProvider(body, "up", LOCAL).baseUrl).toBe(body.baseUrl);
  });

  it("needs a base URL for a kind that has none of its own", () => {
    expect(faultOf(() => parseProvider({ kind: "openai-compatible" }, "up", DEPLOYED)).details.param).toBe(
      "baseUrl",
    );
    expect(parseProvider({ kind: "openai" }, "up", DEPLOYED).kind).toBe("openai");
    expect(parseProvider({ kind: "sim" }, "up", DEPLOYED).kind).toBe("sim");
  });

  it.each(["nope", "", "OpenAI", "constructor"])("of the unknown kind %j names the known ones", (kind) => {
    const { message, details } = faultOf(() => parseProvider({ kind }, "up", DEPLOYED));
    expect(details.param).toBe("kind");
    expect(message).toContain(REGISTERED_KINDS.join(", "));
  });

  it.each([
    [{ kind: "nope" }, "kind"],
    [{ kind: "sim", apikey: "x" }, "apikey"],
    [{ kind: "sim", headers: { "bad name": "x" } }, "headers.bad name"],
    [{ kind: "sim", headers: { ok: "line\nbreak" } }, "headers.ok"],
    [{ kind: "openai", baseUrl: "https://api.example.com/v1?x=1" }, "baseUrl"],
    [{ kind: "openai", baseUrl: "https://user:secret@api.example.com/v1" }, "baseUrl"],
    [{ kind: "ollama" }, "baseUrl"],
    [{ kind: "litellm" }, "baseUrl"],
    [{ kind: "openai", options: { region: "x@127.0.0.1:25320/" } }, "options.region"],
    [{ kind: "openai", options: { location: "evil.example/" } }, "options.location"],
    [{ kind: "openai", options: { apiVersion: "v1/../../secret" } }, "options.apiVersion"],
    [{ kind: "openai", options: { deployment: ".." } }, "options.deployment"],
    [{ kind: "openai", options: { accountId: "a/b" } }, "options.accountId"],
    [{ kind: "openai", options: { text: "a\u001b[31m" } }, "options.text"],
  ])("is refused with the field's name: %j", (body, param) => {
    expect(faultOf(() => parseProvider(body, "up", DEPLOYED)).details.param).toBe(param);
  });

  it("never says a secret in its refusal", () => {
    const fault = faultOf(() => parseProvider({ kind: "openai", apiKey: "sk-canary\n" }, "up", DEPLOYED));
    expect(fault.details.param).toBe("apiKey");
    expect(fault.message).not.toContain("canary");
  });
});

const withSemantic = (semantic: object) => ({
  targets: [{ provider: "p", model: "m" }],
  cache: { semantic },
});

describe("a route record", () => {
  it("has no semantic cache unless it names a model for it, whose other settings have defaults", () => {
    expect(parseRoute({ targets: [{ provider: "p", model: "m" }] }, "r").cache).toBeUndefined();
    expect(parseRoute(withSemantic({ embedding: "p/org/m" }), "r").cache).toEqual({
      semantic: { embedding: "p/org/m", threshold: 0.95, maxEntries: 1000, timeoutMs: 1000 },
    });
  });

  it("may name a provider that does not exist yet, and gets its defaults", () => {
    const route = parseRoute({ targets: [{ provider: "later", model: "m" }] }, "r");
    expect(route).toMatchObject({ strategy: "fallback", retries: { maxAttempts: 3, baseDelayMs: 250 } });
  });

  it.each([
    [{}, "targets"],
    [{ targets: [] }, "targets"],
    [{ targets: [{ provider: "P!", model: "m" }] }, "targets[0].provider"],
    [{ targets: [{ provider: "p", model: "m", weight: -1 }] }, "targets[0].weight"],
    [{ targets: [{ provider: "p", model: "m/../x" }] }, "targets[0].model"],
    [{ targets: [{ provider: "p", model: "m\u0007" }] }, "targets[0].model"],
    [withSemantic({ embedding: "p/%2e%2e/m" }), "cache.semantic.embedding"],
    [{ targets: [{ provider: "p", model: "m" }], retries: { maxAttempts: 0 } }, "retries.maxAttempts"],
    [withSemantic({}), "cache.semantic.embedding"],
    [withSemantic({ embedding: "no-model" }), "cache.semantic.embedding"],
    [withSemantic({ embedding: "p/m", threshold: 0.4 }), "cache.semantic.threshold"],
    [withSemantic({ embedding: "p/m", threshold: 1.1 }), "cache.semantic.threshold"],
    [withSemantic({ embedding: "p/m", maxEntries: 0 }), "cache.semantic.maxEntries"],
    [withSemantic({ embedding: "p/m", maxEntries: 10_001 }), "cache.semantic.maxEntries"],
    [withSemantic({ embedding: "p/m", timeoutMs: 49 }), "cache.semantic.timeoutMs"],
    [withSemantic({ embedding: "p/m", dimensions: 5000 }), "cache.semantic.dimensions"],
    [withSemantic({ embedding: "p/m", treshold: 0.9 }), "cache.semantic.treshold"],
  ])("is refused with the field's name: %j", (body, param) => {
    expect(faultOf(() => parseRoute(body, "r")).details.param).toBe(param);
  });
});

describe("a key", () => {
  it("needs a name and no past expiry", () => {
    expect(faultOf(() => parseKey({}, NOW)).details.param).toBe("name");
    expect(faultOf(() => parseKey({ name: "k\n" }, NOW)).details.param).toBe("name");
    const disguised = { name: "k", metadata: { team: "\u202eder" } };
    expect(faultOf(() => parseKey(disguised, NOW)).details.param).toBe("metadata.team");
    const past = { name: "k", expiresAt: "2025-12-31T00:00:00Z" };
    expect(faultOf(() => parseKey(past, NOW)).details.param).toBe("expiresAt");
    expect(parseKey({ name: "k", expiresAt: "2026-02-01T00:00:00Z" }, NOW).name).toBe("k");
  });

  it("rotates with no overlap unless asked for one", () => {
    expect(parseRotation(undefined)).toBe(0);
    expect(parseRotation({ overlapSeconds: 90 })).toBe(90_000);
    expect(faultOf(() => parseRotation({ overlapSeconds: -1 })).details.param).toBe("overlapSeconds");
  });
});

it.each(["", "Acme", "a b", "a/b", "-a", "a".repeat(64), "__proto__"])("refuses the name %j", (name) => {
  expect(faultOf(() => parseName("tenant", name)).details.param).toBe("tenant");
});
