/** What an isolate remembers of the tenants whose traces it exports: nothing that is reported and settled. */

import { expect, test } from "vitest";
import { createOutboxClient } from "../../../../src/telemetry/export/outbox-client.ts";
import type { Push } from "../../../../src/telemetry/export/outbox-port.ts";

function start() {
  let nowMs = 0;
  let ids = 0;
  const pushes: Push[] = [];
  const client = createOutboxClient({
    outboxOf: () => ({
      push: async (push) => {
        pushes.push(push);
        return { openUntil: push.tenantId === "open" ? { dest: nowMs + 600_000 } : {} };
      },
      status: async () => [],
    }),
    clock: () => nowMs,
    sleep: async (ms) => void (nowMs += ms),
    newId: () => `id-${++ids}`,
  });
  return { client, pushes, pass: (ms: number) => void (nowMs += ms) };
}

test("forgets tenants that everything was reported for, and no others", async () => {
  const { client } = start();
  const counterOf = (tenant: string) => client.counter(tenant, "dest");
  const settled = counterOf("settled");
  settled.enqueue(3);
  settled.deliver(3);
  await client.status("settled");
  const inFlight = counterOf("in-flight");
  inFlight.enqueue(1);
  await client.status("in-flight");
  const unreported = counterOf("unreported");
  unreported.enqueue(1);
  const open = counterOf("open");
  open.enqueue(1);
  open.deliver(1);
  await client.status("open");
  for (let at = 0; at < 3000; at++) counterOf(`tenant-${at}`);
  expect(counterOf("settled")).not.toBe(settled);
  expect(counterOf("in-flight")).toBe(inFlight);
  expect(counterOf("unreported")).toBe(unreported);
  expect(counterOf("open")).toBe(open);
  expect(client.isOpen("open", "dest")).toBe(true);
});

test("reports the last counts of tenants that send nothing more, and forgets them then", async () => {
  const { client, pushes, pass } = start();
  const stored = client.counter("quiet", "(store)");
  stored.enqueue(1);
  stored.deliver(1);
  pass(61_000);
  client.counter("busy", "dest").enqueue(1);
  for (let at = 0; at < 1000; at++) client.counter(`tenant-${at}`, "dest");
  await client.reportSoon("busy");
  expect(pushes.find(({ tenantId }) => tenantId === "quiet")?.counts["(store)"]).toMatchObject({
    enqueued: 1,
    delivered: 1,
  });
  for (let at = 0; at < 4000; at++) client.counter(`more-${at}`, "dest");
  expect(client.counter("quiet", "(store)")).not.toBe(stored);
});
