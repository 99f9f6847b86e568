/**
 * The measurements of a finished request, read from its spans: nothing is counted on the request's path, and
 * metrics agree with traces. Pure.
 */

import type { AttributeName } from "../trace/attributes.ts";
import {
  isAnswerAttempt,
  isAttempt,
  isOperatorCall,
  numberAttribute,
  textAttribute,
} from "../trace/summary.ts";
import type { FinishedSpan, FinishedTrace } from "../trace/trace.ts";
import {
  GEN_AI_METRICS,
  MICRO_USD_PER_USD,
  type InstrumentName,
  type Labels,
  type MetricLabel,
} from "./instruments.ts";

/** Records one measurement in raw units (instruments.ts), `times` times. */
export type Measure = (instrument: InstrumentName, labels: Labels, value: number, times?: number) => void;

const MS_PER_SECOND = 1000;

/** In place of a model's name that anyone could have made up. */
export const UNLISTED_MODEL = "(unlisted)";

/**
 * Calls `measure` for every measurement of a request. A model is named where a route or a price lists it: names that a client
 * makes up would otherwise fill the tenant's series. `isPriced` takes the upstream's name of a model.
 */
export function sampleTrace(
  trace: FinishedTrace,
  measureAll: Measure,
  isPriced: (model: string) => boolean,
): void {
  const { root, spans } = trace;
  if (isOperatorCall(root)) return;
  const isOfRoute = hasRoute(spans);
  const measure: Measure = (instrument, labels, value, times) => {
    const model = labels["gen_ai.request.model"];
    const isListed =
      model === undefined || isOfRoute || isPriced(model.slice(model.indexOf("/") + 1)) || isPriced(model);
    measureAll(
      instrument,
      isListed ? labels : { ...labels, "gen_ai.request.model": UNLISTED_MODEL },
      value,
      times,
    );
  };
  const attempts = spans.filter(isAttempt);
  const last = attempts.findLast(isAnswerAttempt);
  sampleRequest(root, last, measure);
  sampleCost(root, attempts, last, measure);
  sampleQueueAndCache(root, measure);
  samplePromptCache(root, measure);
  for (const attempt of attempts) sampleAttempt(attempt, root, attempt === last, measure);
}

function sampleRequest(root: FinishedSpan, last: FinishedSpan | undefined, measure: Measure): void {
  // A summary span counts many requests, and its duration is not theirs.
  const counted = numberAttribute(root, "gateway.refusals.count");
  const outcome = labelsOf(root, ["gateway.outcome"]);
  const requests = {
    ...outcome,
    // Until a route is found, the name can be anything a client sends.
    ...(root.attributes["gateway.route.id"] !== undefined && labelsOf(root, ["gen_ai.request.model"])),
    ...labelsOf(last, ["gen_ai.provider.name"]),
    ...errorOf(root),
  };
  measure("gateway.requests", requests, 1, counted ?? 1);
  if (counted === null) measure("gateway.request.duration", outcome, root.endAt - root.startAt);
  // A full isolate refuses with 503: by a limit as well, though not by one of the client's.
  const isRefused =
    root.attributes["gateway.outcome"] === "rejected" || root.attributes["gateway.limit.name"] !== undefined;
  if (isRefused) {
    measure("gateway.refusals", labelsOf(root, ["gateway.decision", "gateway.limit.name"]), 1, counted ?? 1);
  }
}

/** The embedding for a semantic lookup is billed by another model than the answer. */
function sampleCost(
  root: FinishedSpan,
  attempts: readonly FinishedSpan[],
  last: FinishedSpan | undefined,
  measure: Measure,
): void {
  const embedding = attempts.find((attempt) => !isAnswerAttempt(attempt));
  const ofEmbedding = toMicroUsd(numberAttribute(root, "gateway.cache.embedding_cost_usd") ?? 0);
  const ofAnswer = toMicroUsd(numberAttribute(root, "gateway.cost.usd") ?? 0) - ofEmbedding;
  for (const { call, microUsd } of [
    { call: last, microUsd: ofAnswer },
    { call: embedding, microUsd: ofEmbedding },
  ]) {
    const labels = labelsOf(call, ["gen_ai.provider.name", "gen_ai.request.model"]);
    if (microUsd > 0) measure("gateway.cost", labels, microUsd);
  }
}

