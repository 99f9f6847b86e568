/** The directory object, KV and the queue objects together: who sees what after a write, and what is left nowhere. */
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { TenantQueue } from "../../../src/limits/object/tenant-queue.ts";
import { hashKey } from "../../../src/tenants/key-format.ts";
import type { TenantBundle } from "../../../src/tenants/records/records.ts";
import {
  directoryClient,
  directoryRpc,
  directoryStub,
  dumpDirectory,
  dumpKv,
  newTenantId,
  queueRpc,
  finishErasures,
} from "./directory-access.ts";

const directory = directoryClient();
const ROUTE = { targets: [{ provider: "openai", model: "gpt-4o-mini" }] };
const PAGE = { limit: 100 };

let tenantId: string;
beforeEach(async () => {
  tenantId = newTenantId();
  await directory.putTenant(tenantId, { name: "Acme", limits: { concurrency: 4 } });
});

async function bundleInKv(): Promise<TenantBundle | null> {
  return env.TENANTS.get<TenantBundle>(`tenant/${tenantId}`, "json");
}

describe("a write", () => {
  it("is seen by the next read, whatever was written", async () => {
    expect((await directory.getTenant(tenantId)).value.name).toBe("Acme");
    await directory.putProvider(tenantId, "openai", { kind: "openai" });
    expect((await directory.getProvider(tenantId, "openai")).value.kind).toBe("openai");
    await directory.putRoute(tenantId, "chat", ROUTE);
    expect((await directory.getRoute(tenantId, "chat")).value.targets).toMatchObject(ROUTE.targets);
    const { id } = await directory.createKey(tenantId, { name: "k" });
    expect((await directory.listKeys(tenantId, PAGE)).items).toMatchObject([{ id, name: "k" }]);
    await directory.deleteKey(tenantId, id);
    await directory.deleteRoute(tenantId, "chat");
    await directory.deleteProvider(tenantId, "openai");
    expect((await directory.listKeys(tenantId, PAGE)).items).toEqual([]);
    expect((await directory.listRoutes(tenantId, PAGE)).items).toEqual([]);
    expect((await directory.listProviders(tenantId, PAGE)).items).toEqual([]);
  });

  it("is known to the tenant's queue object when it is answered, however slow that is", async () => {
    const before = await queueRpc(tenantId).configVersion();
    const { configChanged } = TenantQueue.prototype;
    const spy = vi.spyOn(TenantQueue.prototype, "configChanged").mockImplementation(async function (
      this: TenantQueue,
      version,
      limits,
    ) {
      await scheduler.wait(50);
      return configChanged.call(this, version, limits);
    });
    await directory.createKey(tenantId, { name: "k" });
    expect(spy).toHaveBeenCalledOnce();
    spy.mockRestore();
    expect(await queueRpc(tenantId).configVersion()).toBe(before + 1);
  });

  it("reaches KV as the whole bundle, equal to the directory's own", async () => {
    await directory.putProvider(tenantId, "openai", { kind: "openai" });
    await directory.putRoute(tenantId, "chat", ROUTE);
    const { id, key } = await directory.createKey(tenantId, { name: "k" });
    await vi.waitFor(async () => expect((await bundleInKv())?.version).toBe(4), { timeout: 5000 });
    const bundle = await bundleInKv();
    expect(bundle).toMatchObject({
      id: tenantId,
      cacheEpoch: 0,
      tenant: { name: "Acme", limits: { concurrency: 4 } },
      keys: [{ id, hash: await hashKey(key) }],
      providers: { openai: { kind: "openai" } },
      routes: { chat: ROUTE },
    });
    expect(JSON.parse((await directoryRpc().readBundle(tenantId)) ?? "")).toEqual(bundle);
    expect(await env.TENANTS.get(`key/${await hashKey(key)}`, "json")).toEqual({ tenantId, keyId: id });
  });
});

