/** Secrets at rest: sealed under one key and one place, masked for show, opened for use. */
import { describe, expect, it } from "vitest";
import { providerOf, REGISTERED_KINDS } from "../../../../src/providers/registry.ts";
import { audienceOfProvider } from "../../../../src/tenants/records/audience.ts";
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
const PLACE: SecretPlace = {
  tenantId: "acme",
  kind: "provider.apiKey",
  name: "openai",
  audience: "openai default",
};
const RULES = {
  allowPrivateUpstreams: false,
  providerKinds: REGISTERED_KINDS,
  defaultBaseUrl: () => "https://api.example.com/v1",
};
const LOCAL_RULES = { ...RULES, allowPrivateUpstreams: true };

function bundleOf(parts: Partial<TenantBundle>): TenantBundle {
  const { tracing, alerts: _alerts, ...rest } = parseTenant({}, "acme", RULES);
  const tenant = { ...rest, tracing: { ...tracing, destinations: [] } };
  return { id: "acme", version: 1, cacheEpoch: 0, tenant, keys: [], providers: {}, routes: {}, ...parts };
}

/** Nonce, ciphertext and tag in base64, as earlier versions sealed: with this additional data. */
async function sealedAs(text: string, bound: string): Promise<string> {
  const nonce = new Uint8Array(12).fill(5);
  const bytes = (from: string) => new TextEncoder().encode(from);
  const raw = Uint8Array.from(atob(MASTER_KEY), (character) => character.charCodeAt(0));
  const key = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt"]);
  const algorithm = { name: "AES-GCM", iv: nonce, additionalData: bytes(bound) };
  const sealed = await crypto.subtle.encrypt(algorithm, key, bytes(text));
  return btoa(String.fromCharCode(...nonce, ...new Uint8Array(sealed)));
}

