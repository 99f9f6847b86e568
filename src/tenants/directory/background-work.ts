/**
 * What the directory does after a change was answered: publishes it, erases deleted tenants, seals secrets again. One alarm
 * for all three, set to whatever is due first.
 */

import type { Erasures } from "./erasures.ts";
import type { PublishOutbox } from "./publish-outbox.ts";
import type { Resealing } from "./resealing.ts";

/** Marked targets are updated at once; the alarm is for a crash, so it may be a little later. */
const ALARM_DELAY_MS = 1000;

export interface BackgroundDeps {
  readonly storage: Pick<DurableObjectStorage, "setAlarm" | "deleteAlarm">;
  readonly outbox: PublishOutbox;
  readonly erasures: Erasures;
  readonly resealing: Resealing;
  /** ms since the epoch. */
  readonly now: () => number;
}

export function createBackgroundWork({ storage, outbox, erasures, resealing, now }: BackgroundDeps) {
  async function arm(): Promise<void> {
    const dueAt = Math.min(
      outbox.nextDueAt() ?? Infinity,
      erasures.nextDueAt() ?? Infinity,
      (await resealing.isDue()) ? 0 : Infinity,
    );
    if (dueAt === Infinity) return storage.deleteAlarm();
    return storage.setAlarm(Math.max(dueAt, now() + ALARM_DELAY_MS));
  }

  async function publish(): Promise<void> {
    await outbox.deliverDue();
    await erasures.runDue();
    await arm();
  }

  return {
    arm,
    publish,

    /** After a restart, which a change of MASTER_KEY brings about. */
    async resume(): Promise<void> {
      if (await resealing.isDue()) await arm();
    },

    async runAlarm(): Promise<void> {
      await publish();
      await resealing.runStep();
      await arm();
    },
  };
}
