// A checkpoint in rows: none outgrows what the platform stores, whatever the number of keys, and rows from before are read.
import { serialize } from "node:v8";
import { expect, test } from "vitest";
import { createCheckpointRows } from "../../../../src/limits/object/checkpoint-rows.ts";
import { createQueueMachine } from "../../../../src/limits/queue/queue-machine.ts";
import { askOf, limitsOf, settlementOf, asAdmitted, START_AT } from "../../../support/builders/admission.ts";

const MAX_VALUE_BYTES = 2_000_000;
const DAY_MS = 86_400_000;
const BUDGET = { microUsd: 1_000_000_000, period: "month", onExceeded: "reject" } as const;

/** Storage that refuses values as the platform does. */
function createKv() {
  const rows = new Map<string, unknown>();
  const kv = {
    get: (key: string) => structuredClone(rows.get(key)),
    put(key: string, value: unknown) {
      if (serialize(value).length > MAX_VALUE_BYTES) throw new Error("value too large");
      rows.set(key, structuredClone(value));
    },
    delete: (key: string) => rows.delete(key),
    list: () => rows.entries(),
  };
  // Only the methods that the rows use.
  return { kv: kv as unknown as DurableObjectStorage["kv"], rows };
}

/** A queue that has met so many keys, each of which has spent something, and holds `leases` of them. */
function queueWith(keys: number, leases = 0) {
  const machine = createQueueMachine(START_AT);
  for (let n = 0; n < keys; n += 1) {
    const keyLimits = limitsOf({ budget: BUDGET, requestsPerMinute: 600 });
    const ask = askOf(`request-${n}`, { keyId: `key_${n}_0123456789abcdef`, keyLimits });
    const reply = asAdmitted(machine.admit(ask, START_AT + n));
    const settlement = { ...settlementOf(reply, ask.requestId), keyId: ask.keyId, costMicroUsd: 5 };
    if (n >= leases) machine.settle([settlement], START_AT + n);
  }
  return machine;
}

test("6,000 keys with budgets and 4,000 leases fit into rows, and come back whole", () => {
  const { kv, rows } = createKv();
  const machine = queueWith(6000, 4000);
  const written = machine.checkpoint(START_AT + 6000);
  createCheckpointRows(kv).write(written);
  expect(rows.size).toBe(6);
  const read = createCheckpointRows(kv).read();
  expect(read?.keys).toEqual(written.keys);
  const restored = createQueueMachine(START_AT + 6001, read);
  expect(restored.snapshot(START_AT + 6001)).toMatchObject({
    leases: 4000,
    spentUsd: { month: (2000 * 5) / 1_000_000 },
  });
});

test("few keys are one row, as before, and rows that are no longer needed go", () => {
  const { kv, rows } = createKv();
  const checkpoints = createCheckpointRows(kv);
  checkpoints.write(queueWith(2500).checkpoint(START_AT));
  expect([...rows.keys()]).toEqual(["checkpoint-keys-1", "checkpoint-keys-2", "checkpoint"]);
  const few = queueWith(3).checkpoint(START_AT);
  checkpoints.write(few);
  expect([...rows.keys()]).toEqual(["checkpoint"]);
  expect(rows.get("checkpoint")).toEqual(structuredClone(few));
});

test("a key whose periods have ended is dropped for a new one", () => {
  const machine = queueWith(1000);
  const later = START_AT + 32 * DAY_MS;
  for (let n = 0; n < 100; n += 1) machine.admit(askOf(`later-${n}`, { keyId: `new_${n}` }), later + n);
  expect(machine.checkpoint(later + 100).keys).toHaveLength(1000);
});

test("a checkpoint that could not be written is due again, and its money counts as unsaved", () => {
  const machine = queueWith(1);
  machine.checkpoint(START_AT);
  expect(machine.staleAfterMs()).toBe(Infinity);
  expect(machine.hasUnsavedMoney()).toBe(false);
  machine.noteUnsaved();
  expect(machine.staleAfterMs()).toBe(1000);
  expect(machine.hasUnsavedMoney()).toBe(true);
});

test("at all its caps at once, and with ids as long as real ones, the first row still fits", () => {
  const { kv, rows } = createKv();
  const machine = createQueueMachine(START_AT);
  const idOf = (n: number, length: number): string => String(n).padStart(length, "0");
  const keyLimits = limitsOf({ budget: BUDGET, requestsPerMinute: 600_000, tokensPerMinute: 1_000_000_000 });
  for (let n = 0; n < 5000; n += 1) {
    const ask = askOf(`req_${idOf(n, 32)}`, {
      traceId: idOf(n, 32),
      spanId: idOf(n, 16),
      keyId: `key_${idOf(n % 2000, 24)}`,
      keyLimits,
      tokens: 123_456,
    });
    asAdmitted(machine.admit(ask, START_AT + n));
  }
  const expenses = Array.from({ length: 2000 }, (_, n) => ({
    requestId: `req_${idOf(n + 10_000, 32)}`,
    keyId: `key_${idOf(n, 24)}`,
    costMicroUsd: 1.25,
    sender: `req_${idOf(n + 10_000, 32)}`,
    number: n + 1,
  }));
  machine.settle([], START_AT + 5000, { starts: [], unused: [], cooldowns: [], expenses });
  const written = machine.checkpoint(START_AT + 5000);
  expect(written.leases).toHaveLength(4000);
  createCheckpointRows(kv).write(written);
  expect(serialize(rows.get("checkpoint")).length).toBeLessThan(MAX_VALUE_BYTES);
});
