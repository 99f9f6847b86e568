/**
 * What made a request longer than is usual on its route, each cause with its milliseconds: what the trace proves, and what a
 * comparison with the same tenant's other requests shows. What neither can tell is `unknown`, with its size. Pure.
 */

import { numberAttribute, textAttribute } from "../trace/summary.ts";
import { viewAttempts } from "../trace/time-shares.ts";
import type { FinishedSpan } from "../trace/trace.ts";
import { type Baseline, createBaseline, type Figure, usualOf } from "../usual/baseline.ts";
import { measure, msOf, type MeasuredRequest, type PartKind } from "../usual/measure.ts";
import { leftAttempts, otherTarget, skippedOf, vendorQueue } from "./attempt-causes.ts";
import { excessOf, findCallCauses } from "./call-causes.ts";
import {
  type AmountFormat,
  type Cause,
  type CauseKind,
  isNotable,
  type Piece,
  type Surroundings,
} from "./cause.ts";
import { failureInWords, limitInWords } from "./plain-words.ts";

/** A target with fewer requests is not known well enough to be called slow. */
const MIN_OF_TARGET = 20;
/** Of what was in the way of a request in the queue. */
const MAX_LINKS = 8;

export interface Found {
  /** The longest first. They add up to `differenceMs`, `unknown` included. */
  readonly causes: readonly Cause[];
  /** Above what is usual for the route; undefined where that is not known. */
  readonly differenceMs: number | undefined;
}

/** Without surroundings only what the trace itself proves, and nothing is called slow. */
export function findCauses(
  spans: readonly FinishedSpan[],
  format: AmountFormat,
  around?: Surroundings,
): Found {
  const [root] = spans;
  const own = measure(spans);
  if (root === undefined || own === undefined) return { causes: [], differenceMs: undefined };
  const ended = endedOtherwise(root, own);
  // How long a refusal or a failure usually takes says nothing, nor does a hit's length beside a call's.
  const usual =
    ended === undefined && (own.target !== null || own.outcome === "coalesced") ? around?.usual : undefined;
  const base = usual?.route ?? createBaseline();
  const attempts = viewAttempts(spans);
  const answered = attempts.findLast(({ hasAnswered }) => hasAnswered);
  const lost = leftAttempts(attempts, answered, lostMs(own, base), format);
  const found = [
    ...(ended ?? []),
    ...waited(own, spans, excess(own, base, "queue"), format, around),
    ...lost,
    ...steps(own, spans, base, format, usual !== undefined),
  ];
  if (answered !== undefined) {
    if (usual === undefined) found.push(...vendorQueue(own, format));
    else {
      const skipped = skippedOf(spans);
      const { target = createBaseline() } = usual;
      const isKnown = target.count >= MIN_OF_TARGET;
      if (own.target !== usual.mainTarget && (skipped !== undefined || lost.length > 0 || isKnown))
        found.push(...otherTarget(own, isKnown ? target : undefined, usual, skipped, format));
      if (isKnown || own.target === usual.mainTarget)
        found.push(
          ...findCallCauses(own, answered.span, isKnown ? target : base, around?.neighbours ?? [], format),
        );
    }
  }
  return {
    ...addUp(found, own, usual && Math.round(own.durationMs - usualOf(base, "total")), format),
  };
}

/** What a request came to that was not answered to its end; it comes first, and has no length of its own. */
function endedOtherwise(root: FinishedSpan, { outcome }: MeasuredRequest): readonly Cause[] | undefined {
  const code = textAttribute(root, "gateway.decision") ?? textAttribute(root, "error.type");
  const kind: CauseKind | undefined =
    outcome === "rejected"
      ? "refused"
      : outcome === "client_disconnected"
        ? "client_left"
        : root.isError || outcome === "upstream_error"
          ? "upstream_failed"
          : undefined;
  if (kind === undefined) return undefined;
  return [{ kind, ms: 0, pieces: [{ text: failureInWords(code ?? outcome ?? "") }] }];
}

const ENDS: readonly CauseKind[] = ["refused", "upstream_failed", "client_left"];

/** The longest first, and what is left. */
function addUp(
  found: readonly Cause[],
  { durationMs }: MeasuredRequest,
  differenceMs: number | undefined,
  { duration }: AmountFormat,
): Found {
  const isEnd = ({ kind }: Cause): boolean => ENDS.includes(kind);
  const causes = found
    .filter((cause) => isEnd(cause) || cause.ms > 0 || (cause.usd ?? 0) > 0)
    .toSorted((a, b) => Number(isEnd(b)) - Number(isEnd(a)) || b.ms - a.ms);
  if (differenceMs === undefined) return { causes, differenceMs };
  const restMs = differenceMs - causes.reduce((total, { ms }) => total + ms, 0);
  if (restMs === 0) return { causes, differenceMs };
  const text = isNotable(restMs, durationMs) ? "took another " : "differs from the usual by ";
  const rest: Cause = {
    kind: "unknown",
    ms: restMs,
    pieces: [{ text }, { text: duration(Math.abs(restMs)) }, { text: " for no known reason" }],
  };
  return { causes: [...causes, rest], differenceMs };
}

/** What is notable of a part above its usual length. */
function excess(own: MeasuredRequest, base: Baseline, part: PartKind & Figure): number {
  const ms = Math.round(msOf(own.parts, part) - usualOf(base, part));
  return isNotable(ms, own.durationMs) ? ms : 0;
}

