/** A deleted tenant's objects are emptied, and its name is not given again before: the real objects of the Worker. */
import { env } from "cloudflare:workers";
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import { directoryClient, directoryStub, finishErasures, newTenantId } from "./directory-access.ts";

const directory = directoryClient();
let tenantId: string;

beforeEach(async () => {
  tenantId = newTenantId();
  await directory.putTenant(tenantId, { name: "Customer one" });
});

/** Every object that may hold something of the tenant. */
const objectsOf = (id: string): readonly DurableObjectStub[] => [
  env.TENANT_QUEUE.getByName(id),
  env.TRACE_STORE.getByName(id),
  env.TRACE_OUTBOX.getByName(id),
  env.TENANT_METRICS.getByName(id),
  env.SEMANTIC_INDEX.getByName(id),
  env.VENDOR_OBJECTS.getByName(id),
  ...[..."0123456789abcdef"].map((digit) => env.INFLIGHT.getByName(`${id}/${digit}`)),
];

async function plant(id: string): Promise<void> {
  for (const object of objectsOf(id)) {
    await runInDurableObject(object, async (_, { storage }) => {
      storage.kv.put("canary", "a secret of customer one");
      storage.sql.exec("CREATE TABLE canary (secret TEXT)");
      await storage.setAlarm(Date.now() + 3_600_000);
    });
  }
}

/** How many objects still have something that was planted: an entry, a table or an alarm. */
async function remains(id: string): Promise<number> {
  let found = 0;
  for (const object of objectsOf(id)) {
    found += await runInDurableObject(object, async (_, { storage }) => {
      const tables = storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'canary'").toArray();
      const isThere = storage.kv.get("canary") !== undefined || tables.length > 0;
      return isThere || (await storage.getAlarm()) !== null ? 1 : 0;
    });
  }
  return found;
}

describe("the erasure of a tenant", () => {
  it("empties every object of its own, and says what is gone and what remains", async () => {
    await plant(tenantId);
    expect(await remains(tenantId)).toBe(22);
    const id = await directory.deleteTenant(tenantId);
    const running = await directory.getErasure(id);
    expect(running).toMatchObject({ tenant: tenantId, status: "running", doneAt: null, fault: null });
    expect(Date.parse(running.until ?? "")).toBeGreaterThan(Date.now() + 30_000);
    const left = running.remaining.map(({ what }) => what).join();
    expect(left).toMatch(/queue.*traces.*in-flight.*semantic.*cached/);
    expect(running.remaining[0]?.until).toBe(running.until);
    await finishErasures();
    expect(await remains(tenantId)).toBe(0);
    const done = await directory.getErasure(id);
    expect(done).toMatchObject({ status: "done", until: null, fault: null });
    expect(done.gone.join()).toMatch(/records.*queue.*traces.*in-flight.*semantic/);
    // The files themselves are the vendor's: what is gone here is only whose they were.
    expect(done.gone).toContain("register of files, batches and stored responses");
    // What no request reaches any more, and the day on which it is gone.
    expect(done.remaining.map(({ what }) => what).join()).toMatch(/^cached answers.*recovery history/);
    const days = (Date.parse(done.remaining[0]?.until ?? "") - Date.now()) / 86_400_000;
    expect(Math.round(days)).toBe(30);
    await runInDurableObject(directoryStub(), (_, { storage }) => {
      storage.sql.exec("UPDATE erasures SET done_at = done_at - 31 * 86400000 WHERE id = ?", id);
    });
    expect(await directory.getErasure(id)).toMatchObject({
      remaining: [],
      gone: expect.arrayContaining([expect.stringContaining("cached answers")]),
    });
  });

  it("touches no other tenant's objects", async () => {
    const other = newTenantId();
    await directory.putTenant(other, {});
    await plant(other);
    await directory.deleteTenant(tenantId);
    await finishErasures();
    expect(await remains(other)).toBe(22);
  });

  it("keeps its name from a new tenant until all is gone", async () => {
    await directory.deleteTenant(tenantId);
    await expect(directory.putTenant(tenantId, { name: "Customer two" })).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining("being erased until"),
    });
    await finishErasures();
    const { created } = await directory.putTenant(tenantId, { name: "Customer two" });
    expect(created).toBe(true);
    expect(await env.TENANT_QUEUE.getByName(tenantId).configVersion()).toBeGreaterThan(0);
  });

  it("waits until the deletion is known everywhere, and a minute longer", async () => {
    await plant(tenantId);
    const id = await directory.deleteTenant(tenantId);
    // As if KV refused the write for an hour.
    await runInDurableObject(directoryStub(), (_, { storage }) => {
      const [target, later] = [`tenant/${tenantId}`, Date.now() + 3_600_000];
      storage.sql.exec("UPDATE outbox SET marked = sent + 1, due_at = ? WHERE target = ?", later, target);
      storage.sql.exec("UPDATE erasures SET due_at = 0 WHERE id = ?", id);
    });
    await runDurableObjectAlarm(directoryStub());
    expect(await remains(tenantId)).toBeGreaterThan(0);
    const waiting = await directory.getErasure(id);
    expect(waiting).toMatchObject({ status: "running", fault: expect.stringContaining("published") });
    expect(Date.parse(waiting.until ?? "")).toBeGreaterThan(Date.now() + 50_000);
    await finishErasures();
    expect(await directory.getErasure(id)).toMatchObject({ status: "done", fault: null });
    expect(await remains(tenantId)).toBe(0);
  });

  it("that is not known is a 404", async () => {
    await expect(directory.getErasure("nothing")).rejects.toMatchObject({ code: "not_found" });
  });
});
