/**
 * How long an upstream may take for its first byte: by the route, or by the client for its own request. Pure. A streamed
 * answer always has such a limit; a whole one is sent when it is finished, so it has one only where one was set.
 */

import { DEFAULT_FIRST_BYTE_MS, type RouteRecord } from "../tenants/records/route-record.ts";

export interface FirstByteLimit {
  /** Undefined: only the request's total limit holds. */
  readonly ms: number | undefined;
  /** It is shorter than the route's own: that it was reached says nothing about the target. */
  readonly isClientsOwn: boolean;
}

/** `clientMs` is what the client's header says; it replaces the route's limit in either direction. */
export function firstByteLimit(
  timeouts: Pick<RouteRecord["timeouts"], "firstByteMs">,
  clientMs: number | undefined,
  isStream: boolean,
): FirstByteLimit {
  const ofRoute = timeouts.firstByteMs ?? (isStream ? DEFAULT_FIRST_BYTE_MS : undefined);
  if (clientMs === undefined) return { ms: ofRoute, isClientsOwn: false };
  return { ms: clientMs, isClientsOwn: ofRoute === undefined || clientMs < ofRoute };
}
