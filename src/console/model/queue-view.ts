/** What a snapshot of the queue says, in a sentence and in limits of one form. Pure. */

import type { ListedRequest, QueueSnapshot } from "../../limits/protocol.ts";
import { countText, durationText, usdText, visibleText } from "./words.ts";

/** Who waits for what: the screen's first line. `nameOf` gives a key's name. */
export function queueSentence(
  { depth, leases, waiting, holding, orders }: QueueSnapshot,
  nameOf: (keyId: string) => string,
): string {
  if (orders?.drained !== undefined) return "Drained: new requests are refused until it ends.";
  const work =
    leases === 0 ? "Nothing is under way" : `${countOf(leases, "request is", "requests are")} under way`;
  if (depth === 0) return `${work}, and none waits.`;
  const holder = mostOf(holding);
  const who =
    holder === undefined
      ? ""
      : ` The key ${visibleText(nameOf(holder.keyId))} holds ${holder.count} of ${holding.length} slots.`;
  const waiter = mostOf(waiting);
  const whose =
    waiter === undefined || waiting.length < 2
      ? ""
      : ` ${waiter.count} of those that wait are of ${visibleText(nameOf(waiter.keyId))}.`;
  return `${countOf(depth, "request waits", "requests wait")}; ${work.toLowerCase()}.${who}${whose}`;
}

function countOf(count: number, one: string, many: string): string {
  return `${countText(count)} ${count === 1 ? one : many}`;
}

/** The key with the most of these requests. */
function mostOf(
  requests: readonly ListedRequest[],
): { readonly keyId: string; readonly count: number } | undefined {
  const counts = new Map<string, number>();
  for (const { keyId } of requests) counts.set(keyId, (counts.get(keyId) ?? 0) + 1);
  const [most] = [...counts].toSorted((a, b) => b[1] - a[1]);
  return most === undefined ? undefined : { keyId: most[0], count: most[1] };
}

/** A limit as a bar: how much of it is in use. */
export interface LimitBar {
  readonly name: string;
  readonly text: string;
  /** 0 to 100. */
  readonly percent: number;
  readonly below: string | undefined;
}

const NAMES: Readonly<Record<string, string>> = {
  concurrency: "At a time",
  requestsPerMinute: "Requests a minute",
  tokensPerMinute: "Tokens a minute",
};

export function limitBars({ limits }: QueueSnapshot): readonly LimitBar[] {
  return Object.entries(limits).map(([name, { limit, remaining, resetMs }]) => {
    const used = Math.max(0, limit - remaining);
    return {
      name: NAMES[name] ?? name,
      text: `${countText(used)} of ${countText(limit)}`,
      percent: limit > 0 ? Math.min(100, (100 * used) / limit) : 100,
      below: resetMs > 0 && used > 0 ? `free again in ${durationText(resetMs)}` : undefined,
    };
  });
}

/** What was spent, longest period last; reserved: by requests under way. */
export function spentTexts({ spentUsd }: QueueSnapshot): readonly (readonly [string, string])[] {
  return [
    ["Today", usdText(spentUsd.day)],
    ["This week", usdText(spentUsd.week)],
    ["This month", usdText(spentUsd.month)],
    ["Reserved by requests under way", usdText(spentUsd.reserved)],
  ];
}
