/**
 * Counts a tenant's requests against its objectives, and finds when one is missed: by the pace at which it uses up what is
 * allowed, in a long and a short window at once, so that neither a blip nor an old fault alerts
 * (https://sre.google/workbook/alerting-on-slos/, seen 2026-12). Counts are lost with the object. Pure.
 */

import type { Incident, Objective } from "../alert-protocol.ts";

const MINUTE_MS = 60_000;
/** A pace of 1 uses up exactly what is allowed. */
const PACES = [
  { shortMinutes: 5, longMinutes: 60, pace: 14.4 },
  { shortMinutes: 30, longMinutes: 360, pace: 6 },
] as const;
const KEPT_MINUTES = 360;
/** Fewer say little. */
const MIN_REQUESTS = 20;

/** Requests of one route: one that is known, or the sum of some of which no more is known. */
export interface CountedRequests {
  readonly route: string;
  readonly requests: number;
  readonly failed: number;
  /** Of one that is known. */
  readonly known?: { readonly durationMs: number; readonly requestId: string; readonly traceId: string };
}

interface Minute {
  readonly minute: number;
  requests: number;
  bad: number;
}

interface Counts {
  readonly minutes: Minute[];
  isMissed: boolean;
  /** The last bad request that is known. */
  culprit?: { readonly requestId: string; readonly traceId: string };
}

export interface Objectives {
  /** What begins to be missed by it. */
  count(objectives: readonly Objective[], counted: CountedRequests, now: number): readonly Incident[];
}

export function createObjectives(): Objectives {
  const counts = new Map<string, Counts>();

  function countOne(objective: Objective, counted: CountedRequests, now: number): Incident | undefined {
    const { route, slowerThanMs, allowedShare } = objective;
    const { known } = counted;
    if (route !== undefined && route !== counted.route) return undefined;
    // A failed request is neither fast nor slow.
    if (slowerThanMs !== undefined && (known === undefined || counted.failed > 0)) return undefined;
    const slow = known !== undefined && known.durationMs > (slowerThanMs ?? Infinity) ? 1 : 0;
    const added = slowerThanMs === undefined ? counted.failed : slow;
    const name = JSON.stringify(objective);
    const own: Counts = counts.get(name) ?? { minutes: [], isMissed: false };
    counts.set(name, own);
    add(own.minutes, counted.requests, added, Math.floor(now / MINUTE_MS));
    if (added > 0 && known !== undefined) own.culprit = known;
    if (own.isMissed) {
      const { requests, bad } = sumOf(own.minutes, PACES[0].shortMinutes);
      own.isMissed = bad > allowedShare * requests;
      return undefined;
    }
    if (added === 0 || !PACES.some((pace) => isFaster(own.minutes, pace, allowedShare))) return undefined;
    own.isMissed = true;
    const { requests, bad } = sumOf(own.minutes, PACES[0].longMinutes);
    const about = slowerThanMs === undefined ? "failed" : `took longer than ${slowerThanMs} ms`;
    return {
      id: `objective ${name} ${now}`,
      type: "objective.missed",
      subject: `${route ?? "all routes"}: ${bad} of ${requests} requests ${about}; ${allowedShare * 100}% may`,
      at: now,
      ...(own.culprit && { requestId: own.culprit.requestId, traceId: own.culprit.traceId }),
      data: {
        objective: slowerThanMs === undefined ? "errors" : "latency",
        route: route ?? null,
        allowedShare,
        slowerThanMs: slowerThanMs ?? null,
        requests,
        bad,
        windowMinutes: PACES[0].longMinutes,
      },
    };
  }

  return {
    count: (objectives, counted, now) =>
      objectives.flatMap((objective) => countOne(objective, counted, now) ?? []),
  };
}

function add(minutes: Minute[], requests: number, bad: number, minute: number): void {
  let last = minutes.at(-1);
  if (last === undefined || last.minute < minute) {
    last = { minute, requests: 0, bad: 0 };
    minutes.push(last);
    while ((minutes[0]?.minute ?? minute) <= minute - KEPT_MINUTES) minutes.shift();
  }
  last.requests += requests;
  last.bad += bad;
}

/** Of the last so many minutes, the one under way counted. */
function sumOf(minutes: readonly Minute[], count: number): { requests: number; bad: number } {
  const sum = { requests: 0, bad: 0 };
  const after = (minutes.at(-1)?.minute ?? 0) - count;
  for (const { minute, requests, bad } of minutes) {
    if (minute <= after) continue;
    sum.requests += requests;
    sum.bad += bad;
  }
  return sum;
}

function isFaster(
  minutes: readonly Minute[],
  { shortMinutes, longMinutes, pace }: (typeof PACES)[number],
  allowedShare: number,
): boolean {
  return [shortMinutes, longMinutes].every((count) => {
    const { requests, bad } = sumOf(minutes, count);
    return requests >= MIN_REQUESTS && bad >= Math.min(1, pace * allowedShare) * requests;
  });
}
