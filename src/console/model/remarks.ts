/** What the console writes beside a step's bar, and the facts of its panel: our words for a span's attributes. Pure. */

import { failureInWords, limitInWords } from "../../telemetry/explain/plain-words.ts";
import type { AttributeName } from "../../telemetry/trace/attributes.ts";
import { numberAttribute, textAttribute } from "../../telemetry/trace/summary.ts";
import { PART_NAMES, sumParts } from "./parts.ts";
import type { RequestView, Step } from "./steps.ts";
import {
  countText,
  durationText,
  placeText,
  rateText,
  shareText,
  shortId,
  usdText,
  visibleText,
} from "./words.ts";

const PREFIX = "gateway.";
const MS_PER_SECOND = 1000;

/** `queue wait`; of an attempt `#2 openai/gpt-4o-mini`. */
export function stepName({ span, attempt }: Step): string {
  if (attempt !== undefined) {
    const target = textAttribute(span, "gateway.attempt.target") ?? span.name;
    return visibleText(`#${numberAttribute(span, "gateway.attempt.number")} ${target}`);
  }
  return visibleText(
    span.name.startsWith(PREFIX) ? span.name.slice(PREFIX.length).replaceAll(/[._]/g, " ") : span.name,
  );
}

/** Nothing remarkable: an empty text. */
export function remarkOf(step: Step): string {
  if (step.parent === undefined) return "";
  if (step.attempt !== undefined) return visible(attemptRemark(step));
  const { span } = step;
  const fault = textAttribute(span, "error.type");
  return visible([REMARKS[span.name]?.(span), fault === null ? undefined : failureInWords(fault)]);
}

function attemptRemark({ span, attempt, nextAttempt }: Step): readonly (string | undefined)[] {
  const outcome = textAttribute(span, "gateway.attempt.outcome");
  if (attempt?.isWhole === true) {
    return [attempt.tokensPerSecond === undefined ? undefined : rateText(attempt.tokensPerSecond)];
  }
  if (outcome === "hedge_lost") return ["another call answered first"];
  const status = numberAttribute(span, "http.response.status_code");
  const code = outcome ?? textAttribute(span, "error.type");
  const what = [
    status === null || status < 400 ? undefined : String(status),
    code === null ? undefined : failureInWords(code),
  ];
  return [what.filter((text) => text !== undefined).join(" ") + next(span, nextAttempt?.span)];
}

function next(span: Step["span"], following: Step["span"] | undefined): string {
  const leftFor = textAttribute(span, "gateway.attempt.left_for");
  const pauseMs = following === undefined ? 0 : following.startAt - span.endAt;
  if (leftFor === "retry") return pauseMs > 0 ? ` → again after ${durationText(pauseMs)}` : " → again";
  if (leftFor === "fallback") return " → next target";
  return leftFor === "give_up" ? " → gave up" : "";
}

type Remark = (span: Step["span"]) => string | undefined;

const REMARKS: Readonly<Record<string, Remark>> = {
  "gateway.auth": (span) => textAttribute(span, "gateway.auth.source") ?? undefined,
  "gateway.config.load": (span) => {
    const ageMs = numberAttribute(span, "gateway.config.age_ms") ?? 0;
    const source = textAttribute(span, "gateway.config.source") ?? "";
    return ageMs < MS_PER_SECOND ? source : `${source} · ${durationText(ageMs)} old`;
  },
  "gateway.route": (span) => textAttribute(span, "gateway.route.reason") ?? undefined,
  "gateway.cache.lookup": lookupRemark,
  "gateway.admission": (span) =>
    span.attributes["gateway.queue.leased"] === true ? "by a lease the isolate held" : undefined,
  "gateway.queue.wait": (span) => {
    const position = numberAttribute(span, "gateway.queue.position") ?? 0;
    const limit = textAttribute(span, "gateway.queue.limit");
    if (position === 0 && limit === null) return "did not wait";
    return [
      position === 0 ? undefined : `${placeText(position)} in line`,
      limit === null ? undefined : `limit: ${limitInWords(limit)}`,
    ]
      .filter((text) => text !== undefined)
      .join(" · ");
  },
  "gateway.usage.count": (span) =>
    textAttribute(span, "gateway.usage.source") === "estimate" ? "estimated" : "counted by the provider",
  "gateway.usage.record": (span) => {
    const error = numberAttribute(span, "gateway.usage.estimate_error_tokens");
    if (error === null) return undefined;
    return error === 0
      ? "as estimated"
      : `${countText(Math.abs(error))} tokens ${error > 0 ? "over" : "under"} the estimate`;
  },
  "gateway.cache.store": (span) => {
    const reason = textAttribute(span, "gateway.cache.reason");
    if (reason !== null) return `not stored: ${reason.replaceAll("_", " ")}`;
    const ttlS = numberAttribute(span, "gateway.cache.ttl_s");
    return ttlS === null ? undefined : `kept for ${durationText(ttlS * MS_PER_SECOND)}`;
  },
};

