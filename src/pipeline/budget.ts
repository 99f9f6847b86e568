/** What a budget asks of a request before it is admitted: a price, and a reservation for the output it may bring. */

import { estimateTokens } from "../pricing/estimate/request-tokens.ts";
import { GatewayError } from "../errors.ts";
import type { Estimate } from "../limits/protocol.ts";
import type { BareCall, Deps } from "./ports.ts";
import { mediaUsage } from "../pricing/media-usage.ts";
import { costMicroUsd } from "../pricing/cost.ts";
import type { Plan } from "../routing/plan.ts";
import type { PlannedTarget } from "../routing/planned-target.ts";
import { priceOfTarget } from "./target-price.ts";

/**
 * Reserved output tokens under a budget where the client sets no limit and the model has no history here: a long answer. Most
 * are shorter, and what is not used is given back; without a floor, any number of parallel requests would pass.
 */
const OUTPUT_FLOOR_TOKENS = 1024;

type Budgeted = Pick<BareCall, "bundle" | "key">;

export function hasBudget({ bundle, key }: Budgeted): boolean {
  return bundle.tenant.budget !== undefined || key.budget !== undefined;
}

/** Whether one of the budgets keeps calls of unknown price out. */
export function refusesUnpriced({ bundle, key }: Budgeted): boolean {
  return bundle.tenant.budget?.onUnpriced === "refuse" || key.budget?.onUnpriced === "refuse";
}

/**
 * Tokens, and under a budget what they cost at the dearest target that may be called: the request may fall back to it.
 * Throws `unpriced`.
 */
export function reservationOf(call: BareCall, plan: Plan | undefined, deps: Deps): Estimate {
  const { bundle, chat } = call;
  const { media } = chat;
  const expected = plan && deps.targets.outputLengths.expected(bundle.id, plan.targets[0].label);
  if (plan === undefined || !hasBudget(call)) return estimateTokens(chat, expected);
  // A vendor's own call has a plan only where its body was read.
  const isText = GENERATES_TEXT.has(chat.operation);
  const isOpenEnded = isText && chat.params.maxOutputTokens === undefined;
  const tokens = estimateTokens(chat, expected ?? (isOpenEnded ? OUTPUT_FLOOR_TOKENS : undefined));
  let dearest: number | undefined;
  for (const target of plan.targets) {
    const price = priceOfTarget(bundle, target, deps, media);
    const cost = costMicroUsd(price, media ? { ...mediaUsage(media, price).units, ...tokens } : tokens);
    if (cost !== undefined) dearest = Math.max(dearest ?? 0, cost);
  }
  // A hedge calls two targets, and both may be billed to their ends.
  const calls = plan.hedge === undefined ? 1 : 2;
  if (dearest !== undefined) return { ...tokens, costMicroUsd: calls * dearest };
  if (keepsOutUnpriced(call)) throw unpriced(plan.targets[0].label);
  return tokens;
}

const GENERATES_TEXT: ReadonlySet<string> = new Set(["chat", "text_completion", "proxy"]);

/** Operations that vendors do not bill. */
const FREE_OPERATIONS: ReadonlySet<string> = new Set(["moderation"]);

function keepsOutUnpriced(call: BareCall): boolean {
  return refusesUnpriced(call) && !FREE_OPERATIONS.has(call.chat.operation);
}

/** Whether a budget keeps this target from being called: what it would cost can't be known. */
export function isRefusedUnpriced(call: BareCall, target: PlannedTarget, deps: Deps): boolean {
  return keepsOutUnpriced(call) && priceOfTarget(call.bundle, target, deps, call.chat.media) === undefined;
}

/** `label`: what is called, as the tenant's `prices` would name it. */
export function unpriced(label: string): GatewayError {
  const message =
    `'${label}' has no known price, so the budget can't count it. ` +
    `Add a price for it to the tenant's \`prices\`, or set \`onUnpriced: "allow"\` on the budget.`;
  return new GatewayError("unpriced", message, { param: "model" });
}
