// A budget's alert over the death of its object: metrics, audit and outbox hear of it once, whenever the object dies.
import { env } from "cloudflare:workers";
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { expect, test, vi } from "vitest";
import type { Budget } from "../../../src/limits/budget-protocol.ts";
import type { TenantQueue } from "../../../src/limits/object/tenant-queue.ts";
import { WEBHOOK_NAME } from "../../../src/telemetry/export/outbox-port.ts";
import { directoryClient, newTenantId } from "../tenants/directory-access.ts";
import { asAdmitted, askOf, settlementOf } from "../../support/builders/admission.ts";

const BUDGET: Budget = { microUsd: 1_000_000, period: "month", onExceeded: "alert" };
const SECRET = `whsec_${btoa("s".repeat(32))}`;

type Stub = DurableObjectStub<TenantQueue>;

async function crash(stub: Stub): Promise<void> {
  await runInDurableObject(stub, (_, state) => state.abort("killed by the test")).catch(() => {});
}

let requests = 0;

async function spend(stub: Stub, costMicroUsd: number) {
  requests += 1;
  const id = `req-${requests}`;
  const admitted = asAdmitted(await stub.admit(askOf(id)));
  return stub.settle([{ ...settlementOf(admitted, id), costMicroUsd }]);
}

/** What each of those who hear of alerts knows of this tenant. */
async function heard(tenantId: string) {
  const directory = directoryClient();
  const { items } = await directory.listAudit({ limit: 1000 });
  const series = await env.TENANT_METRICS.getByName(tenantId).read(tenantId);
  const status = await env.TRACE_OUTBOX.getByName(tenantId).status();
  return {
    audit: items.filter(({ tenant, action }) => tenant === tenantId && action === "budget.alert").length,
    metric: series
      .filter(({ instrument }) => instrument === "gateway.budget.alerts")
      .reduce((sum, { sum: one }) => sum + one, 0),
    webhook: status.find(({ destination }) => destination === WEBHOOK_NAME)?.enqueued ?? 0,
  };
}

/** A new stub each time: one whose object has died stays broken. */
const queueOf = (tenantId: string): Stub => env.TENANT_QUEUE.getByName(tenantId);

async function makeTenant(record: object): Promise<string> {
  const tenantId = newTenantId();
  const budget = { usd: 1, period: "month", onExceeded: "alert" };
  await directoryClient().putTenant(tenantId, { budget, ...record });
  return tenantId;
}

const WEBHOOK = { alerts: { webhook: { url: "https://hooks.example/x", secret: SECRET } } };

test("a threshold is reported once, over a crash and what is spent after it", async () => {
  const tenantId = await makeTenant(WEBHOOK);
  let stub = queueOf(tenantId);
  const { alerts } = await spend(stub, 600_000);
  expect(alerts).toMatchObject([{ threshold: 0.5 }]);
  await vi.waitFor(async () => expect(await heard(tenantId)).toEqual({ audit: 1, metric: 1, webhook: 1 }));
  await crash(stub);
  stub = queueOf(tenantId);
  expect(await spend(stub, 1000)).not.toHaveProperty("alerts");
  await spend(stub, 200_000);
  await vi.waitFor(async () => expect(await heard(tenantId)).toEqual({ audit: 2, metric: 2, webhook: 2 }));
});

test("one that a crash overtook is reported by the alarm, without a call", async () => {
  const tenantId = await makeTenant(WEBHOOK);
  const stub = queueOf(tenantId);
  await spend(stub, 600_000);
  await vi.waitFor(async () => expect(await heard(tenantId)).toEqual({ audit: 1, metric: 1, webhook: 1 }));
  // As if it had died before it knew that all had heard: the checkpoint of then is put back.
  await runInDurableObject(stub, async (_, { storage }) => {
    const row = storage.kv.get<Record<string, unknown>>("checkpoint") ?? {};
    const now = Date.now();
    const base = {
      requestId: "req-lost",
      budget: BUDGET,
      spentMicroUsd: 800_000,
      endsAt: now + 1e6,
      at: now,
    };
    storage.kv.put("checkpoint", { ...row, alerts: [{ ...base, id: "lost", threshold: 0.8 }] });
    await storage.setAlarm(now + 60_000);
    await storage.sync();
  });
  await crash(stub);
  expect(await runDurableObjectAlarm(queueOf(tenantId))).toBe(true);
  await vi.waitFor(async () => expect(await heard(tenantId)).toEqual({ audit: 2, metric: 2, webhook: 2 }));
});

test("without a webhook the outbox hears of none; metrics and audit do", async () => {
  const tenantId = await makeTenant({});
  await spend(queueOf(tenantId), 1_000_000);
  await vi.waitFor(async () => expect(await heard(tenantId)).toEqual({ audit: 3, metric: 3, webhook: 0 }));
});
