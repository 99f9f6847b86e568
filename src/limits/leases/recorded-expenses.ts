/**
 * Which of the isolates' expenses are recorded already. Each isolate numbers its own, so that a few ranges of numbers an
 * isolate are enough to record each once, however often it arrives and however many there are. Pure.
 */

import { RESEND_WINDOW_MS } from "../protocol.ts";

/** Isolates that are known; the one silent for longest goes first. */
const MAX_SENDERS = 2000;
/** Calls of an isolate overtake each other now and then: each gap that stays open makes a range more. */
const MAX_RANGES = 32;

type Range = readonly [from: number, to: number];
/** An isolate, when it was last heard of, and the numbers that are recorded, ascending. */
export type SavedSender = readonly [sender: string, at: number, ranges: readonly Range[]];

export interface RecordedExpenses {
  /** Whether this number of this isolate is new; it counts as recorded from then on. */
  claim(sender: string, number: number, now: number): boolean;
  /** Those that may tell an expense again; undefined where there are none. */
  save(now: number): readonly SavedSender[] | undefined;
}

export function createRecordedExpenses(saved: readonly SavedSender[] = []): RecordedExpenses {
  const senders = new Map<string, SavedSender>(saved.map((each) => [each[0], each]));

  return {
    claim(sender, number, now) {
      const ranges = senders.get(sender)?.[2] ?? [];
      if (ranges.some(([from, to]) => number >= from && number <= to)) return false;
      senders.delete(sender);
      senders.set(sender, [sender, now, withNumber(ranges, number)]);
      const [oldest] = senders.keys();
      if (senders.size > MAX_SENDERS && oldest !== undefined) senders.delete(oldest);
      return true;
    },
    save(now) {
      for (const [sender, at] of senders.values()) {
        if (at > now - RESEND_WINDOW_MS) break;
        senders.delete(sender);
      }
      return senders.size === 0 ? undefined : [...senders.values()];
    },
  };
}

function withNumber(ranges: readonly Range[], number: number): readonly Range[] {
  const below = ranges.filter(([, to]) => to < number);
  const above = ranges.filter(([from]) => from > number);
  const [before, after] = [below.at(-1), above[0]];
  const joinsBefore = before?.[1] === number - 1;
  const joinsAfter = after?.[0] === number + 1;
  const joined: Range = [joinsBefore ? before[0] : number, joinsAfter ? after[1] : number];
  const left = joinsBefore ? below.slice(0, -1) : below;
  const right = joinsAfter ? above.slice(1) : above;
  return [...left, joined, ...right].slice(-MAX_RANGES);
}
