/** Secrets at rest: sealed under one key and one place, masked for show, opened for use. */
import { describe, expect, it } from "vitest";
import { createRecordOpener } from "../../../../src/tenants/records/open-records.ts";
import { parseProvider, parseTenant } from "../../../../src/tenants/records/parse-record.ts";
import { viewProvider, viewTenant } from "../../../../src/tenants/records/record-views.ts";
import type { ProviderRecord, StoredTenant, TenantBundle } from "../../../../src/tenants/records/records.ts";
import {
  keepProviderSecrets,
  keepTenantSecrets,
  sealProvider,
  sealTenant,
} from "../../../../src/tenants/records/seal-records.ts";
import {
  maskSecret,
  openSecret,
  sealSecret,
  type SecretPlace,
} from "../../../../src/tenants/records/sealing.ts";

const MASTER_KEY = btoa("m".repeat(32));
const OTHER_KEY = btoa("o".repeat(32));
const SECRET = "sk-canary-0123456789abcdef";
const PLACE: SecretPlace = { tenantId: "acme", kind: "provider.apiKey", name: "openai" };
const RULES = { allowPrivateUpstreams: false, defaultBaseUrl: () => "https://api.example.com/v1" };
const LOCAL_RULES = { ...RULES, allowPrivateUpstreams: true };

function bundleOf(parts: Partial<TenantBundle>): TenantBundle {
  const { tracing, ...rest } = parseTenant({}, "acme", RULES);
  const tenant = { ...rest, tracing: { ...tracing, destinations: [] } };
  return { id: "acme", version: 1, cacheEpoch: 0, tenant, keys: [], providers: {}, routes: {}, ...parts };
}

describe("a sealed secret", () => {
  it("opens to the same text", async () => {
    const sealed = await sealSecret(SECRET, PLACE, MASTER_KEY);
    expect(await openSecret(sealed, PLACE, MASTER_KEY)).toBe(SECRET);
  });

  it("is nonce, ciphertext and tag in base64, new each time, without the secret in it", async () => {
    const [one, two] = [
      await sealSecret(SECRET, PLACE, MASTER_KEY),
      await sealSecret(SECRET, PLACE, MASTER_KEY),
    ];
    expect(atob(one)).toHaveLength(12 + SECRET.length + 16);
    expect(one.slice(0, 16)).not.toBe(two.slice(0, 16));
    expect(atob(one)).not.toContain("canary");
  });

  it.each([
    ["another tenant", { ...PLACE, tenantId: "evil" }],
    ["another provider", { ...PLACE, name: "other" }],
    ["another kind", { ...PLACE, kind: "provider.header" as const }],
  ])("does not open in the place of %s", async (_, place) => {
    const sealed = await sealSecret(SECRET, PLACE, MASTER_KEY);
    await expect(openSecret(sealed, place, MASTER_KEY)).rejects.toMatchObject({ code: "unavailable" });
  });

  it("does not open under another master key, and the fault names the provider only", async () => {
    const sealed = await sealSecret(SECRET, PLACE, MASTER_KEY);
    const fault = await openSecret(sealed, PLACE, OTHER_KEY).catch((thrown: Error) => thrown);
    expect(fault).toMatchObject({ code: "unavailable", details: { param: "openai" } });
    expect(String(fault)).toContain('provider "openai"');
    expect(String(fault)).not.toMatch(/canary|sk-/);
  });

  it.each(["", "AAAA", "not base64!"])("does not open when it is %j", async (sealed) => {
    await expect(openSecret(sealed, PLACE, MASTER_KEY)).rejects.toMatchObject({ code: "unavailable" });
  });

  it("does not open when one bit is changed", async () => {
    const bytes = atob(await sealSecret(SECRET, PLACE, MASTER_KEY));
    const flipped = bytes.slice(0, 20) + String.fromCharCode(bytes.charCodeAt(20) ^ 1) + bytes.slice(21);
    await expect(openSecret(btoa(flipped), PLACE, MASTER_KEY)).rejects.toMatchObject({ code: "unavailable" });
  });

  it("needs MASTER_KEY, and says so", async () => {
    await expect(sealSecret(SECRET, PLACE, undefined)).rejects.toMatchObject({
      code: "unavailable",
      details: { param: "MASTER_KEY" },
    });
  });
});

it.each([
  ["sk-proj-abcdefgh9f2c", "sk-…9f2c"],
  ["short", "…"],
  ["fifteen-chars-x", "…"],
])("shows %s as %s", (secret, mask) => {
  expect(maskSecret(secret)).toBe(mask);
});

