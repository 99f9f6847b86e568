/**
 * The texts of the waterfall: a span's label, and the note beside its bar. The spans' texts are already safe to
 * print. Pure.
 */

import type { AttemptView, ReportedParts } from "../trace/time-shares.ts";
import { REPORTED_GLYPHS } from "./waterfall-bars.ts";
import { numberAttribute, textAttribute } from "../trace/summary.ts";
import { formatMs, formatOrdinal, formatUsd } from "./terminal-text.ts";
import type { FinishedSpan } from "../trace/trace.ts";

const PREFIX = "gateway.";
const MS_PER_SECOND = 1000;

/** `queue wait`; of an attempt `#2 openai/gpt-4o-mini`. */
export function labelOf(span: FinishedSpan, attempt: AttemptView | undefined): string {
  if (attempt !== undefined) {
    const number = numberAttribute(span, "gateway.attempt.number");
    return `#${number} ${textAttribute(span, "gateway.attempt.target") ?? span.name}`;
  }
  if (!span.name.startsWith(PREFIX)) return span.name;
  return span.name.slice(PREFIX.length).replaceAll(".", " ");
}

/** The result of an attempt; `next` is the one after it. */
export function noteOfAttempt(
  { span, isWhole, tokensPerSecond }: AttemptView,
  next: AttemptView | undefined,
): string {
  if (isWhole) return tokensPerSecond === undefined ? "" : formatRate(tokensPerSecond);
  const status = numberAttribute(span, "http.response.status_code");
  const outcome = textAttribute(span, "gateway.attempt.outcome") ?? textAttribute(span, "error.type");
  const reason = next && textAttribute(next.span, "gateway.attempt.reason");
  const then = reason === "retry" ? "→ tried again" : reason === "fallback" ? "→ next target" : undefined;
  return sentence([status === null || status < 400 ? null : String(status), outcome, then], " ");
}

/** The upstream's own account of a call, under its bar; empty where it gave none. */
export function reportsOf({ span, reported }: AttemptView): readonly (readonly string[])[] {
  const served = [
    textAttribute(span, "gateway.upstream.region"),
    textAttribute(span, "gateway.upstream.replica"),
    textAttribute(span, "gateway.upstream.system_fingerprint"),
    prefixed("edge", textAttribute(span, "gateway.upstream.colo")),
    prefixed("tier", textAttribute(span, "gateway.upstream.service_tier")),
  ].filter((part) => part !== null);
  return [
    ...(reported === undefined ? [] : [describeParts(reported)]),
    ...(served.length === 0 ? [] : [[`served by ${served.join(" · ")}`]]),
  ];
}

function describeParts({
  networkMs,
  queueMs,
  prefillMs,
  decodeMs,
  isDoubtful,
}: ReportedParts): readonly string[] {
  if (isDoubtful) return ["the upstream's own times don't fit into the call"];
  const parts = [
    [REPORTED_GLYPHS.network, "network", networkMs],
    [REPORTED_GLYPHS.queue, "their queue", queueMs],
    [REPORTED_GLYPHS.prefill, "prefill", prefillMs],
    [REPORTED_GLYPHS.decode, "decode", decodeMs],
  ] as const;
  return parts
    .filter(([, , ms]) => ms > 0)
    .map(([glyph, name, ms]) => `${glyph} ${name} ${formatMs(Math.round(ms))}`);
}

function formatShare(share: number): string {
  return `${Math.round(share * PERCENT)}%`;
}

const PERCENT = 100;

function prefixed(name: string, text: string | null): string | null {
  return text === null ? null : `${name} ${text}`;
}

export function formatRate(tokensPerSecond: number): string {
  return `${tokensPerSecond < 10 ? tokensPerSecond.toFixed(1) : Math.round(tokensPerSecond)} tok/s`;
}

/** The note of any other span; empty when there is nothing to add. */
export function noteOf(span: FinishedSpan): string {
  const note = NOTES[span.name]?.(span) ?? "";
  const fault = textAttribute(span, "error.type");
  const cut = span.attributes["gateway.span.truncated"] === true ? "still open at export" : undefined;
  return sentence([note, fault, cut]);
}

