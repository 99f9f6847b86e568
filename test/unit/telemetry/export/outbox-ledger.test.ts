import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ExportCounts } from "../../../../src/telemetry/export/export-counters.ts";
import {
  afterFailure,
  afterHandover,
  circuitOf,
  HEALTHY,
  openUntil,
} from "../../../../src/telemetry/export/outbox/outbox-circuit.ts";
import {
  createOutboxLedger,
  ISOLATE_LOST_MS,
} from "../../../../src/telemetry/export/outbox/outbox-ledger.ts";
import type { HandedBatch, Push } from "../../../../src/telemetry/export/outbox-port.ts";
import { isBalanced } from "../../../support/fakes/fake-exporter.ts";
import { NOON } from "../../../support/fakes/fake-trace.ts";

const counts = (about: Partial<ExportCounts> = {}): ExportCounts => ({
  enqueued: 0,
  delivered: 0,
  handedOver: 0,
  dropped: {},
  retries: 0,
  ...about,
});

let ids = 0;
const push = (own: Partial<ExportCounts>, about: Partial<Push> = {}): Push => ({
  id: `push-${++ids}`,
  isolate: "i1",
  tenantId: "acme",
  counts: { otlp: counts(own) },
  ...about,
});

const batch = (traces: number): HandedBatch => ({
  destination: "otlp",
  traces,
  body: new Uint8Array(1),
  isGzip: false,
  content: "off",
});

const statusOf = (ledger: ReturnType<typeof createOutboxLedger>) => ledger.status(() => false)[0];