describe("a provider's secrets", () => {
  const BODY = { kind: "openai", apiKey: SECRET, headers: { "X-Org": "org-canary-0123456789" } };

  async function store(body: unknown, before?: ProviderRecord, rules = RULES): Promise<ProviderRecord> {
    const input = parseProvider(body, "openai", rules);
    return keepProviderSecrets(await sealProvider("acme", "openai", input, MASTER_KEY), before);
  }

  it("are in no stored record and in no view", async () => {
    const record = await store(BODY);
    expect(JSON.stringify(record)).not.toContain("canary");
    expect(viewProvider("openai", record)).toMatchObject({
      name: "openai",
      apiKey: "sk-…cdef",
      headers: { "x-org": "org…6789" },
    });
  });

  it("are kept when a view is sent back", async () => {
    const record = await store(BODY);
    expect(await store(viewProvider("openai", record), record)).toEqual(record);
  });

  it("go when they are left out", async () => {
    expect(await store({ kind: "openai" }, await store(BODY))).toEqual(
      expect.not.objectContaining({ apiKey: expect.anything() }),
    );
  });

  it("are refused as a mask that is of nothing stored", async () => {
    const fault = { code: "invalid_request", details: { param: "apiKey" } };
    await expect(store({ kind: "openai", apiKey: "sk-…0000" })).rejects.toMatchObject(fault);
    await expect(store({ kind: "openai", apiKey: "sk-…0000" }, await store(BODY))).rejects.toMatchObject(
      fault,
    );
  });

  it("are opened for an attempt, with the kind's own base URL where the record has none", async () => {
    const opener = createRecordOpener(MASTER_KEY, RULES);
    const bundle = bundleOf({ providers: { openai: await store(BODY) } });
    const account = await opener.openProvider(bundle, "openai");
    expect(account).toMatchObject({
      name: "openai",
      baseUrl: "https://api.example.com/v1",
      apiKey: SECRET,
      headers: { "x-org": "org-canary-0123456789" },
    });
    expect(await opener.openProvider(bundle, "openai")).toBe(account);
  });

  it("are not opened for an address that the deployment's rules have come to refuse", async () => {
    const record = await store({ ...BODY, baseUrl: "https://10.0.0.7/v1" }, undefined, LOCAL_RULES);
    const bundle = bundleOf({ providers: { openai: record } });
    await expect(createRecordOpener(MASTER_KEY, RULES).openProvider(bundle, "openai")).rejects.toMatchObject({
      code: "unavailable",
      message: 'The base URL of "openai" must be a public address.',
    });
    const local = createRecordOpener(MASTER_KEY, LOCAL_RULES);
    expect((await local.openProvider(bundle, "openai")).baseUrl).toBe("https://10.0.0.7/v1");
  });

  it.each(["nobody", "constructor", "toString"])("are not there for a provider %s", async (name) => {
    const opener = createRecordOpener(MASTER_KEY, RULES);
    await expect(opener.openProvider(bundleOf({}), name)).rejects.toMatchObject({ code: "model_not_found" });
  });
});

describe("a trace destination's headers", () => {
  const BODY = {
    tracing: {
      destinations: [
        {
          name: "grafana",
          endpoint: "https://otlp.example.com",
          headers: { Authorization: "Basic canary-0123456789" },
        },
      ],
    },
  };

  async function store(body: unknown, before?: StoredTenant): Promise<StoredTenant> {
    const record = parseTenant(body, "acme", RULES);
    return keepTenantSecrets(await sealTenant("acme", record, MASTER_KEY), before);
  }

  it("are sealed, masked, kept and opened like a provider's", async () => {
    const stored = await store(BODY);
    const view = viewTenant("acme", stored);
    expect(JSON.stringify([stored, view])).not.toContain("canary");
    expect(await store(view, stored)).toEqual(stored);
    const opened = await createRecordOpener(MASTER_KEY, RULES).openDestinations(bundleOf({ tenant: stored }));
    expect(opened).toMatchObject([
      { name: "grafana", headers: { authorization: "Basic canary-0123456789" }, gzip: false },
    ]);
  });

  it("are not carried over to a destination of another name", async () => {
    const stored = await store(BODY);
    const view = viewTenant("acme", stored);
    const renamed = view.tracing.destinations.map((destination) => ({ ...destination, name: "other" }));
    const body = { ...view, tracing: { ...view.tracing, destinations: renamed } };
    await expect(store(body, stored)).rejects.toMatchObject({
      details: { param: "tracing.destinations[0].headers.authorization" },
    });
  });
});