/** A client that disconnected is not an error. */
function errorOf(root: FinishedSpan): Labels {
  const outcome = root.attributes["gateway.outcome"];
  if (outcome === "ok" || outcome === "cache_hit" || outcome === "client_disconnected") return {};
  const type = textAttribute(root, "gateway.decision") ?? textAttribute(root, "error.type");
  return type === null ? {} : { "error.type": type };
}

function sampleQueueAndCache(root: FinishedSpan, measure: Measure): void {
  const waitMs = numberAttribute(root, "gateway.queue.wait_ms");
  if (waitMs !== null)
    measure("gateway.queue.wait", labelsOf(root, ["gateway.queue.limit"]), Math.round(waitMs));
  const cache = labelsOf(root, ["gateway.cache.status", "gateway.cache.kind"]);
  if (cache["gateway.cache.status"] !== undefined) measure("gateway.cache.lookups", cache, 1);
  const savedUsd = numberAttribute(root, "gateway.cache.saved_usd") ?? 0;
  if (savedUsd > 0) measure("gateway.cache.saved", {}, toMicroUsd(savedUsd));
}

/** By the name of the route. */
function samplePromptCache(root: FinishedSpan, measure: Measure): void {
  const read = numberAttribute(root, "gen_ai.usage.cache_read.input_tokens");
  const input = numberAttribute(root, "gen_ai.usage.input_tokens");
  if (read === null || input === null) return;
  const route = labelsOf(root, ["gen_ai.request.model"]);
  measure("gateway.prompt_cache.input", route, input);
  if (read > 0) measure("gateway.prompt_cache.read", route, Math.min(read, input));
  const wasted = toMicroUsd(numberAttribute(root, "gateway.prompt_cache.wasted_usd") ?? 0);
  const labels = { ...route, ...labelsOf(root, ["gateway.prompt_cache.cause"]) };
  if (wasted > 0) measure("gateway.prompt_cache.wasted", labels, wasted);
}

function sampleAttempt(attempt: FinishedSpan, root: FinishedSpan, isLast: boolean, measure: Measure): void {
  const inference = labelsOf(attempt, [
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
  ]);
  measure(
    "gateway.attempts",
    { ...inference, ...labelsOf(attempt, ["gateway.attempt.outcome", "gateway.attempt.reason"]) },
    1,
  );
  const duration = { ...inference, ...labelsOf(attempt, ["error.type"]) };
  measure(GEN_AI_METRICS.duration, duration, attempt.endAt - attempt.startAt);
  const firstChunkSeconds = numberAttribute(attempt, "gen_ai.response.time_to_first_chunk");
  if (firstChunkSeconds !== null) {
    measure(GEN_AI_METRICS.firstChunk, inference, Math.round(firstChunkSeconds * MS_PER_SECOND));
  }
  // Where the provider reports no usage, the root has the estimate; it belongs to the attempt that answered.
  const tokensOf = (name: AttributeName): number | null =>
    numberAttribute(attempt, name) ?? (isLast ? numberAttribute(root, name) : null);
  const input = tokensOf("gen_ai.usage.input_tokens");
  if (input !== null)
    measure(GEN_AI_METRICS.inputTokens, { ...inference, "gen_ai.token.type": "input" }, input);
  const output = tokensOf("gen_ai.usage.output_tokens");
  if (output !== null)
    measure(GEN_AI_METRICS.outputTokens, { ...inference, "gen_ai.token.type": "output" }, output);
}

/** Whether a route of the tenant chose the models, not the client by `provider/model`. */
function hasRoute(spans: readonly FinishedSpan[]): boolean {
  const strategy = textAttribute(
    spans.find(({ name }) => name === "gateway.route"),
    "gateway.route.strategy",
  );
  return strategy !== null && strategy !== "direct" && strategy !== "pinned";
}

/** The text attributes of a span as labels. */
function labelsOf(span: FinishedSpan | undefined, names: readonly (MetricLabel & AttributeName)[]): Labels {
  const labels: { [name in MetricLabel]?: string } = {};
  for (const name of names) {
    const value = textAttribute(span, name);
    if (value !== null) labels[name] = value;
  }
  return labels;
}

function toMicroUsd(usd: number): number {
  return Math.round(usd * MICRO_USD_PER_USD);
}
