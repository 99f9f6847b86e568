/** The bill for results of a batch: each at its own model's batch price. */

import type { BatchResult } from "../answers/batch-results.ts";
import { costMicroUsd } from "../../pricing/cost.ts";
import { type Bill, billedMicroUsd, billedUsage, missingOf } from "../bills.ts";
import { billedPrice, lookUpPrice } from "../target-price.ts";
import type { Billed } from "./bill.ts";

/** The word of price lists and of traces for what costs less since it may take a day. */
const TIER = "batch";

/** A bill for each model among the request's; gives their sum, undefined where there is nothing to bill. */
export function billBatch(
  { attempts: { call, deps }, turn, target: { account } }: Billed,
  results: readonly (BatchResult | undefined)[],
): Bill | undefined {
  const { accountName } = turn.target;
  const byModel = Map.groupBy(
    results.filter((result) => result !== undefined),
    ({ model }) => model,
  );
  const bills = [...byModel].map(([model, answers]): Bill => {
    const found = lookUpPrice(call.bundle, { accountName, model }, deps);
    const target = `${accountName}/${model}`;
    const each = answers.map(({ usage: used }): Bill => {
      const usage = { ...used, tier: TIER };
      const billed = found && billedPrice(found, usage, account, model);
      return {
        attempt: turn.number,
        target,
        usage,
        isEstimate: false,
        costMicroUsd: costMicroUsd(billed?.price, usage),
        basis: billed && found?.basis,
        missing: billed?.missing ?? [`model:${target}`],
        isLost: false,
      };
    });
    return sumOf(each, target);
  });
  if (bills.length === 0) return undefined;
  (call.facts.bills ??= []).push(...bills);
  return sumOf(bills, accountName);
}

/** Of one call, and at least one. */
function sumOf(bills: readonly Bill[], target: string): Bill {
  const [first] = bills;
  const usage = billedUsage(bills);
  if (first === undefined || usage === undefined) throw new Error("no bill to sum");
  const isPriced = bills.some(({ costMicroUsd: cost }) => cost !== undefined);
  return {
    ...first,
    target,
    usage: { ...usage, tier: TIER },
    costMicroUsd: isPriced ? billedMicroUsd(bills) : undefined,
    basis: bills.every(({ basis }) => basis === "own") ? "own" : "list",
    missing: missingOf(bills),
  };
}