function lookupRemark(span: Step["span"]): string {
  const status = textAttribute(span, "gateway.cache.status") ?? "";
  const reason = textAttribute(span, "gateway.cache.reason");
  const savedMs = numberAttribute(span, "gateway.cache.saved_ms");
  const ageS = numberAttribute(span, "gateway.cache.age_s");
  if (status === "hit") {
    const savedUsd = numberAttribute(span, "gateway.cache.saved_usd");
    return [
      "hit",
      ageS === null ? undefined : `${durationText(ageS * MS_PER_SECOND)} old`,
      savedMs === null
        ? undefined
        : `saved ${durationText(savedMs)}${savedUsd === null ? "" : ` and ${usdText(savedUsd)}`}`,
    ]
      .filter((text) => text !== undefined)
      .join(" · ");
  }
  const why = reason === null ? "" : `: ${reason.replaceAll("_", " ")}`;
  return status === "bypass" ? `not looked up${why}` : `${status}${why}`;
}

function visible(parts: readonly (string | undefined)[]): string {
  const text = parts.filter((part) => part !== undefined && part !== "").join(" · ");
  return text === "" ? "" : visibleText(text);
}

/** A fact of the panel; `traceId` makes it a link. */
export interface Fact {
  readonly name: string;
  readonly value: string;
  readonly traceId?: string;
}

/** The few facts that matter for this kind of step, in our words. */
export function factsOfStep(step: Step, request: RequestView): readonly Fact[] {
  const facts = [...ownFacts(step, request), ...linkFacts(step)];
  return facts.length > 0 ? facts : [{ name: "Said", value: "nothing beside its time" }];
}

function ownFacts(step: Step, request: RequestView): readonly Fact[] {
  const { span } = step;
  if (step.parent === undefined) return rootFacts(request);
  if (step.attempt !== undefined) return attemptFacts(step);
  const listed = (FACTS[span.name] ?? []).flatMap(([name, attribute, write]) =>
    fact(span, name, attribute, write),
  );
  const remark = remarkOf(step);
  return listed.length > 0 || remark === "" ? listed : [{ name: "Said", value: remark }];
}

type Write = (value: string | number | boolean) => string;

const asMs: Write = (value) => durationText(Number(value));
const asSeconds: Write = (value) => durationText(Number(value) * MS_PER_SECOND);
const asUsd: Write = (value) => usdText(Number(value));
const asCount: Write = (value) => countText(Number(value));
const asLimit: Write = (value) => limitInWords(String(value));

const FACTS: Readonly<Record<string, readonly (readonly [string, AttributeName, Write?])[]>> = {
  "gateway.queue.wait": [
    ["Waited", "gateway.queue.wait_ms", asMs],
    [
      "Place on arrival",
      "gateway.queue.position",
      (value) => (value === 0 ? "did not wait" : `${placeText(Number(value))} in line`),
    ],
    ["Held by the limit", "gateway.queue.limit", asLimit],
    ["Lane", "gateway.queue.lane"],
  ],
  "gateway.route": [
    ["Route", "gateway.route.id"],
    ["Strategy", "gateway.route.strategy"],
    ["Chosen", "gateway.route.chosen"],
    ["Why", "gateway.route.reason"],
  ],
  "gateway.cache.lookup": [
    ["Result", "gateway.cache.status"],
    ["Why", "gateway.cache.reason", (value) => String(value).replaceAll("_", " ")],
    [
      "Found by",
      "gateway.cache.kind",
      (value) => (value === "semantic" ? "the same meaning" : "the very same request"),
    ],
    ["Similarity", "gateway.cache.similarity"],
    ["Age", "gateway.cache.age_s", asSeconds],
    ["Kept for", "gateway.cache.ttl_s", asSeconds],
    ["Saved time", "gateway.cache.saved_ms", asMs],
    ["Saved money", "gateway.cache.saved_usd", asUsd],
  ],
};

