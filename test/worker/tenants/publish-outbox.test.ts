/** The outbox over real SQLite with a clock of its own: one write a second for one target, and nothing lost. */
import { env } from "cloudflare:workers";
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import { createPublishOutbox, type PublishOutbox } from "../../../src/tenants/directory/publish-outbox.ts";
import { directoryClient, directoryStub, newTenantId, queueRpc } from "./directory-access.ts";

interface Setup {
  readonly outbox: PublishOutbox;
  readonly sent: string[];
  now: number;
  isBroken: boolean;
  /** A second outbox over the same table: what is left after a crash. */
  restart(): PublishOutbox;
}

/** Runs the test inside a directory object of its own. */
function withOutbox(test: (setup: Setup) => Promise<void>): Promise<void> {
  const stub = env.DIRECTORY.getByName(crypto.randomUUID());
  return runInDurableObject(stub, (_, state) => {
    const setup: Setup = {
      sent: [],
      now: 1_000_000,
      isBroken: false,
      outbox: make(),
      restart: make,
    };
    function make(): PublishOutbox {
      return createPublishOutbox({
        sql: state.storage.sql,
        now: () => setup.now,
        send: async (target) => {
          setup.sent.push(target);
          if (setup.isBroken) throw new Error("429");
        },
      });
    }
    return test(setup);
  });
}

describe("the outbox", () => {
  it("sends at once what has rested for a second, and many changes after that as one", () =>
    withOutbox(async (setup) => {
      setup.outbox.mark("tenant/a");
      await setup.outbox.deliverDue();
      expect(setup.sent).toEqual(["tenant/a"]);
      for (let change = 0; change < 5; change += 1) {
        setup.now += 100;
        setup.outbox.mark("tenant/a");
        await setup.outbox.deliverDue();
      }
      expect(setup.sent).toHaveLength(1);
      expect(setup.outbox.nextDueAt()).toBe(1_001_000);
      setup.now = 1_001_000;
      await setup.outbox.deliverDue();
      expect(setup.sent).toHaveLength(2);
      expect(setup.outbox.nextDueAt()).toBeUndefined();
    }));

  it("sends again what was marked while it was being sent", () =>
    withOutbox(async (setup) => {
      setup.outbox.mark("tenant/a");
      const sending = setup.outbox.deliverDue();
      setup.outbox.mark("tenant/a");
      await setup.outbox.deliverDue();
      await sending;
      expect(setup.sent).toHaveLength(1);
      setup.now += 1000;
      await setup.outbox.deliverDue();
      expect(setup.sent).toHaveLength(2);
    }));

  it("tries a failed one again after 1, 2, 4, 8, 10, 10 s and then keeps quiet about it", () =>
    withOutbox(async (setup) => {
      setup.isBroken = true;
      setup.outbox.mark("tenant/a");
      const waits: number[] = [];
      for (let round = 0; round < 6; round += 1) {
        await setup.outbox.deliverDue();
        const dueAt = setup.outbox.nextDueAt() ?? Number.NaN;
        waits.push(dueAt - setup.now);
        setup.now = dueAt;
      }
      expect(waits).toEqual([1000, 2000, 4000, 8000, 10_000, 10_000]);
      setup.isBroken = false;
      await setup.outbox.deliverDue();
      expect(setup.outbox.nextDueAt()).toBeUndefined();
    }));

  it("lets one target's failure hold up no other", () =>
    withOutbox(async (setup) => {
      setup.isBroken = true;
      setup.outbox.mark("tenant/a");
      await setup.outbox.deliverDue();
      setup.isBroken = false;
      setup.outbox.mark("tenant/b");
      await setup.outbox.deliverDue();
      expect(setup.sent).toEqual(["tenant/a", "tenant/b"]);
    }));

  it("still knows after a crash what was not sent", () =>
    withOutbox(async (setup) => {
      setup.outbox.mark("tenant/a");
      const after = setup.restart();
      expect(after.nextDueAt()).toBe(setup.now);
      await after.deliverDue();
      expect(setup.sent).toEqual(["tenant/a"]);
    }));

  it("sends a hundred in a round and leaves the rest due", () =>
    withOutbox(async (setup) => {
      for (let target = 0; target < 150; target += 1) setup.outbox.mark(`key/${target}`);
      await setup.outbox.deliverDue();
      expect(setup.sent).toHaveLength(100);
      expect(setup.outbox.nextDueAt()).toBe(setup.now);
      await setup.outbox.deliverDue();
      expect(new Set(setup.sent).size).toBe(150);
    }));
});

describe("the directory", () => {
  it("puts a burst of writes of one tenant into few KV writes", async () => {
    const directory = directoryClient();
    const tenantId = newTenantId();
    const put = vi.spyOn(env.TENANTS, "put");
    for (let change = 0; change < 10; change += 1)
      await directory.putTenant(tenantId, { name: `n${change}` });
    const latest = await queueRpc(tenantId).configVersion();
    await vi.waitFor(
      async () =>
        expect(await env.TENANTS.get(`tenant/${tenantId}`, "json")).toMatchObject({ version: latest }),
      { timeout: 5000 },
    );
    const writes = put.mock.calls.filter(([key]) => key === `tenant/${tenantId}`);
    put.mockRestore();
    expect(writes.length).toBeGreaterThanOrEqual(1);
    expect(writes.length).toBeLessThanOrEqual(3);
  });

  it("has set its alarm before it begins to publish, so that a crash in between loses nothing", async () => {
    const put = vi.spyOn(env.TENANTS, "put").mockImplementation(() => scheduler.wait(100));
    await directoryClient().putTenant(newTenantId(), {});
    const alarm = await runInDurableObject(directoryStub(), (_, state) => state.storage.getAlarm());
    put.mockRestore();
    expect(alarm).not.toBeNull();
  });

  it("publishes by its alarm what it had no time for before it was evicted", async () => {
    const directory = directoryClient();
    const tenantId = newTenantId();
    await directory.putTenant(tenantId, {});
    await directory.putTenant(tenantId, { name: "second" });
    await evictDurableObject(directoryStub());
    await vi.waitFor(
      async () => {
        const bundle = await env.TENANTS.get(`tenant/${tenantId}`, "json");
        expect(bundle).toMatchObject({ version: 2, tenant: { name: "second" } });
      },
      { timeout: 5000 },
    );
  });
});
