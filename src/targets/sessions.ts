/**
 * Which target a session was last answered by: what `sticky` goes by where the strategy itself would choose again each
 * time. Per isolate, plain data, bounded: another isolate makes its own choice. (A weighted route needs no memory: the
 * session's id is the draw.)
 */

import { createBoundedMap } from "../runtime/bounded-map.ts";

const MAX_SESSIONS = 10_000;
/** Vendors keep a prompt's cached prefix for minutes; an hour outlives any pause within a conversation. */
const MAX_AGE_MS = 3_600_000;

export interface Sessions {
  /** The label of the session's target on this route. */
  of(route: string, session: string, now: number): string | undefined;
  note(route: string, session: string, target: string, now: number): void;
}

export function createSessions(): Sessions {
  const kept = createBoundedMap<string, { readonly target: string; readonly at: number }>(MAX_SESSIONS);
  const keyOf = (route: string, session: string): string => `${route} ${session}`;
  return {
    of(route, session, now) {
      const found = kept.get(keyOf(route, session));
      return found === undefined || now - found.at > MAX_AGE_MS ? undefined : found.target;
    },
    note(route, session, target, now) {
      kept.set(keyOf(route, session), { target, at: now });
    },
  };
}