describe("tenants", () => {
  it("see nothing of one another", async () => {
    const other = newTenantId();
    await directory.putTenant(other, {});
    await directory.putProvider(tenantId, "openai", { kind: "openai", apiKey: "sk-of-the-first-tenant" });
    await directory.createKey(tenantId, { name: "k" });
    expect((await directory.listProviders(other, PAGE)).items).toEqual([]);
    expect((await directory.listKeys(other, PAGE)).items).toEqual([]);
    await expect(directory.getProvider(other, "openai")).rejects.toMatchObject({ code: "not_found" });
  });

  it("that do not exist have no records, and get none", async () => {
    const nobody = newTenantId();
    const fault = { code: "not_found", status: 404 };
    await expect(directory.getTenant(nobody)).rejects.toMatchObject(fault);
    await expect(directory.listKeys(nobody, PAGE)).rejects.toMatchObject(fault);
    await expect(directory.createKey(nobody, { name: "k" })).rejects.toMatchObject(fault);
    await expect(directory.putProvider(nobody, "sim", { kind: "sim" })).rejects.toMatchObject(fault);
    await expect(directory.purgeCache(nobody)).rejects.toMatchObject(fault);
    await expect(directory.deleteTenant(nobody)).rejects.toMatchObject(fault);
  });

  it("that are deleted take all with them, and one of the same name begins at a later version and epoch", async () => {
    const { key } = await directory.createKey(tenantId, { name: "k" });
    const hash = await hashKey(key);
    await directory.deleteTenant(tenantId);
    expect(await directoryRpc().findKey(hash)).toBeUndefined();
    expect(await directoryRpc().readBundle(tenantId)).toBeUndefined();
    await vi.waitFor(
      async () => {
        expect(await env.TENANTS.get(`tenant/${tenantId}`)).toBeNull();
        expect(await env.TENANTS.get(`key/${hash}`)).toBeNull();
      },
      { timeout: 5000 },
    );
    expect(await queueRpc(tenantId).configVersion()).toBe(3);
    await finishErasures();
    await directory.putTenant(tenantId, {});
    const bundle: TenantBundle = JSON.parse((await directoryRpc().readBundle(tenantId)) ?? "");
    expect(bundle).toMatchObject({ version: 4, cacheEpoch: 1, keys: [] });
  });

  it("are listed in pages by name, each once", async () => {
    const made = [newTenantId(), newTenantId(), newTenantId()];
    for (const id of made) await directory.putTenant(id, {});
    const seen: string[] = [];
    for (let cursor: string | null = ""; cursor !== null;) {
      const page = await directory.listTenants(cursor === "" ? { limit: 2 } : { limit: 2, cursor });
      expect(page.items.length).toBeLessThanOrEqual(2);
      seen.push(...page.items.map(({ id }) => id));
      ({ cursor } = page);
    }
    expect(seen).toEqual([...new Set(seen)].toSorted());
    expect(seen).toEqual(expect.arrayContaining(made));
  });
});

describe("a key", () => {
  it("leads nowhere once it is deleted, by the directory or by KV", async () => {
    const { id, key } = await directory.createKey(tenantId, { name: "k" });
    const hash = await hashKey(key);
    await directory.deleteKey(tenantId, id);
    expect(await directoryRpc().findKey(hash)).toBeUndefined();
    await vi.waitFor(async () => expect(await env.TENANTS.get(`key/${hash}`)).toBeNull(), { timeout: 5000 });
  });

  it("keeps its id when it is rotated, and its old secret ends at once", async () => {
    const old = await directory.createKey(tenantId, { name: "k", allowedModels: ["chat*"] });
    const rotated = await directory.rotateKey(tenantId, old.id, undefined);
    expect(rotated).toMatchObject({ id: old.id, name: "k", allowedModels: ["chat*"] });
    expect(rotated.key).not.toBe(old.key);
    expect(await directoryRpc().findKey(await hashKey(old.key))).toBeUndefined();
    expect(await directoryRpc().findKey(await hashKey(rotated.key))).toEqual({ tenantId, keyId: old.id });
  });

  it("lets its old secret live on for the overlap, and a second rotation ends it", async () => {
    const first = await directory.createKey(tenantId, { name: "k" });
    const second = await directory.rotateKey(tenantId, first.id, { overlapSeconds: 600 });
    expect(await directoryRpc().findKey(await hashKey(first.key))).toBeDefined();
    await directory.rotateKey(tenantId, first.id, { overlapSeconds: 600 });
    expect(await directoryRpc().findKey(await hashKey(first.key))).toBeUndefined();
    expect(await directoryRpc().findKey(await hashKey(second.key))).toBeDefined();
  });

  it("is rotated once although the call is repeated", async () => {
    const { id } = await directory.createKey(tenantId, { name: "k" });
    const hash = "b".repeat(64);
    const ask = { actor: "admin" };
    const once = await directoryRpc().rotateKey(tenantId, id, hash, 60_000, ask);
    expect(await directoryRpc().rotateKey(tenantId, id, hash, 60_000, ask)).toEqual(once);
  });

  it("is the thousandth at most", async () => {
    const { id } = await directory.createKey(tenantId, { name: "k" });
    await runInDurableObject(directoryStub(), (_, state) => {
      const insert =
        "INSERT INTO records SELECT tenant, kind, ?, revision, record FROM records WHERE name = ?";
      for (let made = 1; made < 1000; made += 1) state.storage.sql.exec(insert, `key_${made}`, id);
    });
    await expect(directory.createKey(tenantId, { name: "k" })).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining("1000"),
    });
    await directory.deleteKey(tenantId, "key_1");
    await expect(directory.createKey(tenantId, { name: "k" })).resolves.toHaveProperty("key");
  });
});