const ATTEMPT_FACTS: readonly (readonly [string, AttributeName, Write?])[] = [
  ["Target", "gateway.attempt.target"],
  ["Result", "gateway.attempt.outcome", (value) => (value === "ok" ? "ok" : failureInWords(String(value)))],
  ["Status", "http.response.status_code"],
  ["Their queue", "gateway.upstream.reported.queue_ms", asMs],
  ["Reading the prompt", "gateway.upstream.reported.prefill_ms", asMs],
  ["Writing the answer", "gateway.upstream.reported.decode_ms", asMs],
  ["Tokens in", "gen_ai.usage.input_tokens", asCount],
  ["From their cache", "gen_ai.usage.cache_read.input_tokens", asCount],
  ["Tokens out", "gen_ai.usage.output_tokens", asCount],
  ["Cost", "gateway.attempt.cost_usd", asUsd],
  ["Region", "gateway.upstream.region"],
  ["Replica", "gateway.upstream.replica"],
  ["Model that answered", "gen_ai.response.model"],
  ["Their request id", "gateway.upstream.request_id"],
];

function fact(span: Step["span"], name: string, attribute: AttributeName, write?: Write): readonly Fact[] {
  const value = span.attributes[attribute];
  if (value === undefined || typeof value === "object") return [];
  return [{ name, value: visibleText(write === undefined ? String(value) : write(value)) }];
}

function attemptFacts({ span, attempt }: Step): readonly Fact[] {
  const firstMs = attempt?.firstChunkAt === undefined ? undefined : attempt.firstChunkAt - span.startAt;
  const rate = attempt?.tokensPerSecond;
  const isDoubtful = attempt?.reported?.isDoubtful === true;
  return [
    ...ATTEMPT_FACTS.slice(0, 3).flatMap(([name, attribute, write]) => fact(span, name, attribute, write)),
    ...(firstMs === undefined
      ? []
      : [{ name: "First token", value: `${durationText(firstMs)} after the call` }]),
    ...(rate === undefined ? [] : [{ name: "Speed", value: rateText(rate) }]),
    ...(isDoubtful
      ? [{ name: "Their own times", value: "do not fit in what we measured, so they are not drawn" }]
      : []),
    ...ATTEMPT_FACTS.slice(3).flatMap(([name, attribute, write]) => fact(span, name, attribute, write)),
  ];
}

function rootFacts({ root, tookMs }: RequestView): readonly Fact[] {
  const shares = sumParts(root.segments).map(({ part, ms }) => ({
    name: PART_NAMES[part].replace(/^./, (first) => first.toUpperCase()),
    value: `${durationText(ms)}, ${shareText(ms, tookMs)}`,
  }));
  return [
    ...shares,
    ...fact(root.span, "Refused by the limit", "gateway.limit.name", asLimit),
    ...fact(root.span, "Its value", "gateway.limit.value", asCount),
    ...fact(root.span, "Retry after", "gateway.limit.reset_s", asSeconds),
    ...fact(root.span, "Request id", "gateway.request.id"),
  ];
}

const LINKS: Readonly<Record<string, string>> = {
  queued_behind: "Waited behind",
  admitted_by: "Let in by the end of",
  cached_from: "First answered as",
};

function linkFacts({ span }: Step): readonly Fact[] {
  return span.links.map(({ traceId, attributes }) => {
    const type = String(attributes["gateway.link.type"] ?? "linked");
    const name = LINKS[type] ?? type.replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase());
    return { name, value: shortId(traceId), traceId };
  });
}
