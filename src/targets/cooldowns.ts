/**
 * Targets that are cooling down, and until when: learned from a 429 or 529 with Retry-After. Kept by the tenant's object
 * for all isolates, and by each isolate for its own requests. Plain data, bounded.
 */

/** A target that its upstream has asked the tenant not to call for a time. */
export interface Cooldown {
  /** `provider/model` by the tenant's names. */
  readonly target: string;
  readonly forMs: number;
}

/** A tenant has a few dozen targets; those beyond are not remembered. */
const MAX_COOLDOWNS = 100;
/** A longer Retry-After is cut to this: a wrong header must not shut a target for a day. */
export const MAX_COOLDOWN_MS = 600_000;

export interface Cooldowns {
  start(cooldown: Cooldown, now: number): void;
  /** How long a target is still cooling down, in ms; 0 where it is not. */
  remainingMs(target: string, now: number): number;
  /** Those that are cooling down; undefined when none is. */
  list(now: number): readonly Cooldown[] | undefined;
}

export function createCooldowns(): Cooldowns {
  const until = new Map<string, number>();

  function drop(now: number): void {
    for (const [target, at] of until) if (at <= now) until.delete(target);
  }

  return {
    start({ target, forMs }, now) {
      if (until.size >= MAX_COOLDOWNS) drop(now);
      if (until.size >= MAX_COOLDOWNS && !until.has(target)) return;
      const at = now + Math.min(MAX_COOLDOWN_MS, forMs);
      until.set(target, Math.max(at, until.get(target) ?? 0));
    },
    remainingMs: (target, now) => Math.max(0, (until.get(target) ?? 0) - now),
    list(now) {
      if (until.size === 0) return undefined;
      drop(now);
      if (until.size === 0) return undefined;
      return Array.from(until, ([target, at]) => ({ target, forMs: at - now }));
    },
  };
}