describe("a refused write", () => {
  it("leaves nothing behind, in the audit neither", async () => {
    const audit = await directory.listAudit({ limit: 1 });
    const version = await queueRpc(tenantId).configVersion();
    const { revision } = await directory.getTenant(tenantId);
    await expect(directory.putTenant(tenantId, { name: "x" }, '"99"')).rejects.toMatchObject({ status: 412 });
    await expect(
      directory.putProvider(tenantId, "openai", { kind: "openai", apiKey: "sk-…mask" }),
    ).rejects.toMatchObject({ details: { param: "apiKey" } });
    expect(await directory.getTenant(tenantId)).toMatchObject({ revision, value: { name: "Acme" } });
    expect(await queueRpc(tenantId).configVersion()).toBe(version);
    expect(await directory.listAudit({ limit: 1 })).toEqual(audit);
  });

  it("is one that would make the tenant's records too large for an isolate", async () => {
    const params = { text: "x".repeat(250_000) };
    const route = { targets: [{ provider: "p", model: "m", params }] };
    for (let made = 0; made < 16; made += 1) await directory.putRoute(tenantId, `big-${made}`, route);
    await expect(directory.putRoute(tenantId, "too-big", route)).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining("4194304"),
    });
    await expect(directory.getRoute(tenantId, "too-big")).rejects.toMatchObject({ code: "not_found" });
  });
});

it("keeps no secret in the clear, in KV or in SQLite", async () => {
  await directory.putProvider(tenantId, "openai", {
    kind: "openai",
    apiKey: "sk-canary-upstream-credential",
    headers: { "x-extra": "canary-header-credential" },
  });
  await directory.patchTenant(tenantId, {
    tracing: {
      destinations: [
        { name: "o", endpoint: "https://o.example.com", headers: { authorization: "Bearer canary-otlp" } },
      ],
    },
  });
  const { id, key } = await directory.createKey(tenantId, { name: "k" });
  const rotated = await directory.rotateKey(tenantId, id, { overlapSeconds: 60 });
  await vi.waitFor(async () => expect((await bundleInKv())?.version).toBe(5), { timeout: 5000 });
  const everything = JSON.stringify([...(await dumpKv())]) + (await dumpDirectory());
  expect(everything).toContain(tenantId);
  for (const secret of ["canary", key.slice(3), rotated.key.slice(3)])
    expect(everything).not.toContain(secret);
});

it("writes down who changed what, newest first, in pages", async () => {
  await directory.putProvider(tenantId, "openai", { kind: "openai" });
  const { id } = await directory.createKey(tenantId, { name: "k" });
  await directory.deleteKey(tenantId, id);
  const first = await directory.listAudit({ limit: 2 });
  const second = await directory.listAudit({ limit: 2, cursor: first.cursor ?? "" });
  const about = { actor: "admin", tenant: tenantId, at: expect.stringMatching(/^\d{4}-.*Z$/) };
  expect([...first.items, ...second.items]).toEqual([
    { ...about, action: "key.delete", subject: id },
    { ...about, action: "key.create", subject: id },
    { ...about, action: "provider.put", subject: "openai" },
    { ...about, action: "tenant.put", subject: "" },
  ]);
});

it("bumps the cache's epoch with each purge", async () => {
  expect(await directory.purgeCache(tenantId)).toBe(1);
  expect(await directory.purgeCache(tenantId)).toBe(2);
  const bundle: TenantBundle = JSON.parse((await directoryRpc().readBundle(tenantId)) ?? "");
  expect(bundle.cacheEpoch).toBe(2);
});
