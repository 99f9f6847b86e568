/**
 * Why the call that answered took longer than its target's calls usually do: its prompt, its answer, the vendor's own account, and
 * the calls around it. An amount that is expected by the number of tokens comes from the route's own requests of other sizes. Pure.
 */

import { numberAttribute } from "../trace/summary.ts";
import type { FinishedSpan } from "../trace/trace.ts";
import { type Baseline, type Figure, slopeOf, usualOf } from "../usual/baseline.ts";
import { msOf, type MeasuredRequest } from "../usual/measure.ts";
import { type AmountFormat, type Cause, type CauseKind, isNotable, type Piece } from "./cause.ts";

/** More than so much above three quarters of the others, and than what is notable, is not as usual. */
const SPREAD = 1.5;
/** The nearest calls in time that say how the target did just then, and the fewest that say it. */
const NEAREST = 5;
const MIN_NEIGHBOURS = 3;
const MICROS_PER_MS = 1000;
const PER_THOUSAND = 1000;
/** The pauses of a stream are measured in steps of 250 ms. */
const MIN_STALL_MS = 1000;

/** By how much a part is above what is usual; 0 where it is within the usual spread. */
export function excessOf(base: Baseline, figure: Figure, ms: number, tookMs: number): number {
  const excessMs = ms - usualOf(base, figure);
  return ms > SPREAD * usualOf(base, figure, 0.75) && isNotable(excessMs, tookMs) ? excessMs : 0;
}

type Timed = "first_token" | "answer";

export function findCallCauses(
  own: MeasuredRequest,
  call: FinishedSpan,
  base: Baseline,
  neighbours: readonly MeasuredRequest[],
  format: AmountFormat,
): readonly Cause[] {
  const vendor = own.target ?? "the upstream";
  const causes: Cause[] = [];

  /** Explains one part of the call; what is left of it in the end is the upstream's, here. */
  function explainPart(part: Timed, isWhole: boolean): void {
    const partMs = msOf(own.parts, part);
    let leftMs = excessOf(base, part, partMs, own.durationMs);
    if (leftMs === 0) return;
    const take = (
      kind: CauseKind,
      atMostMs: number,
      before: string,
      after: string,
      traceIds?: readonly string[],
    ): void => {
      const ms = Math.round(Math.min(atMostMs, leftMs));
      if (!isNotable(ms, own.durationMs)) return;
      leftMs -= ms;
      const named: Piece = { text: format.duration(ms), part: kind === "vendor_queue" ? kind : part };
      causes.push({
        kind,
        ms,
        pieces: [{ text: before }, named, { text: after }],
        ...(traceIds !== undefined && { traceIds }),
      });
    };

    if (part === "first_token" || isWhole) {
      take(
        "vendor_queue",
        own.vendorQueueMs - usualOf(base, "vendor_queue"),
        "waited ",
        ` in the queue of ${vendor}`,
      );
      const perToken = slopeOf(base.byInput);
      const fresh = own.inputTokens - own.cachedTokens;
      const extra = fresh - usualOf(base, "input");
      const usuallyCached = (own.inputTokens * usualOf(base, "cached_share")) / PER_THOUSAND;
      const cold = Math.min(extra, Math.max(0, usuallyCached - own.cachedTokens));
      take(
        "cold_prompt_cache",
        perToken * cold,
        "took ",
        ` more for ${Math.round(cold)} tokens of the prompt that usually come from the vendor's prompt cache`,
      );
      take(
        "long_prompt",
        perToken * (extra - cold),
        "took ",
        ` more for its long prompt: ${fresh} tokens to read, usually ${Math.round(usualOf(base, "input"))}`,
      );
    }
    if (part === "answer") {
      const gapMs = numberAttribute(call, "gateway.stream.max_gap_ms") ?? 0;
      if (gapMs >= MIN_STALL_MS)
        take("stalled_stream", gapMs, "stood still for ", ` while ${vendor} sent nothing`);
      const perToken = isWhole ? slopeOf(base.byOutput) : usualOf(base, "token_us") / MICROS_PER_MS;
      take(
        "long_answer",
        perToken * (own.outputTokens - usualOf(base, "output")),
        "took ",
        ` more for its long answer: ${own.outputTokens} tokens, usually ${Math.round(usualOf(base, "output"))}`,
      );
    }
    if (isNotable(leftMs, own.durationMs)) compare(part, leftMs, take);
  }

  type Take = (
    kind: CauseKind,
    ms: number,
    before: string,
    after: string,
    traceIds?: readonly string[],
  ) => void;

  /** With the calls to the same target around it. */
  function compare(part: Timed, leftMs: number, take: Take): void {
    const alike = neighbours.filter(({ isStream }) => isStream === own.isStream);
    const slownessOf = (of: readonly MeasuredRequest[]): number =>
      median(of.map(({ parts }) => msOf(parts, part))) - usualOf(base, part);
    const isSlow = (of: readonly MeasuredRequest[]): boolean => of.length > 0 && slownessOf(of) >= leftMs / 2;
    const isAsUsual = (of: readonly MeasuredRequest[]): boolean => of.length >= MIN_NEIGHBOURS && !isSlow(of);
    const idsOf = (of: readonly MeasuredRequest[]): readonly string[] => of.map(({ traceId }) => traceId);
    for (const place of ["replica", "region"] as const) {
      const name = own[place];
      if (name === null) continue;
      const there = alike.filter((other) => other[place] === name);
      const elsewhere = nearest(
        alike.filter((other) => other[place] !== null && other[place] !== name),
        own,
      );
      const beside = there.filter(
        ({ calledAt, answeredAt }) => calledAt < own.answeredAt && answeredAt > own.calledAt,
      );
      const alone = there.filter((other) => !beside.includes(other));
      if (place === "replica" && beside.length > 0 && isAsUsual([...alone, ...elsewhere])) {
        const calls = beside.length === 1 ? "another call" : `${beside.length} other calls`;
        take(
          "busy_replica",
          leftMs,
          "took ",
          ` longer at the replica ${name}, which answered ${calls} at the same time`,
          idsOf(beside),
        );
        return;
      }
      if (isAsUsual(elsewhere) && (there.length === 0 || isSlow(nearest(there, own)))) {
        const where = `the ${place} ${name}; the requests around it at ${elsewhere[0]?.[place]} were as usual`;
        take(
          place === "replica" ? "other_replica" : "other_region",
          leftMs,
          "took ",
          ` longer at ${where}`,
          idsOf(there),
        );
        return;
      }
    }
    const around = nearest(alike, own);
    const verb = part === "first_token" ? "begin" : "answer";
    if (around.length >= MIN_NEIGHBOURS && isSlow(around))
      take(
        "upstream_for_all",
        slownessOf(around),
        `waited `,
        ` longer than usual for ${vendor} to ${verb}, as the requests around it did`,
        idsOf(around),
      );
    const rest = part === "first_token" ? "began" : "answered";
    const than = around.length >= MIN_NEIGHBOURS ? ", while the requests around it were as usual" : "";
    take(
      "upstream_here",
      Infinity,
      "took ",
      ` longer than usual until ${vendor} ${rest}${isSlow(around) ? "" : than}`,
    );
  }

  explainPart("first_token", false);
  explainPart("answer", !own.isStream);
  return causes;
}

function nearest(
  requests: readonly MeasuredRequest[],
  { startedAt }: MeasuredRequest,
): readonly MeasuredRequest[] {
  const distance = (other: MeasuredRequest): number => Math.abs(other.startedAt - startedAt);
  return requests.toSorted((a, b) => distance(a) - distance(b)).slice(0, NEAREST);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
