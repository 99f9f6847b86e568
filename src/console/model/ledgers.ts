/** The three ledgers of a request (time, tokens, money), each as entries that add up to its whole. Pure. */

import { numberAttribute } from "../../telemetry/trace/summary.ts";
import { type TimePart, PART_NAMES, sumParts } from "./parts.ts";
import type { RequestView } from "./steps.ts";
import { countText, durationText, shareText, rateText, usdText } from "./words.ts";

/** How an entry is filled: as a part of the time, or as a kind of token. */
export type Fill = TimePart | "prompt" | "cached" | "output" | "reasoning";

export interface LedgerEntry {
  readonly fill: Fill;
  readonly name: string;
  readonly amount: number;
  readonly text: string;
  readonly share: string;
}

export interface Ledger {
  readonly title: string;
  readonly total: string;
  readonly entries: readonly LedgerEntry[];
}

/** Those that have something to say: a request without tokens has no ledger of them. */
export function ledgersOf(request: RequestView): readonly Ledger[] {
  return [timeLedger(request), tokenLedger(request), moneyLedger(request)].filter(
    (ledger): ledger is Ledger => ledger !== undefined,
  );
}

function timeLedger({ root, tookMs, attempts }: RequestView): Ledger {
  const rate = attempts.findLast(({ hasAnswered }) => hasAnswered)?.tokensPerSecond;
  const entries = sumParts(root.segments).map(({ part, ms }) => {
    const isRated = part === "answer" && rate !== undefined;
    const text = isRated ? `${durationText(ms)} at ${rateText(rate)}` : durationText(ms);
    return { fill: part, name: PART_NAMES[part], amount: ms, text, share: shareText(ms, tookMs) };
  });
  return { title: "Time", total: durationText(tookMs), entries };
}

function tokenLedger({ root: { span } }: RequestView): Ledger | undefined {
  const input = numberAttribute(span, "gen_ai.usage.input_tokens") ?? 0;
  const output = numberAttribute(span, "gen_ai.usage.output_tokens") ?? 0;
  const total = input + output;
  if (total === 0) return undefined;
  const cached = Math.min(input, numberAttribute(span, "gen_ai.usage.cache_read.input_tokens") ?? 0);
  const reasoning = Math.min(output, numberAttribute(span, "gen_ai.usage.reasoning.output_tokens") ?? 0);
  const entries = entriesOf(total, countText, [
    ["prompt", "prompt", input - cached],
    ["cached", "prompt, from the vendor’s cache", cached],
    ["reasoning", "reasoning", reasoning],
    ["output", "answer", output - reasoning],
  ]);
  return { title: "Tokens", total: countText(total), entries };
}

/** What the failed attempts cost, and the rest: prices per kind of token are not in a trace. */
function moneyLedger({ root: { span }, attempts }: RequestView): Ledger | undefined {
  const total = numberAttribute(span, "gateway.cost.usd");
  if (total === null || total <= 0) return undefined;
  const failed = attempts
    .filter(({ isWhole }) => !isWhole)
    .reduce((sum, attempt) => sum + (numberAttribute(attempt.span, "gateway.attempt.cost_usd") ?? 0), 0);
  const lookup = numberAttribute(span, "gateway.cache.embedding_cost_usd") ?? 0;
  const entries = entriesOf(total, usdText, [
    ["failed", "attempts without a whole answer", Math.min(failed, total)],
    ["cache", "look-up by meaning", Math.min(lookup, Math.max(0, total - failed))],
    ["output", "prompt and answer", Math.max(0, total - failed - lookup)],
  ]);
  return { title: "Money", total: usdText(total), entries };
}

/** Those of the kinds that there are any of. */
function entriesOf(
  total: number,
  write: (amount: number) => string,
  kinds: readonly (readonly [fill: Fill, name: string, amount: number])[],
): readonly LedgerEntry[] {
  return kinds
    .filter(([, , amount]) => amount > 0)
    .map(([fill, name, amount]) => ({
      fill,
      name,
      amount,
      text: write(amount),
      share: shareText(amount, total),
    }));
}
