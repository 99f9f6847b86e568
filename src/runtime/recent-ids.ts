/**
 * Request ids that were seen and are done with: a `cancel` that overtakes its `admit`, or an `admit` repeated after
 * its lease has ended, is known by them. Bounded in number and time; the oldest go first.
 */

/** Far longer than any RPC is repeated after. */
const REMEMBERED_MS = 60_000;
const MAX_IDS = 1024;

export interface RecentIds {
  add(id: string, now: number): void;
  has(id: string, now: number): boolean;
}

export function createRecentIds(): RecentIds {
  const seenAt = new Map<string, number>();
  return {
    add(id, now) {
      seenAt.set(id, now);
      if (seenAt.size <= MAX_IDS) return;
      const [oldest] = seenAt.keys();
      if (oldest !== undefined) seenAt.delete(oldest);
    },
    has(id, now) {
      const at = seenAt.get(id);
      return at !== undefined && now - at < REMEMBERED_MS;
    },
  };
}
