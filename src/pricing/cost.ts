/**
 * The cost of a generation in micro-US-dollars, from a price and token counts. Pure arithmetic; it looks no
 * price up.
 */
import type { TokenUsage } from "../schema/chat.ts";
import type { ModelPrice, TokenPrices } from "./price-finder.ts";

/** Prices are per this many tokens, as every vendor quotes them. */
const TOKENS_PER_PRICE = 1_000_000;

const MICRO_USD_PER_USD = 1_000_000;

/** What an hour's cache write costs of an input token: https://platform.claude.com/docs/en/build-with-claude/prompt-caching (seen 2026-11). */
const HOUR_WRITE_FACTOR = 2;

/**
 * Cost in micro-US-dollars, unrounded (a short request costs a fraction of one), never negative; undefined
 * without a price.
 *
 * Cached tokens are a part of the input, reasoning a part of the output and audio a part of each
 * (`TokenUsage`), so none is counted twice. Where a vendor states no price for a cached token, it costs what an
 * input token of its kind costs.
 */
export function costMicroUsd(modelPrice: ModelPrice, usage: TokenUsage): number;
export function costMicroUsd(modelPrice: ModelPrice | undefined, usage: TokenUsage): number | undefined;
export function costMicroUsd(modelPrice: ModelPrice | undefined, usage: TokenUsage): number | undefined {
  if (modelPrice === undefined) return undefined;
  const price = pricesFor(modelPrice, countTokens(usage.inputTokens));
  const cacheRead = countTokens(usage.cacheReadTokens);
  const cacheWrite = countTokens(usage.cacheWriteTokens);
  const hourWrite = Math.min(cacheWrite, countTokens(usage.cacheWriteHourTokens));
  const cacheReadAudio = countTokens(usage.cacheReadAudioTokens);
  const cacheReadText = Math.max(0, cacheRead - cacheReadAudio);
  const uncachedAudio = Math.max(0, countTokens(usage.inputAudioTokens) - cacheReadAudio);
  const outputAudio = countTokens(usage.outputAudioTokens);
  const image = countTokens(usage.inputImageTokens);
  // A vendor that reports more tokens of a kind than tokens is charged for what it reported, not for less.
  const cached = cacheReadText + cacheReadAudio + cacheWrite;
  const uncachedText = Math.max(0, countTokens(usage.inputTokens) - cached - uncachedAudio - image);
  const outputText = Math.max(0, countTokens(usage.outputTokens) - outputAudio);
  // Counts and prices are integers and their products stay below 2^53, so the one division is the only inexact
  // step.
  const total =
    uncachedText * price.input +
    uncachedAudio * (price.inputAudio ?? price.input) +
    image * (price.inputImage ?? price.input) +
    cacheReadText * (price.cacheRead ?? price.input) +
    cacheReadAudio * (price.cacheReadAudio ?? price.inputAudio ?? price.cacheRead ?? price.input) +
    (cacheWrite - hourWrite) * (price.cacheWrite ?? price.input) +
    hourWrite * (price.cacheWriteHour ?? price.input * HOUR_WRITE_FACTOR) +
    outputText * price.output +
    outputAudio * (price.outputAudio ?? price.output) +
    countTokens(usage.characters) * (price.perMillionCharacters ?? 0);
  const pieces =
    countTokens(usage.webSearches) * (modelPrice.perWebSearch ?? 0) +
    countTokens(usage.fileSearches) * (modelPrice.perFileSearch ?? 0) +
    countTokens(usage.codeContainers) * (modelPrice.perCodeContainer ?? 0) +
    countTokens(usage.images) * (price.perImage ?? 0) +
    countTokens(usage.audioSeconds) * (price.perSecond ?? 0);
  return total / TOKENS_PER_PRICE + pieces;
}

/**
 * US dollars with micro-dollar precision, for the edge: JSON, headers, spans. Add up micro-dollars first, then
 * call this once.
 */
export function usd(microUsd: number): number {
  return Math.round(microUsd) / MICRO_USD_PER_USD;
}

/**
 * A token count as an upstream reports it; absent, negative or not finite counts as none, since it came over a
 * wire.
 */
function countTokens(reported: number | undefined): number {
  return reported !== undefined && Number.isFinite(reported) && reported > 0 ? reported : 0;
}

/** The prices for a prompt of this length: vendors bill the whole request at the step it reaches. */
function pricesFor(price: ModelPrice, inputTokens: number): TokenPrices {
  return price.steps?.findLast(({ aboveInputTokens }) => inputTokens > aboveInputTokens)?.prices ?? price;
}
