/**
 * Why a request took its time, or was refused, as one sentence. Without surroundings it is what the trace itself proves, and nothing
 * is called slow. Pure.
 */

import { numberAttribute, textAttribute } from "../trace/summary.ts";
import { type AttemptView, shareTime, type TimeShare, viewAttempts } from "../trace/time-shares.ts";
import type { FinishedSpan } from "../trace/trace.ts";
import { usualOf } from "../usual/baseline.ts";
import type { AmountFormat, Cause, Piece, Surroundings } from "./cause.ts";
import { findCauses } from "./causes.ts";
import { failureInWords, limitInWords } from "./plain-words.ts";

const MS_PER_SECOND = 1000;
/** More would not be a sentence. */
const MAX_NAMED = 3;

export function explain(
  spans: readonly FinishedSpan[],
  format: AmountFormat,
  around?: Surroundings,
  { causes } = findCauses(spans, format, around),
): readonly Piece[] {
  const [root] = spans;
  if (root === undefined) return [];
  const attempts = viewAttempts(spans);
  const shares = shareTime(root, spans);
  const outcome = textAttribute(root, "gateway.outcome");
  const decision = textAttribute(root, "gateway.decision");
  if (decision !== null && outcome === "rejected") return refused(root, decision, shares, format);
  if (outcome === "cache_hit") return hit(spans, format);
  const named = causes.filter(({ kind, ms }) => kind !== "unknown" && ms > 0).slice(0, MAX_NAMED);
  if (outcome === "client_disconnected") return join([{ text: "The client left before the end" }], named);
  if (root.isError || outcome === "upstream_error") return failed(root, attempts, named);
  if (outcome === "coalesced")
    return join([{ text: "Shared the answer of an equal request that was under way" }], named);
  if (outcome === "replayed")
    return join([{ text: "Answered with the kept answer of the same idempotency key" }], named);
  const usualMs = around?.usual && usualOf(around.usual.route, "total");
  const usual = usualMs === undefined ? "" : `usually such a request takes ${format.duration(usualMs)}`;
  if (named.length > 0) return join([], named, usual);
  return calm(attempts, shares, root, format, usual);
}

function msOf(shares: readonly TimeShare[], kind: TimeShare["kind"]): number {
  return shares.find((share) => share.kind === kind)?.ms ?? 0;
}

function refused(
  root: FinishedSpan,
  decision: string,
  shares: readonly TimeShare[],
  { duration }: AmountFormat,
): readonly Piece[] {
  const limit = textAttribute(root, "gateway.limit.name");
  const value = numberAttribute(root, "gateway.limit.value");
  const resetS = numberAttribute(root, "gateway.limit.reset_s");
  const queueMs = msOf(shares, "queue");
  const after: readonly Piece[] =
    queueMs > 0
      ? [{ text: " after " }, { text: duration(queueMs), part: "queue" }, { text: " in the queue" }]
      : [];
  const which =
    limit === null ? "" : `: the limit is ${value === null ? "" : `${value} `}${limitInWords(limit)}`;
  const again = resetS === null ? "" : `. It can succeed in ${duration(resetS * MS_PER_SECOND)}`;
  return [{ text: "Refused" }, ...after, { text: `, ${failureInWords(decision)}${which}${again}.` }];
}

function hit(spans: readonly FinishedSpan[], { duration, usd }: AmountFormat): readonly Piece[] {
  const lookup = spans.find(
    (span) => textAttribute(span, "gateway.cache.status") === "hit" && span !== spans[0],
  );
  const ageS = numberAttribute(lookup, "gateway.cache.age_s");
  const savedMs = numberAttribute(lookup, "gateway.cache.saved_ms");
  const savedUsd = numberAttribute(lookup, "gateway.cache.saved_usd");
  const saved = [
    savedMs === null ? undefined : duration(savedMs),
    savedUsd === null ? undefined : usd(savedUsd),
  ].filter((text) => text !== undefined);
  return [
    { text: "Answered from the " },
    { text: "cache", part: "cache" },
    ...(ageS === null ? [] : [{ text: `, ${duration(ageS * MS_PER_SECOND)} old` }]),
    { text: saved.length === 0 ? "." : `: saved ${saved.join(" and ")}.` },
  ];
}

function failed(
  root: FinishedSpan,
  attempts: readonly AttemptView[],
  causes: readonly Cause[],
): readonly Piece[] {
  const last = attempts.at(-1);
  const code =
    textAttribute(root, "error.type") ??
    textAttribute(root, "gateway.decision") ??
    textAttribute(last?.span, "gateway.attempt.outcome");
  const target = last === undefined ? null : textAttribute(last.span, "gateway.attempt.target");
  const what = code === null ? "no answer" : failureInWords(code);
  const hasBegun = last?.firstChunkAt !== undefined;
  const text = hasBegun
    ? `The stream of ${target ?? "the upstream"} broke off`
    : `Failed: ${target === null ? "" : `${target} `}${what}`;
  // The last failed attempt is the failure itself, which the beginning has said.
  return join([{ text }], causes);
}

/** No wait, no failure: who answered, and how its time divides. */
function calm(
  attempts: readonly AttemptView[],
  shares: readonly TimeShare[],
  root: FinishedSpan,
  { duration }: AmountFormat,
  usual: string,
): readonly Piece[] {
  const answered = attempts.findLast(({ hasAnswered }) => hasAnswered);
  if (answered === undefined)
    return [{ text: `Done in ${duration(root.endAt - root.startAt)}, without a call to a model.` }];
  const target = textAttribute(answered.span, "gateway.attempt.target") ?? "The upstream";
  const firstMs = msOf(shares, "first_token");
  const end = usual === "" ? "." : `; ${usual}.`;
  if (firstMs === 0) return [{ text: `${target} answered at the first attempt, without a wait${end}` }];
  return [
    { text: `${target} answered at the first attempt: first token after ` },
    { text: duration(firstMs), part: "first_token" },
    { text: `, then ${duration(msOf(shares, "answer"))} of answer${end}` },
  ];
}

/** `Head: cause, and cause.`; without a head the first cause begins the sentence. */
function join(head: readonly Piece[], causes: readonly Cause[], usual = ""): readonly Piece[] {
  const body = causes.flatMap(({ pieces }, index): readonly Piece[] => {
    const glue = index > 0 ? ", and " : head.length > 0 ? "; it " : "It ";
    return [{ text: glue }, ...pieces];
  });
  return [...head, ...body, { text: usual === "" ? "." : `; ${usual}.` }];
}
