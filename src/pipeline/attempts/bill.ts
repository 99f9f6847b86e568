/** What one attempt used and cost. The request's own sum is made of these. */

import type { AnswerSummary, CountedUsage } from "../answers/answer-summary.ts";
import type { TokenUsage } from "../../schema/chat.ts";
import type { BareCall, Deps } from "../ports.ts";
import { costMicroUsd, usd } from "../../pricing/cost.ts";
import type { Target } from "../../wires/upstream-wire.ts";
import { inTier, priceOfTarget } from "../target-price.ts";

export interface Bill {
  readonly usage: TokenUsage;
  readonly isEstimate: boolean;
  /** In micro-US-dollars; undefined for a model without a known price. */
  readonly costMicroUsd: number | undefined;
}

/**
 * Puts what an attempt used on the request's bill; gives undefined where nothing is known to have been used. `isPartial`: the
 * answer was cut, or is several in one, so its length says nothing of how long a whole one gets.
 */
export function billAttempt(
  call: BareCall,
  target: Target,
  answer: Pick<AnswerSummary, "model">,
  counted: CountedUsage | undefined,
  deps: Deps,
  isPartial = false,
): Bill | undefined {
  if (counted === undefined) return undefined;
  const { usage, isEstimate } = counted;
  const { account, model } = target;
  if (!isEstimate && !isPartial) {
    const each = Math.ceil(usage.outputTokens / (call.chat.params.choiceCount ?? 1));
    deps.targets.outputLengths.note(call.bundle.id, `${account.name}/${model}`, each);
  }
  const price = priceOfTarget(call.bundle, { provider: account.name, model }, deps, answer.model);
  const cost = costMicroUsd(inTier(price, deps.providerOf(account.kind), usage), usage);
  const bill: Bill = { usage, isEstimate, costMicroUsd: cost };
  (call.facts.bills ??= []).push(bill);
  return bill;
}

/** Writes usage and cost of all attempts onto the facts, with a span that says who counted. */
export function recordBills(call: BareCall): void {
  const { facts } = call;
  const { bills } = facts;
  if (bills === undefined) return;
  facts.usage = bills.map(({ usage }) => usage).reduce(addUsage);
  facts.usageIsEstimate = bills.some(({ isEstimate }) => isEstimate);
  const costMicroUsd = billedMicroUsd(bills);
  if (costMicroUsd === undefined) delete facts.costUsd;
  else facts.costUsd = usd(costMicroUsd + (facts.hedgeMicroUsd ?? 0) + (facts.embeddingMicroUsd ?? 0));
  call.trace.root
    .child("gateway.usage.count", {
      attributes: {
        "gateway.span.cpu_only": true,
        "gateway.usage.source": facts.usageIsEstimate ? "estimate" : "provider",
        "gateway.cost.usd": facts.costUsd,
      },
    })
    .end();
}

const ADDED = [
  "cacheReadTokens",
  "cacheWriteTokens",
  "reasoningTokens",
  "inputAudioTokens",
  "cacheReadAudioTokens",
  "outputAudioTokens",
] as const satisfies readonly (keyof TokenUsage)[];

function addUsage(sum: TokenUsage, usage: TokenUsage): TokenUsage {
  const added: { -readonly [Name in keyof TokenUsage]: TokenUsage[Name] } = {
    inputTokens: sum.inputTokens + usage.inputTokens,
    outputTokens: sum.outputTokens + usage.outputTokens,
  };
  for (const name of ADDED) {
    if (sum[name] !== undefined || usage[name] !== undefined)
      added[name] = (sum[name] ?? 0) + (usage[name] ?? 0);
  }
  return added;
}

/** In micro-US-dollars; undefined where one of them has no known price. */
export function billedMicroUsd(bills: readonly Bill[]): number | undefined {
  let sum = 0;
  for (const { costMicroUsd } of bills) {
    if (costMicroUsd === undefined) return undefined;
    sum += costMicroUsd;
  }
  return sum;
}
