/** Which steps of a waterfall are shown, and which one is chosen at first. Pure. */

import { remarkOf, stepName } from "./remarks.ts";
import type { RequestView, Step } from "./steps.ts";

/** Up to so many rows the steps that took no time are shown too. */
export const MOST_CALM_ROWS = 16;
const QUIET_SHARE = 0.02;

/** A wait of more than a third, else the first failed attempt, else the answer. */
export function firstChosen({ root, steps, tookMs }: RequestView): Step {
  const isLongWait = (step: Step): boolean =>
    step.span.name === "gateway.queue.wait" && step.to - step.from > tookMs / 3;
  return (
    steps.find(isLongWait) ??
    steps.find(({ attempt }) => attempt !== undefined && !attempt.isWhole) ??
    steps.findLast(({ attempt }) => attempt !== undefined) ??
    steps.find(({ span }) => span.name === "gateway.cache.lookup") ??
    root
  );
}

/** Took under 2 % of the request, did not fail, and found nothing. */
export function isQuiet(step: Step, { root, tookMs }: RequestView): boolean {
  const { span, attempt, from, to } = step;
  if (step === root || attempt !== undefined || span.isError) return false;
  if (span.attributes["gateway.cache.status"] === "hit") return false;
  return to - from < Math.max(1, tookMs * QUIET_SHARE);
}

export function isUnderFold({ parent }: Step, folded: ReadonlySet<string>): boolean {
  return parent !== undefined && (folded.has(parent.span.spanId) || isUnderFold(parent, folded));
}

export function matchesFind(step: Step, find: string): boolean {
  const words = `${stepName(step)} ${remarkOf(step)}`.toLowerCase();
  return words.includes(find.trim().toLowerCase());
}