describe("the ledger", () => {
  test("adds up what isolates tell", () => {
    const ledger = createOutboxLedger();
    ledger.apply(push({ enqueued: 5, delivered: 3 }), NOON);
    ledger.apply(
      push({ enqueued: 2, delivered: 1, dropped: { http_400: 1 }, retries: 2 }, { isolate: "i2" }),
      NOON,
    );
    expect(statusOf(ledger)).toEqual({
      destination: "otlp",
      enqueued: 7,
      delivered: 4,
      pending: 2,
      dropped: { http_400: 1 },
      lastError: "http_400",
      retries: 2,
      circuit: "closed",
    });
  });

  test("takes a repeated push once", () => {
    const ledger = createOutboxLedger();
    const once = push({ enqueued: 1, delivered: 1 });
    expect([ledger.apply(once, NOON), ledger.apply(once, NOON)]).toEqual([true, false]);
    expect(createOutboxLedger(ledger.save()).apply(once, NOON)).toBe(false);
    expect(statusOf(ledger)?.delivered).toBe(1);
  });

  test("counts a batch that never came as lost, and one that came as pending", () => {
    const ledger = createOutboxLedger();
    ledger.apply(push({ enqueued: 3, handedOver: 3 }), NOON);
    ledger.apply(push({ enqueued: 2, handedOver: 2 }, { batch: batch(2) }), NOON);
    expect(statusOf(ledger)).toMatchObject({ enqueued: 5, pending: 2, dropped: { outbox_error: 3 } });
  });

  test("writes off what an isolate took with it, and takes it back when the isolate lives", () => {
    const ledger = createOutboxLedger();
    ledger.apply(push({ enqueued: 4, delivered: 1 }), NOON);
    expect(ledger.writeOffLost(NOON + ISOLATE_LOST_MS - 1)).toBe(false);
    expect(ledger.writeOffLost(NOON + ISOLATE_LOST_MS)).toBe(true);
    expect(statusOf(ledger)).toMatchObject({
      enqueued: 4,
      delivered: 1,
      pending: 0,
      dropped: { isolate_lost: 3 },
    });
    ledger.apply(push({ delivered: 2 }), NOON + ISOLATE_LOST_MS);
    expect(statusOf(ledger)).toMatchObject({ delivered: 3, pending: 0, dropped: { isolate_lost: 1 } });
  });

  test("knows what it knew after it was stored, a destination named like an object's member too", () => {
    const ledger = createOutboxLedger();
    ledger.apply(push({}, { counts: { constructor: counts({ enqueued: 2, delivered: 1 }) } }), NOON);
    const saved: ReturnType<typeof ledger.save> = JSON.parse(JSON.stringify(ledger.save()));
    expect(createOutboxLedger(saved).status(() => false)).toEqual(ledger.status(() => false));
    expect(createOutboxLedger(saved).tenantId).toBe("acme");
  });

  test("balances after whatever isolates, deliveries, repeats and restarts", () => {
    const step = fc.record({
      kind: fc.constantFrom("count", "hand", "handLost", "repeat", "deliver", "drop", "restart", "silence"),
      isolate: fc.constantFrom("a", "b", "c"),
      traces: fc.integer({ min: 1, max: 9 }),
      settled: fc.integer({ min: 0, max: 9 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let ledger = createOutboxLedger();
        let now = NOON;
        let waiting = 0;
        let enqueued = 0;
        let last: Push | undefined;
        const flying = new Map<string, number>();
        for (const { kind, isolate, traces, settled } of steps) {
          const left = flying.get(isolate) ?? 0;
          if (kind === "count") {
            const delivered = Math.min(settled, left + traces);
            last = push({ enqueued: traces, delivered }, { isolate });
            flying.set(isolate, left + traces - delivered);
            enqueued += traces;
            ledger.apply(last, now);
          } else if (kind === "hand" || kind === "handLost") {
            const about = kind === "hand" ? { isolate, batch: batch(traces) } : { isolate };
            last = push({ enqueued: traces, handedOver: traces }, about);
            if (kind === "hand") waiting += traces;
            enqueued += traces;
            ledger.apply(last, now);
          } else if (kind === "repeat" && last !== undefined) {
            ledger.apply(last, now);
          } else if (kind === "deliver" && waiting > 0) {
            const done = Math.min(traces, waiting);
            waiting -= done;
            ledger.deliver("otlp", done);
          } else if (kind === "drop" && waiting > 0) {
            const done = Math.min(traces, waiting);
            waiting -= done;
            ledger.drop("otlp", done, "expired");
          } else if (kind === "restart") {
            ledger = createOutboxLedger(JSON.parse(JSON.stringify(ledger.save())));
          } else if (kind === "silence") {
            now += ISOLATE_LOST_MS;
            ledger.writeOffLost(now);
          }
          const status = statusOf(ledger);
          if (status === undefined) continue;
          expect(isBalanced(status)).toBe(true);
          expect(status.enqueued).toBe(enqueued);
          expect(status.pending).toBeGreaterThanOrEqual(waiting);
        }
        ledger.writeOffLost(now + ISOLATE_LOST_MS);
        expect(statusOf(ledger)?.pending ?? 0).toBe(waiting);
      }),
    );
  });
});

describe("a destination that fails", () => {
  test("is asked again after pauses that double up to a minute, half of them chance", () => {
    const pauses = (random: number): readonly number[] => {
      let health = HEALTHY;
      return Array.from({ length: 9 }, () => {
        health = afterFailure(health, NOON, random, undefined);
        return health.nextAttemptAt - NOON;
      });
    };
    expect(pauses(1)).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
    expect(pauses(0)).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  });

  test("gets the rest it asks for, up to an hour", () => {
    const after = (retryAfterMs: number) => afterFailure(HEALTHY, NOON, 0, retryAfterMs).nextAttemptAt - NOON;
    expect([after(7000), after(10 ** 9)]).toEqual([7000, 3_600_000]);
  });

  test("has its circuit open after the second failure, and isolates learn until when", () => {
    const once = afterFailure(HEALTHY, NOON, 1, undefined);
    const twice = afterFailure(once, NOON, 1, undefined);
    expect([HEALTHY, once, twice].map((health) => circuitOf(health, false))).toEqual([
      "closed",
      "closed",
      "open",
    ]);
    expect(circuitOf(twice, true)).toBe("half-open");
    expect([openUntil(once, NOON), openUntil(twice, NOON)]).toEqual([undefined, NOON + 2000]);
  });

  test("is not put off by each isolate that has failed with it too", () => {
    const first = afterHandover(HEALTHY, NOON, 1, undefined);
    let health = first;
    for (let i = 1; i < 100; i++) health = afterHandover(health, NOON + i, 1, undefined);
    expect(health.nextAttemptAt).toBe(first.nextAttemptAt);
    expect(circuitOf(health, false)).toBe("open");
  });
});