const NOTES: Readonly<Record<string, (span: FinishedSpan) => string>> = {
  "gateway.auth": (span) =>
    sentence([
      textAttribute(span, "gateway.auth.source"),
      unlessOk(textAttribute(span, "gateway.auth.result")),
    ]),
  "gateway.config.load": (span) => {
    const ageMs = numberAttribute(span, "gateway.config.age_ms") ?? 0;
    return sentence([
      textAttribute(span, "gateway.config.source"),
      ageMs < MS_PER_SECOND ? undefined : `${formatMs(ageMs)} old`,
    ]);
  },
  "gateway.route": (span) =>
    sentence([textAttribute(span, "gateway.route.reason"), textAttribute(span, "gateway.decision")]),
  "gateway.cache.lookup": (span) => {
    const ageS = numberAttribute(span, "gateway.cache.age_s");
    const savedMs = numberAttribute(span, "gateway.cache.saved_ms");
    const savedUsd = numberAttribute(span, "gateway.cache.saved_usd");
    const similarity = numberAttribute(span, "gateway.cache.similarity");
    return sentence([
      textAttribute(span, "gateway.cache.status")?.toUpperCase(),
      similarity === null ? undefined : `similarity ${similarity}`,
      textAttribute(span, "gateway.cache.reason"),
      ageS === null ? undefined : `${formatMs(ageS * MS_PER_SECOND)} old`,
      savedMs === null
        ? undefined
        : `saved ${formatMs(savedMs)}${savedUsd === null ? "" : ` and ${formatUsd(savedUsd)}`}`,
    ]);
  },
  "gateway.admission": (span) =>
    sentence([
      unlessOk(textAttribute(span, "gateway.queue.outcome")),
      span.attributes["gateway.queue.leased"] === true ? "leased" : undefined,
    ]),
  "gateway.queue.wait": (span) => {
    const position = numberAttribute(span, "gateway.queue.position") ?? 0;
    const limit = textAttribute(span, "gateway.queue.limit");
    return sentence([
      position === 0 ? undefined : `${formatOrdinal(position)} in line`,
      limit === null ? undefined : `held by ${limit}`,
    ]);
  },
  "gateway.usage.count": (span) =>
    sentence([textAttribute(span, "gateway.usage.source") === "estimate" ? "estimated" : undefined]),
  "gateway.cache.store": (span) => {
    const reason = textAttribute(span, "gateway.cache.reason");
    return reason === null ? "" : `not stored: ${reason}`;
  },
  "gateway.usage.record": (span) => {
    const error = numberAttribute(span, "gateway.usage.estimate_error_tokens");
    if (error === null || error === 0) return "";
    return `${Math.abs(error)} tokens ${error > 0 ? "over" : "under"} the estimate`;
  },
  "gateway.prompt_cache": (span) => {
    const cause = textAttribute(span, "gateway.prompt_cache.cause");
    const share = numberAttribute(span, "gateway.prompt_cache.share");
    const earlier = numberAttribute(span, "gateway.prompt_cache.earlier_share");
    const wasted = numberAttribute(span, "gateway.prompt_cache.wasted_usd");
    if (share === null || earlier === null) return "";
    if (cause === null) return `${formatShare(share)} cached`;
    const changed = textAttribute(span, "gateway.prompt_cache.changed_at");
    return sentence([
      `${formatShare(earlier)} → ${formatShare(share)} cached`,
      cause.replace("_", " ") + (changed === null ? "" : ` at ${changed}`),
      wasted === null ? undefined : `cost ${formatUsd(wasted)} more`,
    ]);
  },
  "gateway.refusals": (span) => `${numberAttribute(span, "gateway.refusals.count") ?? 0} refused`,
};

/** Why the request was refused, in the terms of its headers; undefined when it was not. */
export function refusalOf(root: FinishedSpan): string | undefined {
  const decision = textAttribute(root, "gateway.decision");
  if (decision === null) return undefined;
  const limit = textAttribute(root, "gateway.limit.name");
  const value = numberAttribute(root, "gateway.limit.value");
  const resetS = numberAttribute(root, "gateway.limit.reset_s");
  return sentence([
    `refused: ${decision}`,
    limit === null ? undefined : value === null ? limit : `${limit} is ${value}`,
    resetS === null ? undefined : `can succeed in ${formatMs(resetS * MS_PER_SECOND)}`,
  ]);
}

/** The facts of a request for its head: tenant, key, model, tokens, cost. */
export function factsOf(root: FinishedSpan): readonly string[] {
  const tenant = textAttribute(root, "gateway.tenant.id");
  const keyId = textAttribute(root, "gateway.key.id");
  const model = textAttribute(root, "gen_ai.request.model");
  const target = textAttribute(root, "gateway.attempt.target");
  const input = numberAttribute(root, "gen_ai.usage.input_tokens");
  const output = numberAttribute(root, "gen_ai.usage.output_tokens");
  const cost = numberAttribute(root, "gateway.cost.usd");
  const cache = textAttribute(root, "gateway.cache.status");
  const isPartial = textAttribute(root, "gateway.cost.basis") === "partial";
  const isRedirected = target !== null && target !== model;
  return [
    tenant === null ? undefined : `tenant ${tenant}`,
    keyId === null ? undefined : `key ${keyId}`,
    model === null ? undefined : isRedirected ? `${model} → ${target}` : model,
    input === null && output === null ? undefined : `${input ?? 0} → ${output ?? 0} tokens`,
    cost === null ? undefined : `${isPartial ? "at least " : ""}${formatUsd(cost)}`,
    cache === null ? undefined : `cache ${cache}`,
  ].filter((fact) => fact !== undefined);
}

function unlessOk(text: string | null): string | undefined {
  return text === null || text === "ok" || text === "admitted" ? undefined : text;
}

function sentence(parts: readonly (string | null | undefined)[], separator = " · "): string {
  return parts.filter((part) => part !== null && part !== undefined && part !== "").join(separator);
}