function lostMs({ parts, durationMs }: MeasuredRequest, base: Baseline): number {
  const ms = Math.round(msOf(parts, "failed") + msOf(parts, "pause") - usualOf(base, "failed"));
  return isNotable(ms, durationMs) ? ms : 0;
}

function waited(
  own: MeasuredRequest,
  spans: readonly FinishedSpan[],
  ms: number,
  { duration, place }: AmountFormat,
  around: Surroundings | undefined,
): readonly Cause[] {
  if (ms === 0) return [];
  const [root] = spans;
  const wait = spans.find(({ name }) => name === "gateway.queue.wait");
  const limit = textAttribute(wait, "gateway.queue.limit") ?? textAttribute(root, "gateway.queue.limit");
  const position = numberAttribute(wait, "gateway.queue.position") ?? 0;
  const lane = spans.some((span) => textAttribute(span, "gateway.queue.lane") === "batch");
  const overtakenBy = around?.overtakenBy ?? 0;
  const isOvertaken = lane && overtakenBy > 0;
  const behind = (wait?.links ?? []).flatMap(({ traceId, attributes }) =>
    attributes["gateway.link.type"] === "queued_behind" ? [traceId] : [],
  );
  const holders = (around?.linked ?? []).filter(({ traceId }) => behind.includes(traceId));
  const known = limit === "concurrency" ? around?.slots : undefined;
  // A raise for a time is in no record: the slots that were held must be as many.
  const slots = known !== undefined && Math.min(known.count, MAX_LINKS) === behind.length ? known : undefined;
  const why = limit === null ? "" : `, held by the limit of ${limitInWords(limit)}`;
  const what =
    slots === undefined
      ? ` in the queue${position > 0 ? `, ${place(position)} in line` : ""}${why}`
      : ` for one of ${slots.holder}'s ${slots.count} slots`;
  const overtaken = `, in the batch lane: ${overtakenBy} that came later went first`;
  return [
    {
      kind: isOvertaken ? "batch_lane" : "own_limit",
      ms,
      pieces: [
        { text: "waited " },
        { text: duration(ms), part: "queue" },
        { text: what + heldBy(holders, behind.length, own, around) + (isOvertaken ? overtaken : "") },
      ],
      ...(behind.length > 0 && { traceIds: [...new Set(behind)] }),
    },
  ];
}

/** `, all held by the key nightly-eval`. */
function heldBy(
  holders: Surroundings["linked"],
  links: number,
  own: MeasuredRequest,
  around: Surroundings | undefined,
): string {
  if (around === undefined || holders.length === 0) return "";
  const counts = Map.groupBy(holders, ({ keyId }) => keyId ?? "");
  const named = [...counts].map(([keyId, of]) => {
    const name = keyId === own.keyId ? "its own key" : `the key ${around.keyName(keyId)}`;
    return counts.size === 1 ? name : `${name} (${of.length})`;
  });
  // Links are at most eight, and a holder's own trace may not be stored.
  const all = counts.size === 1 && holders.length === new Set(holders).size && links === holders.length;
  return `, ${all && links > 1 ? "all " : ""}held by ${named.join(" and ")}`;
}

/** Steps of the gateway that the trace itself shows, and what is left of its own time. */
function steps(
  own: MeasuredRequest,
  spans: readonly FinishedSpan[],
  base: Baseline,
  { duration }: AmountFormat,
  isUsualKnown: boolean,
): readonly Cause[] {
  const sumOf = (isMeant: (span: FinishedSpan) => boolean): number =>
    spans.filter(isMeant).reduce((total, { startAt, endAt }) => total + endAt - startAt, 0);
  const isLookedUp = (span: FinishedSpan): boolean =>
    (textAttribute(span, "gateway.config.source") ??
      textAttribute(span, "gateway.auth.source") ??
      "memory") !== "memory";
  const waitMs = sumOf(({ name }) => name === "gateway.queue.wait");
  const gatewayMs = msOf(own.parts, "gateway");
  const records = Math.min(gatewayMs, sumOf(isLookedUp));
  const object = Math.min(gatewayMs - records, sumOf(({ name }) => name === "gateway.admission") - waitMs);
  const rest = isUsualKnown
    ? excessOf(base, "gateway", gatewayMs, own.durationMs) - Math.max(0, records) - Math.max(0, object)
    : 0;
  const embedded = spans.find((span) => textAttribute(span, "gateway.attempt.reason") === "cache");
  const all: readonly (readonly [kind: CauseKind, ms: number, part: Piece["part"], text: string])[] = [
    ["embedding", excess(own, base, "cache"), "cache", " on the look-up of a like question"],
    ["shared_answer", msOf(own.parts, "shared"), "gateway", " on an equal request that was under way"],
    ["cold_isolate", records, "gateway", " reading the tenant's records, which its isolate did not have yet"],
    ["far_object", object, "gateway", " on the way to the tenant's queue and back"],
    ["gateway", rest, "gateway", " more than usual inside the gateway"],
  ];
  return all.flatMap(([kind, ms, part, text]): readonly Cause[] =>
    isNotable(ms, own.durationMs) && (kind !== "embedding" || embedded !== undefined)
      ? [
          {
            kind,
            ms: Math.round(ms),
            pieces: [
              { text: "spent " },
              { text: duration(ms), ...(part !== undefined && { part }) },
              { text },
            ],
          },
        ]
      : [],
  );
}
