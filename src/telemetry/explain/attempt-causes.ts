/** Calls that did not answer, and who answered in place of the usual target. Pure. */

import { numberAttribute, textAttribute } from "../trace/summary.ts";
import type { AttemptView } from "../trace/time-shares.ts";
import type { FinishedSpan } from "../trace/trace.ts";
import { type Baseline, usualOf } from "../usual/baseline.ts";
import { type MeasuredRequest, msOf } from "../usual/measure.ts";
import {
  type AmountFormat,
  type Cause,
  type CauseKind,
  isNotable,
  type Piece,
  type Surroundings,
} from "./cause.ts";
import { failureInWords } from "./plain-words.ts";

export function leftAttempts(
  attempts: readonly AttemptView[],
  answered: AttemptView | undefined,
  ms: number,
  { duration }: AmountFormat,
): readonly Cause[] {
  if (answered === undefined) return [];
  const left = attempts.filter((attempt) => attempt !== answered);
  const usd = left.reduce(
    (total, { span }) => total + (numberAttribute(span, "gateway.attempt.cost_usd") ?? 0),
    0,
  );
  if (ms === 0 && usd === 0) return [];
  const by = textAttribute(answered.span, "gateway.attempt.target");
  const isHedge = left.some(({ span }) => textAttribute(span, "gateway.attempt.outcome") === "hedge_lost");
  const isSame = left.every(({ span }) => textAttribute(span, "gateway.attempt.target") === by);
  const reasons = [...new Set(left.map(({ span }) => describeFailure(span)))].join(", then ");
  const to = left.length === 0 ? "" : ` to failed attempts (${reasons})`;
  const then = isSame ? "a retry" : (by ?? "another target");
  const kind: CauseKind = left.length === 0 ? "cooldown" : isHedge ? "hedge" : isSame ? "retry" : "fallback";
  const tail = {
    cooldown: ` until ${by} could be called again, as its Retry-After said`,
    hedge: ` to a slow call before ${by}, which was called beside it, answered`,
    retry: `${to} before ${then} answered`,
    fallback: `${to} before ${then} answered`,
  }[kind];
  return [
    {
      kind,
      ms,
      ...(usd > 0 && { usd }),
      pieces: [
        { text: kind === "cooldown" ? "waited " : "lost " },
        { text: duration(ms), part: "failed" },
        { text: tail },
      ],
    },
  ];
}

function describeFailure(span: FinishedSpan): string {
  const target = textAttribute(span, "gateway.attempt.target");
  const status = numberAttribute(span, "http.response.status_code");
  const code =
    textAttribute(span, "gateway.attempt.outcome") ?? textAttribute(span, "error.type") ?? "failed";
  const shown = status === null || status < 400 ? "" : ` with ${status}`;
  return `${target ?? "an upstream"} ${failureInWords(code)}${shown}`;
}

/** Without a baseline: what the vendor itself says. */
export function vendorQueue(own: MeasuredRequest, { duration }: AmountFormat): readonly Cause[] {
  const ms = own.vendorQueueMs;
  if (!isNotable(ms, own.durationMs)) return [];
  const pieces: readonly Piece[] = [
    { text: "waited " },
    { text: duration(ms), part: "vendor_queue" },
    { text: ` in the queue of ${own.target ?? "the vendor"}` },
  ];
  return [{ kind: "vendor_queue", ms, pieces }];
}

interface Skipped {
  readonly kind: "circuit" | "cooldown";
  readonly why: string;
}

/** Why a target before the one that answered was not called. */
export function skippedOf(spans: readonly FinishedSpan[]): Skipped | undefined {
  const circuit: Skipped = { kind: "circuit", why: "its circuit is open" };
  const rejected = spans.find(({ name }) => name === "gateway.route")?.attributes["gateway.route.rejected"];
  if (Array.isArray(rejected) && rejected.some((text) => String(text).includes(": circuit open")))
    return circuit;
  for (const { name, attributes } of spans[0]?.events ?? []) {
    if (name === "gateway.circuit_open") return circuit;
    const code = attributes["error.type"];
    if (name === "gateway.fallback" && (code === "target_closed" || code === "rate_limit_near"))
      return { kind: "cooldown", why: "its vendor limits our rate" };
  }
  return undefined;
}

/** What the other target takes longer than the one that usually answers. */
export function otherTarget(
  own: MeasuredRequest,
  target: Baseline | undefined,
  { route, mainTarget }: NonNullable<Surroundings["usual"]>,
  skipped: Skipped | undefined,
  { duration }: AmountFormat,
): readonly Cause[] {
  const partOf = (part: "first_token" | "answer"): number =>
    (target === undefined ? msOf(own.parts, part) : usualOf(target, part)) - usualOf(route, part);
  const ms = Math.round(partOf("first_token") + partOf("answer"));
  if (!isNotable(ms, own.durationMs)) return [];
  const why = skipped === undefined ? "" : `: ${skipped.why}`;
  return [
    {
      kind: skipped?.kind ?? "other_target",
      ms,
      pieces: [
        { text: "took " },
        { text: duration(ms), part: "answer" },
        { text: ` more as ${own.target} answered in place of ${mainTarget}${why}` },
      ],
    },
  ];
}