describe("a sealed secret", () => {
  it("opens to the same text", async () => {
    const sealed = await sealSecret(SECRET, PLACE, [MASTER_KEY]);
    expect(await openSecret(sealed, PLACE, [MASTER_KEY])).toBe(SECRET);
  });

  it("is nonce, ciphertext and tag in base64, new each time, without the secret in it", async () => {
    const [one, two] = [
      await sealSecret(SECRET, PLACE, [MASTER_KEY]),
      await sealSecret(SECRET, PLACE, [MASTER_KEY]),
    ];
    const [version, keyId, body = ""] = one.split(".");
    expect([version, keyId]).toEqual(["v3", expect.stringMatching(/^[0-9a-f]{8}$/)]);
    expect(atob(body)).toHaveLength(12 + SECRET.length + 16);
    expect(one.slice(0, 28)).not.toBe(two.slice(0, 28));
    expect(atob(body)).not.toContain("canary");
  });

  it.each([
    ["another tenant", { ...PLACE, tenantId: "evil" }],
    ["another provider", { ...PLACE, name: "other" }],
    ["another kind", { ...PLACE, kind: "provider.header" as const }],
    ["another host", { ...PLACE, audience: "openai https://evil.example" }],
    ["another service", { ...PLACE, audience: "anthropic default" }],
  ])("does not open in the place of %s", async (_, place) => {
    const sealed = await sealSecret(SECRET, PLACE, [MASTER_KEY]);
    await expect(openSecret(sealed, place, [MASTER_KEY])).rejects.toMatchObject({ code: "unavailable" });
  });

  it("does not open under another master key, and the fault names the provider only", async () => {
    const sealed = await sealSecret(SECRET, PLACE, [MASTER_KEY]);
    const fault = await openSecret(sealed, PLACE, [OTHER_KEY]).catch((thrown: Error) => thrown);
    expect(fault).toMatchObject({ code: "unavailable", details: { param: "openai" } });
    expect(String(fault)).toContain('provider "openai"');
    expect(String(fault)).not.toMatch(/canary|sk-/);
  });

  it.each(["", "AAAA", "not base64!"])("does not open when it is %j", async (sealed) => {
    await expect(openSecret(sealed, PLACE, [MASTER_KEY])).rejects.toMatchObject({ code: "unavailable" });
  });

  it("does not open when one bit is changed", async () => {
    const [version, keyId, body = ""] = (await sealSecret(SECRET, PLACE, [MASTER_KEY])).split(".");
    const bytes = atob(body);
    const flipped = bytes.slice(0, 20) + String.fromCharCode(bytes.charCodeAt(20) ^ 1) + bytes.slice(21);
    const altered = [version, keyId, btoa(flipped)].join(".");
    await expect(openSecret(altered, PLACE, [MASTER_KEY])).rejects.toMatchObject({ code: "unavailable" });
  });

  it("opens under the key before, by its id, while both are set", async () => {
    const before = await sealSecret(SECRET, PLACE, [MASTER_KEY]);
    expect(await openSecret(before, PLACE, [OTHER_KEY, MASTER_KEY])).toBe(SECRET);
    const after = await sealSecret(SECRET, PLACE, [OTHER_KEY, MASTER_KEY]);
    expect(await openSecret(after, PLACE, [OTHER_KEY])).toBe(SECRET);
    expect(after.split(".")[1]).not.toBe(before.split(".")[1]);
  });

  it("of the form before key ids is still read, under either key", async () => {
    const old = await sealedAs(SECRET, "acme/provider.apiKey/openai");
    expect(await openSecret(old, PLACE, [MASTER_KEY])).toBe(SECRET);
    expect(await openSecret(old, PLACE, [OTHER_KEY, MASTER_KEY])).toBe(SECRET);
    await expect(openSecret(old, { ...PLACE, name: "x" }, [MASTER_KEY])).rejects.toMatchObject({
      code: "unavailable",
    });
  });

  it("of the form before host options is still read, and one of today is not as such", async () => {
    const inRegion = { ...PLACE, audience: `${PLACE.audience} region=eu-west-1` };
    const old = await sealedAs(SECRET, '["acme","provider.apiKey","openai","openai default"]');
    const [, keyId, today] = (await sealSecret(SECRET, PLACE, [MASTER_KEY])).split(".");
    expect(await openSecret(`v2.${keyId}.${old}`, inRegion, [MASTER_KEY])).toBe(SECRET);
    for (const moved of [`v2.${keyId}.${today}`, `v3.${keyId}.${today}`, `v3.${keyId}.${old}`])
      await expect(openSecret(moved, inRegion, [MASTER_KEY])).rejects.toMatchObject({ code: "unavailable" });
  });

  it("needs MASTER_KEY, and says so", async () => {
    await expect(sealSecret(SECRET, PLACE, [])).rejects.toMatchObject({
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
    return keepProviderSecrets(await sealProvider("acme", "openai", input, [MASTER_KEY]), before);
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

  it.each<[string, object]>([
    ["host", { baseUrl: "https://evil.example/v1" }],
    ["port", { baseUrl: "https://api.openai.com:8443/v1" }],
    ["scheme", { baseUrl: "http://api.openai.com/v1" }],
    ["kind", { kind: "openai-compatible" }],
  ])("are not kept for another %s: a mask would carry them off", async (_, changed) => {
    const before = await store({ ...BODY, baseUrl: "https://api.openai.com/v1" }, undefined, LOCAL_RULES);
    const view = { ...viewProvider("openai", before), ...changed };
    await expect(store(view, before, LOCAL_RULES)).rejects.toMatchObject({
      code: "invalid_request",
      details: { param: "apiKey" },
      message: expect.stringContaining("Send the secret again"),
    });
    const headersOnly = { ...view, apiKey: "sk-new-0123456789abcdef" };
    await expect(store(headersOnly, before, LOCAL_RULES)).rejects.toMatchObject({
      details: { param: "headers.x-org" },
    });
  });

  it.each([
    ["bedrock", { region: "eu-west-1" }, { region: "us-east-1" }],
    ["bedrock", {}, { region: "us-east-1" }],
    ["bedrock", { region: "eu-west-1", accessKeyId: "AKIA0123456789" }, { accessKeyId: "AKIA0123456789" }],
    ["vertex", { project: "p", location: "europe-west4" }, { project: "p", location: "global" }],
    ["vertex", { project: "p" }, { project: "p", location: "us" }],
  ])("are not kept for another host that %s makes of its options: %j, then %j", async (kind, then, now) => {
    const before = await store({ ...BODY, kind, options: then });
    const view = { ...viewProvider("openai", before), options: now };
    await expect(store(view, before)).rejects.toMatchObject({ details: { param: "apiKey" } });
    expect((await store({ ...view, options: then }, before)).apiKey).toEqual(before.apiKey);
  });

  it("have an audience of their own for each host that any kind can make of its options", () => {
    const names = ["region", "location", "accountId", "project", "deployment", "apiVersion", "resource"];
    for (const kind of REGISTERED_KINDS) {
      const { defaultBaseUrl = "https://own.example", baseUrlOf } = providerOf(kind);
      const account = { name: "a", kind, baseUrl: defaultBaseUrl, headers: {}, propagateTrace: false };
      const hosts = new Map<string, string>();
      for (const name of ["", ...names])
        for (const value of ["eu-west-1", "us-east5", "us", "global"]) {
          const options = name === "" ? {} : { [name]: value };
          const url = baseUrlOf === undefined ? defaultBaseUrl : baseUrlOf({ ...account, options });
          const audience = audienceOfProvider({ kind, options });
          // A binding has no address, and gets no credential.
          if (url === undefined) continue;
          const { origin } = new URL(url);
          expect(hosts.get(audience) ?? origin, `${kind} ${JSON.stringify(options)}`).toBe(origin);
          hosts.set(audience, origin);
        }
    }
  });

  it("are kept when only the path or another field changes", async () => {
    const before = await store({ ...BODY, baseUrl: "https://api.openai.com/v1" });
    const view = {
      ...viewProvider("openai", before),
      baseUrl: "https://api.openai.com/v2",
      propagateTrace: true,
    };
    expect((await store(view, before)).apiKey).toEqual(before.apiKey);
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
    const opener = createRecordOpener([MASTER_KEY], RULES);
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
    await expect(
      createRecordOpener([MASTER_KEY], RULES).openProvider(bundle, "openai"),
    ).rejects.toMatchObject({
      code: "unavailable",
      message: 'The base URL of "openai" must be a public address.',
    });
    const local = createRecordOpener([MASTER_KEY], LOCAL_RULES);
    expect((await local.openProvider(bundle, "openai")).baseUrl).toBe("https://10.0.0.7/v1");
  });

  it.each(["absent", "constructor", "toString"])("are not there for a provider %s", async (name) => {
    const opener = createRecordOpener([MASTER_KEY], RULES);
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
    return keepTenantSecrets(await sealTenant("acme", record, [MASTER_KEY]), before);
  }

  it("are sealed, masked, kept and opened like a provider's", async () => {
    const stored = await store(BODY);
    const view = viewTenant("acme", stored);
    expect(JSON.stringify([stored, view])).not.toContain("canary");
    expect(await store(view, stored)).toEqual(stored);
    const opened = await createRecordOpener([MASTER_KEY], RULES).openDestinations(
      bundleOf({ tenant: stored }),
    );
    expect(opened).toMatchObject([
      { name: "grafana", headers: { authorization: "Basic canary-0123456789" }, gzip: false },
    ]);
  });

  it.each([{ endpoint: "https://evil.example" }, { preset: "jaeger" }])(
    "are not kept for another address or service: %j",
    async (changed) => {
      const stored = await store(BODY);
      const view = viewTenant("acme", stored);
      const moved = view.tracing.destinations.map((destination) => ({ ...destination, ...changed }));
      await expect(
        store({ ...view, tracing: { ...view.tracing, destinations: moved } }, stored),
      ).rejects.toMatchObject({ details: { param: "tracing.destinations[0].headers.authorization" } });
    },
  );

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
