/**
 * Which target a session was last answered by: what `sticky` goes by where the strategy itself would choose again each
 * time. Per isolate, plain data, bounded: another isolate makes its own choice. (A weighted route needs no memory: the
 * session's id is the draw.)
 */

import { createBoundedMap } from "../runtime/bounded-map.ts";
import { lifeOf, promptCacheOf } from "./prompt-caches.ts";

const MAX_SESSIONS = 10_000;
/** Outlives any pause within a conversation. */
const HOUR_MS = 3_600_000;

/** Whose requests stay with one target. */
export interface StickySession {
  readonly id: string;
  /** Present where it stays for the sake of the vendor's prompt cache, and as long as that may live. */
  readonly cache?: { readonly isLong: boolean };
}

export interface Sessions {
  /** The label of the session's target on this route. */
  of(route: string, session: string, now: number): string | undefined;
  /** `kind`: of the target's account. */
  note(
    route: string,
    session: StickySession,
    target: { readonly label: string; readonly model: string; readonly kind: string },
    now: number,
  ): void;
}

export function createSessions(): Sessions {
  const kept = createBoundedMap<string, { readonly target: string; readonly until: number }>(MAX_SESSIONS);
  const keyOf = (route: string, session: string): string => `${route} ${session}`;
  return {
    of(route, session, now) {
      const found = kept.get(keyOf(route, session));
      return found === undefined || now > found.until ? undefined : found.target;
    },
    note(route, session, { label, model, kind }, now) {
      const cache = session.cache && promptCacheOf(kind, model);
      const lifeMs = cache && session.cache ? lifeOf(cache, session.cache.isLong).longestMs : 0;
      const forMs = session.cache === undefined ? HOUR_MS : lifeMs;
      kept.set(keyOf(route, session.id), { target: label, until: now + forMs });
    },
  };
}
