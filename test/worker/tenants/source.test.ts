/** The data plane's reader over the real directory, KV and queue objects: what was made works, what was revoked stops. */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { findValidKey, hashKey } from "../../../src/tenants/key-format.ts";
import { createLookupBudget } from "../../../src/tenants/lookup-budget.ts";
import { createTenantSource, type TenantSource } from "../../../src/tenants/source.ts";
import { directoryClient, directoryRpc, newTenantId, queueRpc } from "./directory-access.ts";

const directory = directoryClient();

let now: number;
let tenantId: string;
/** One isolate's. */
let source: TenantSource;

beforeEach(async () => {
  now = Date.now();
  tenantId = newTenantId();
  source = newSource();
  await directory.putTenant(tenantId, {});
});

function newSource(): TenantSource {
  return createTenantSource({
    kv: env.TENANTS,
    directory: directoryRpc,
    queueVersion: (id) => queueRpc(id).configVersion(),
    lookups: createLookupBudget(() => now),
    clock: () => now,
  });
}

/** What the authenticate step does. */
async function isAccepted(key: string, reader: TenantSource): Promise<boolean> {
  const hash = await hashKey(key);
  const found = await reader.findKey(hash);
  const loaded = found && (await reader.load(found.tenantId));
  return (
    loaded !== undefined && findValidKey(loaded.bundle.keys, found?.keyId ?? "", hash, now) !== undefined
  );
}

describe("a key just made", () => {
  it("works at once, also where the tenant has been read before", async () => {
    const first = await directory.createKey(tenantId, { name: "first" });
    expect(await isAccepted(first.key, source)).toBe(true);
    const second = await directory.createKey(tenantId, { name: "second" });
    expect(await isAccepted(second.key, source)).toBe(true);
  });

  it("works at once after a rotation, and so does the old one within its overlap only", async () => {
    const old = await directory.createKey(tenantId, { name: "k" });
    expect(await isAccepted(old.key, source)).toBe(true);
    const rotated = await directory.rotateKey(tenantId, old.id, { overlapSeconds: 60 });
    expect(await isAccepted(rotated.key, source)).toBe(true);
    expect(await isAccepted(old.key, source)).toBe(true);
    now += 61_000;
    expect(await isAccepted(old.key, source)).toBe(false);
    expect(await isAccepted(rotated.key, source)).toBe(true);
  });
});

describe("a revoked key", () => {
  it("stops at once where the queue object's version was heard", async () => {
    const { id, key } = await directory.createKey(tenantId, { name: "k" });
    expect(await isAccepted(key, source)).toBe(true);
    await directory.deleteKey(tenantId, id);
    expect(await isAccepted(key, source)).toBe(true);
    source.noteVersion(tenantId, await queueRpc(tenantId).configVersion());
    expect(await isAccepted(key, source)).toBe(false);
  });

  it("stops within 30 s everywhere else", async () => {
    const { id, key } = await directory.createKey(tenantId, { name: "k" });
    expect(await isAccepted(key, source)).toBe(true);
    await directory.deleteKey(tenantId, id);
    now += 30_000;
    expect(await isAccepted(key, source)).toBe(false);
  });

  it("stops although KV still has the old bundle", async () => {
    const { id, key } = await directory.createKey(tenantId, { name: "k" });
    const entry = `tenant/${tenantId}`;
    await vi.waitFor(async () => expect(await env.TENANTS.get(entry)).toContain(id), { timeout: 5000 });
    const old = (await env.TENANTS.get(entry)) ?? "";
    const pointer = `key/${await hashKey(key)}`;
    await directory.deleteKey(tenantId, id);
    await vi.waitFor(async () => expect(await env.TENANTS.get(entry)).not.toContain(id), { timeout: 5000 });
    // As an edge that has not heard of the change would answer.
    await env.TENANTS.put(entry, old);
    await env.TENANTS.put(pointer, JSON.stringify({ tenantId, keyId: id }));
    expect(await isAccepted(key, newSource())).toBe(false);
  });

  it("stops with its tenant's deletion, and with its own expiry", async () => {
    const lasting = await directory.createKey(tenantId, { name: "k" });
    const expiresAt = new Date(now + 10_000).toISOString();
    const short = await directory.createKey(tenantId, { name: "k", expiresAt });
    expect(await isAccepted(short.key, source)).toBe(true);
    now += 10_000;
    expect(await isAccepted(short.key, source)).toBe(false);
    expect(await isAccepted(lasting.key, source)).toBe(true);
    await directory.deleteTenant(tenantId);
    now += 30_000;
    expect(await isAccepted(lasting.key, source)).toBe(false);
  });
});

it("reads a route just made by a reload", async () => {
  await source.load(tenantId);
  await directory.putRoute(tenantId, "chat", { targets: [{ provider: "p", model: "m" }] });
  expect((await source.load(tenantId))?.bundle.routes).not.toHaveProperty("chat");
  expect((await source.reload(tenantId))?.bundle.routes).toHaveProperty("chat");
});
