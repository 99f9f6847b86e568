/**
 * The parts that a request's time divides into: one name, colour and pattern each, in the sentence, the ledgers, the
 * waterfall and the list. Pure.
 */

export type TimePart =
  | "queue"
  | "failed"
  | "pause"
  | "network"
  | "vendor_queue"
  | "reading"
  | "first_token"
  | "answer"
  | "cache"
  | "gateway"
  | "app";

export const PART_NAMES: Readonly<Record<TimePart, string>> = {
  queue: "queue",
  failed: "failed attempts",
  pause: "pause before a retry",
  network: "network",
  vendor_queue: "their queue",
  reading: "reading the prompt",
  first_token: "first token",
  answer: "answer",
  cache: "cache",
  gateway: "gateway",
  app: "your app",
};

/** In the order of a request. */
export const PARTS = Object.keys(PART_NAMES) as readonly TimePart[]; // The keys of a record over `TimePart` are all of `TimePart`.

/** A stretch of time that belongs to one part; times in ms since the trace began. */
export interface Segment {
  readonly part: TimePart;
  readonly from: number;
  readonly to: number;
}

/** Where two parts cover one moment, the earlier one here is drawn: it says more about the wait. */
const RANK: readonly TimePart[] = [
  "answer",
  "cache",
  "reading",
  "vendor_queue",
  "network",
  "first_token",
  "failed",
  "pause",
  "queue",
  "gateway",
  "app",
];

/**
 * Gives each moment from `from` to `to` to one part, so that the segments touch and add up to the whole; `rest` gets what no
 * segment covers. `O(n²)` in the segments, of which a request has some twenty.
 */
export function paint(
  segments: readonly Segment[],
  { from, to, rest }: { readonly from: number; readonly to: number; readonly rest: TimePart },
): readonly Segment[] {
  const inside = segments.filter(
    (segment) => segment.to > from && segment.from < to && segment.to > segment.from,
  );
  const cuts = [...new Set([from, to, ...inside.flatMap((segment) => [segment.from, segment.to])])]
    .filter((at) => at >= from && at <= to)
    .toSorted((a, b) => a - b);
  const painted: { part: TimePart; from: number; to: number }[] = [];
  for (const [index, start] of cuts.slice(0, -1).entries()) {
    const end = cuts[index + 1] ?? start;
    const here = inside
      .filter((segment) => segment.from <= start && segment.to >= end)
      .map(({ part }) => part);
    const part = RANK.find((candidate) => here.includes(candidate)) ?? rest;
    const last = painted.at(-1);
    if (last?.part === part) last.to = end;
    else painted.push({ part, from: start, to: end });
  }
  return painted;
}

/** Milliseconds of each part that took any, in the order of a request. */
export function sumParts(
  segments: readonly Segment[],
): readonly { readonly part: TimePart; readonly ms: number }[] {
  return PARTS.map((part) => ({
    part,
    ms: segments.filter((segment) => segment.part === part).reduce((sum, { from, to }) => sum + to - from, 0),
  })).filter(({ ms }) => ms > 0);
}
