/**
 * Why a request took its time, or was refused, as one sentence: what its own trace proves and nothing more. What is usual for
 * its route is not known here, so nothing is called slow. Pure.
 */

import { numberAttribute, textAttribute } from "../trace/summary.ts";
import type { FinishedSpan } from "../trace/trace.ts";
import { type AttemptView, shareTime, type TimeShare, viewAttempts } from "../waterfall/time-shares.ts";
import { failureInWords, limitInWords } from "./plain-words.ts";

/** A stretch of the sentence; `part` is the part of the time it speaks of. */
export interface Piece {
  readonly text: string;
  readonly part?: "queue" | "failed" | "vendor_queue" | "first_token" | "cache";
}

/** How the reader writes amounts: a terminal and a browser differ. */
export interface AmountFormat {
  readonly duration: (ms: number) => string;
  readonly usd: (usd: number) => string;
  readonly place: (place: number) => string;
}

/** A wait below both is not worth the sentence. */
const MIN_SHARE = 0.1;
const MIN_MS = 50;
const MS_PER_SECOND = 1000;

export function explain(spans: readonly FinishedSpan[], format: AmountFormat): readonly Piece[] {
  const [root] = spans;
  if (root === undefined) return [];
  const attempts = viewAttempts(spans);
  const shares = shareTime(root, spans);
  const outcome = textAttribute(root, "gateway.outcome");
  const decision = textAttribute(root, "gateway.decision");
  if (decision !== null && outcome === "rejected") return refused(root, decision, shares, format);
  if (outcome === "cache_hit") return hit(spans, format);
  const causes = [...waited(root, spans, shares, format), ...leftAttempts(attempts, shares, format)];
  if (outcome === "client_disconnected") return join([{ text: "The client left before the end" }], causes);
  if (root.isError || outcome === "upstream_error") return failed(root, attempts, causes);
  if (outcome === "coalesced")
    return join([{ text: "Shared the answer of an equal request that was under way" }], causes);
  if (outcome === "replayed")
    return join([{ text: "Answered with the kept answer of the same idempotency key" }], causes);
  const vendor = vendorWait(attempts, root, format);
  const all = [...causes, ...vendor];
  if (all.length > 0) return join([], all);
  return calm(attempts, shares, root, format);
}

function msOf(shares: readonly TimeShare[], kind: TimeShare["kind"]): number {
  return shares.find((share) => share.kind === kind)?.ms ?? 0;
}

function isNotable(ms: number, root: FinishedSpan): boolean {
  return ms >= MIN_MS && ms >= MIN_SHARE * (root.endAt - root.startAt);
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
  causes: readonly (readonly Piece[])[],
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

function waited(
  root: FinishedSpan,
  spans: readonly FinishedSpan[],
  shares: readonly TimeShare[],
  { duration, place }: AmountFormat,
): readonly (readonly Piece[])[] {
  const ms = msOf(shares, "queue");
  if (!isNotable(ms, root)) return [];
  const wait = spans.find(({ name }) => name === "gateway.queue.wait");
  const limit = textAttribute(wait, "gateway.queue.limit") ?? textAttribute(root, "gateway.queue.limit");
  const position = numberAttribute(wait, "gateway.queue.position") ?? 0;
  const why = limit === null ? "" : `, held by the limit of ${limitInWords(limit)}`;
  return [
    [
      { text: "waited " },
      { text: duration(ms), part: "queue" },
      { text: ` in the queue${position > 0 ? `, ${place(position)} in line` : ""}${why}` },
    ],
  ];
}

function leftAttempts(
  attempts: readonly AttemptView[],
  shares: readonly TimeShare[],
  { duration }: AmountFormat,
): readonly (readonly Piece[])[] {
  const answered = attempts.findLast(({ hasAnswered }) => hasAnswered);
  if (answered === undefined) return [];
  const left = attempts.filter(
    (attempt) =>
      attempt !== answered && textAttribute(attempt.span, "gateway.attempt.outcome") !== "hedge_lost",
  );
  if (left.length === 0) return [];
  const ms = msOf(shares, "failed") + msOf(shares, "pause");
  const reasons = [...new Set(left.map(({ span }) => describeFailure(span)))].join(", then ");
  const by = textAttribute(answered.span, "gateway.attempt.target");
  const isSame = left.every(({ span }) => textAttribute(span, "gateway.attempt.target") === by);
  return [
    [
      { text: "lost " },
      { text: duration(ms), part: "failed" },
      {
        text: ` to failed attempts (${reasons}) before ${isSame ? "a retry" : (by ?? "another target")} answered`,
      },
    ],
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

function vendorWait(
  attempts: readonly AttemptView[],
  root: FinishedSpan,
  { duration }: AmountFormat,
): readonly (readonly Piece[])[] {
  const answered = attempts.findLast(({ hasAnswered }) => hasAnswered);
  const ms = answered?.reported?.isDoubtful === false ? Math.round(answered.reported.queueMs) : 0;
  if (answered === undefined || !isNotable(ms, root)) return [];
  const vendor = textAttribute(answered.span, "gen_ai.provider.name") ?? "the vendor";
  return [
    [
      { text: "waited " },
      { text: duration(ms), part: "vendor_queue" },
      { text: ` in ${vendor}’s own queue` },
    ],
  ];
}

/** No wait, no failure: who answered, and how its time divides. */
function calm(
  attempts: readonly AttemptView[],
  shares: readonly TimeShare[],
  root: FinishedSpan,
  { duration }: AmountFormat,
): readonly Piece[] {
  const answered = attempts.findLast(({ hasAnswered }) => hasAnswered);
  if (answered === undefined)
    return [{ text: `Done in ${duration(root.endAt - root.startAt)}, without a call to a model.` }];
  const target = textAttribute(answered.span, "gateway.attempt.target") ?? "The upstream";
  const firstMs = msOf(shares, "first_token");
  if (firstMs === 0) return [{ text: `${target} answered at the first attempt, without a wait.` }];
  return [
    { text: `${target} answered at the first attempt: first token after ` },
    { text: duration(firstMs), part: "first_token" },
    { text: `, then ${duration(msOf(shares, "answer"))} of answer.` },
  ];
}

/** `Head: cause, and cause.`; without a head the first cause begins the sentence. */
function join(head: readonly Piece[], causes: readonly (readonly Piece[])[]): readonly Piece[] {
  const body = causes.flatMap((cause, index): readonly Piece[] => {
    const glue = index > 0 ? ", and " : head.length > 0 ? "; it " : "It ";
    return [{ text: glue }, ...cause];
  });
  return [...head, ...body, { text: "." }];
}
