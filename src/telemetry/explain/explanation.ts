/** The explanation of a stored request with what the store knows of its surroundings: src/docs/why.md. Pure; not a part of the Worker. */

import { readResourceSpans } from "../otlp/otlp-read.ts";
import type { TraceContext } from "../store/stored-trace.ts";
import { isAttempt, numberAttribute, textAttribute } from "../trace/summary.ts";
import { viewAttempts } from "../trace/time-shares.ts";
import type { FinishedSpan } from "../trace/trace.ts";
import { usualOf } from "../usual/baseline.ts";
import { measure, type MeasuredRequest } from "../usual/measure.ts";
import { cleanText, formatMs, formatOrdinal, formatUsd } from "../waterfall/terminal-text.ts";
import type { AmountFormat, CauseKind, Surroundings } from "./cause.ts";
import { findCauses } from "./causes.ts";
import { explain } from "./explain.ts";

/** What the tenant's records say, as they are now. */
export interface TenantFacts {
  readonly keyName: (id: string) => string;
  readonly slotsOf: (keyId: string | null) => Surroundings["slots"];
}

const TERMINAL: AmountFormat = { duration: formatMs, usd: formatUsd, place: formatOrdinal };

/** What can be done about a cause, with the setting that does it. */
const HINTS: { readonly [kind in CauseKind]?: string } = {
  own_limit:
    "Raise the limit (`limits` of the tenant or the key), or give the key that holds the slots a limit of its own.",
  batch_lane: "Send it without `x-headgate-priority: batch` if it can't wait.",
  retry: "The route's `retries` say how often and how long the same target is tried again.",
  fallback: "Put the other target first, or shorten the route's `timeouts`, while this one fails.",
  cooldown: "Add a second target to the route: it is called while this one must not be.",
  vendor_queue:
    "A second account or another model at the vendor has a queue of its own; the strategy `least-latency` prefers the faster one.",
  cold_prompt_cache:
    "Keep what doesn't change at the beginning of the prompt, and a conversation on one target (`x-headgate-session`).",
  long_prompt:
    "Send less context, or keep its beginning equal so that the vendor's prompt cache can hold it.",
  long_answer: "`max_tokens` bounds the answer.",
  upstream_for_all: "A route with a second target and `hedge` or `least-latency` goes around a slow vendor.",
  upstream_here: "`hedge` in the route calls a second target when the first one is slow.",
  stalled_stream: "The route's `timeouts` end a stream that stands still.",
};

/** Its requests and their causes. Throws nothing; undefined for a text without spans. */
export function explainStored({ otlp, ...context }: TraceContext, facts: TenantFacts | undefined) {
  const { spans } = readResourceSpans(otlp);
  const own = measure(spans);
  const [root] = spans;
  if (own === undefined || root === undefined) return undefined;
  const keyName = facts?.keyName ?? ((id: string) => id);
  const slots = facts?.slotsOf(own.keyId);
  const around: Surroundings = { ...context, keyName, ...(slots !== undefined && { slots }) };
  const found = findCauses(spans, TERMINAL, around);
  const sentence = explain(spans, TERMINAL, around, found);
  const { usual, partner, linked } = context;
  const keyIds = [own.keyId, ...linked.map(({ keyId }) => keyId)].filter((id) => id !== null);
  const first = found.causes.find(({ kind, ms }) => kind !== "unknown" && ms > 0);
  return {
    traceId: root.traceId,
    requestId: textAttribute(root, "gateway.request.id"),
    tenant: textAttribute(root, "gateway.tenant.id"),
    text: sentence.map(({ text }) => text).join(""),
    sentence,
    hint: (first && HINTS[first.kind]) ?? null,
    tookMs: own.durationMs,
    usual:
      usual === undefined
        ? null
        : {
            p50Ms: Math.round(usualOf(usual.route, "total")),
            p95Ms: Math.round(usualOf(usual.route, "total", 0.95)),
            requests: usual.route.count,
            isOfHour: usual.isOfHour,
          },
    differenceMs: found.differenceMs ?? null,
    causes: found.causes.map(({ kind, ms, usd, pieces, traceIds = [] }) => ({
      kind,
      ms,
      usd: usd ?? null,
      text: pieces.map(({ text }) => text).join(""),
      traceIds,
    })),
    time: own.parts,
    tokens: tokensOf(own, spans),
    money: moneyOf(own, spans),
    partner:
      partner === undefined
        ? null
        : { traceId: partner.traceId, tookMs: partner.durationMs, time: partner.parts },
    links: linked.map((link) => ({ ...link, startedAt: new Date(link.startedAt).toISOString() })),
    keys: Object.fromEntries(keyIds.map((id) => [id, keyName(id)])),
  };
}
export type Explanation = NonNullable<ReturnType<typeof explainStored>>;

/** Parts of the tokens that add up to the bill. */
function tokensOf(
  { inputTokens, cachedTokens, outputTokens }: MeasuredRequest,
  [root]: readonly FinishedSpan[],
) {
  const reasoning = Math.min(
    outputTokens,
    numberAttribute(root, "gen_ai.usage.reasoning.output_tokens") ?? 0,
  );
  return [
    { kind: "input", tokens: inputTokens - Math.min(inputTokens, cachedTokens) },
    { kind: "cached_input", tokens: Math.min(inputTokens, cachedTokens) },
    { kind: "reasoning", tokens: reasoning },
    { kind: "output", tokens: outputTokens - reasoning },
  ].filter(({ tokens }) => tokens > 0);
}

const MICRO = 1e6;

/** Parts of the cost in dollars; in micro-dollars they add up to it exactly. Null where the cost is unknown. */
function moneyOf({ costUsd }: MeasuredRequest, spans: readonly FinishedSpan[]) {
  if (costUsd === null) return null;
  const answered = viewAttempts(spans).findLast(({ hasAnswered }) => hasAnswered)?.span;
  let left = Math.round(costUsd * MICRO);
  const parts = { embedding: 0, hedge: 0, failed: 0 };
  for (const span of spans.filter((each) => isAttempt(each) && each !== answered)) {
    const micro = Math.min(
      left,
      Math.round((numberAttribute(span, "gateway.attempt.cost_usd") ?? 0) * MICRO),
    );
    left -= micro;
    const isHedge = textAttribute(span, "gateway.attempt.outcome") === "hedge_lost";
    parts[
      textAttribute(span, "gateway.attempt.reason") === "cache" ? "embedding" : isHedge ? "hedge" : "failed"
    ] += micro;
  }
  return Object.entries({ answer: left, ...parts }).flatMap(([kind, micro]) =>
    micro > 0 ? [{ kind, usd: micro / MICRO }] : [],
  );
}

/** For a terminal: the sentence, the causes with their amounts, what to do. */
export function explanationText({ text, tookMs, usual, causes, hint }: Explanation): string {
  const compared =
    usual === null
      ? "Too few requests of this route are known to say what is usual."
      : `Took ${formatMs(tookMs)}, usually ${formatMs(usual.p50Ms)} (19 of 20 under ${formatMs(usual.p95Ms)}, of ${usual.requests} requests${usual.isOfHour ? " at this hour" : ""}).`;
  const rows = causes.map(
    (cause) =>
      `  ${cause.kind.replaceAll("_", " ").padEnd(18)} ${(cause.ms < 0 ? `-${formatMs(-cause.ms)}` : formatMs(cause.ms)).padStart(10)}${cause.usd === null ? "" : `  ${formatUsd(cause.usd)}`}`,
  );
  return [text, "", compared, ...rows, ...(hint === null ? [] : ["", hint])].map(cleanText).join("\n");
}
