/** The admin plane's service against a scripted directory: races, repeats and faults that the real one rarely has. */
import { expect, it } from "vitest";
import { REGISTERED_KINDS } from "../../../../src/providers/registry.ts";
import type { DirectoryRpc } from "../../../../src/tenants/directory/directory-api.ts";
import {
  createDirectoryClient,
  type DirectoryClientDeps,
} from "../../../../src/tenants/directory/directory-client.ts";
import { parseTenant } from "../../../../src/tenants/records/parse-record.ts";
import {
  keepProviderSecrets,
  keepTenantSecrets,
  sealTenant,
} from "../../../../src/tenants/records/seal-records.ts";

const RULES = {
  allowPrivateUpstreams: false,
  providerKinds: REGISTERED_KINDS,
  defaultBaseUrl: () => undefined,
};

function clientOf(directory: Partial<DirectoryRpc>, more: Partial<DirectoryClientDeps> = {}) {
  return createDirectoryClient(
    {
      // Each test scripts the methods that its call needs; another one would fail it.
      directory: () => directory as DirectoryRpc,
      masterKeys: [],
      rules: RULES,
      randomBytes: (count) => new Uint8Array(count),
      now: () => 0,
      ...more,
    },
    { actor: "admin" },
  );
}

async function storedTenant(body: unknown) {
  return keepTenantSecrets(await sealTenant("acme", parseTenant(body, "acme", RULES), []), undefined);
}

const STALE = { ok: false, code: "precondition_failed", message: "The record has changed." } as const;

it("begins a patch again when another writer came between, and loses neither's change", async () => {
  const states = [
    { value: await storedTenant({ name: "old" }), revision: 1 },
    { value: await storedTenant({ name: "old", limits: { concurrency: 2 } }), revision: 2 },
  ];
  let reads = 0;
  const client = clientOf({
    getTenant: async () => states[reads++],
    putTenant: async (_, record, ask) =>
      ask.ifMatch === '"2"'
        ? { ok: true, value: { value: keepTenantSecrets(record, undefined), revision: 3, created: false } }
        : STALE,
  });
  expect((await client.patchTenant("acme", { name: "new" })).value).toMatchObject({
    name: "new",
    limits: { concurrency: 2 },
  });
  expect(reads).toBe(2);
});

it("refuses a patch whose own if-match is stale without a second try", async () => {
  let reads = 0;
  const value = await storedTenant({});
  const client = clientOf({
    getTenant: async () => {
      reads += 1;
      return { value, revision: 2 };
    },
  });
  await expect(client.patchTenant("acme", {}, '"1"')).rejects.toMatchObject({ status: 412 });
  expect(reads).toBe(1);
});

it("refuses an embedding that could never be made: of no provider, or of a kind that has none", async () => {
  const provider = { kind: "anthropic", headers: {}, options: {}, propagateTrace: false } as const;
  const missing = { ok: false, code: "not_found", message: "no provider" } as const;
  const value = await storedTenant({});
  let written = 0;
  const clientWith = (has: boolean, knows: boolean) =>
    clientOf(
      {
        getTenant: async () => ({ value, revision: 1 }),
        // The only kind of record that is asked for.
        getRecord: (async () =>
          has ? { ok: true, value: { value: provider, revision: 1 } } : missing) as DirectoryRpc["getRecord"],
        async putRoute(_, __, record) {
          written += 1;
          return { ok: true, value: { value: record, revision: 2, created: true } };
        },
      },
      { hasEmbeddings: () => knows },
    );
  const route = {
    targets: [{ provider: "later", model: "m" }],
    cache: { semantic: { embedding: "up/e" } },
  };
  const faultOf = (has: boolean, knows: boolean) => clientWith(has, knows).putRoute("acme", "r", route);
  const param = "cache.semantic.embedding";
  await expect(faultOf(false, true)).rejects.toMatchObject({
    code: "invalid_request",
    details: { param },
    message: `${param}: the tenant has no provider "up". Create it first.`,
  });
  await expect(faultOf(true, false)).rejects.toMatchObject({ code: "invalid_request", details: { param } });
  expect(written).toBe(0);
  await faultOf(true, true);
  expect(written).toBe(1);
});

it("asks a second time where the runtime says that it may, and not where the object is overloaded", async () => {
  const faults: readonly (readonly [object, number])[] = [
    [{ retryable: true }, 2],
    [{ durableObjectReset: true }, 2],
    [{ retryable: true, overloaded: true }, 1],
    [{}, 1],
  ];
  for (const [marks, calls] of faults) {
    let asked = 0;
    const client = clientOf({
      listTenants: async () => {
        asked += 1;
        throw Object.assign(new Error("secret detail"), marks);
      },
    });
    const fault = await client.listTenants({ limit: 1 }).catch((thrown: Error) => thrown);
    expect(fault).toMatchObject({ code: "unavailable", status: 503 });
    expect(fault).toHaveProperty("message", expect.not.stringContaining("secret detail"));
    expect(asked).toBe(calls);
  }
});

it("does not call a fault of the object's own code an outage", async () => {
  const bug = Object.assign(new TypeError("x is undefined"), { remote: true });
  const client = clientOf({
    listTenants: async () => {
      throw bug;
    },
  });
  await expect(client.listTenants({ limit: 1 })).rejects.toBe(bug);
});

it("throws the directory's refusal with its code and field", async () => {
  const client = clientOf({
    addKey: async () => ({ ok: false, code: "conflict", message: "too many", param: "keys" }),
  });
  await expect(client.createKey("acme", { name: "k" })).rejects.toMatchObject({
    code: "conflict",
    status: 409,
    message: "too many",
    details: { param: "keys" },
  });
});

it("says that MASTER_KEY is missing only when there is a secret to seal", async () => {
  const client = clientOf({
    putProvider: async (_, __, record) => ({
      ok: true,
      value: { value: keepProviderSecrets(record, undefined), revision: 1, created: true },
    }),
  });
  await expect(client.putProvider("acme", "sim", { kind: "sim" })).resolves.toMatchObject({ created: true });
  await expect(client.putProvider("acme", "sim", { kind: "sim", apiKey: "secret" })).rejects.toMatchObject({
    code: "unavailable",
    details: { param: "MASTER_KEY" },
  });
});

it("shows when a key was last used, and null where that is not known", async () => {
  const value = { id: "key_1", name: "k", hash: "h", createdAt: "2026-01-01T00:00:00.000Z" };
  const directory: Partial<DirectoryRpc> = {
    // The page's type follows the kind that is asked for, which is keys here.
    listRecords: (async () => ({
      ok: true,
      value: { items: [{ name: "key_1", revision: 1, value }], cursor: null },
    })) as unknown as DirectoryRpc["listRecords"],
  };
  const shownBy = async (lastUsed: DirectoryClientDeps["lastUsed"]): Promise<unknown> => {
    const client = clientOf(directory, lastUsed === undefined ? {} : { lastUsed });
    return (await client.listKeys("acme", { limit: 1 })).items[0]?.lastUsedAt;
  };
  expect(await shownBy(async () => ({ key_1: 1000 }))).toBe("1970-01-01T00:00:01.000Z");
  expect(await shownBy(async () => ({ key_2: 1000 }))).toBeNull();
  expect(await shownBy(async () => Promise.reject(new Error("down")))).toBeNull();
  expect(await shownBy(undefined)).toBeNull();
});
