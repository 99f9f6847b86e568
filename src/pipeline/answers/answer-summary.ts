/**
 * What is kept of an answer once its bytes are gone: enough for spans, usage, cost and the cache's rules. Pure.
 */

import { promptTokens } from "../../pricing/estimate/request-tokens.ts";
import { textTokens } from "../../pricing/estimate/text-tokens.ts";
import type { MediaReport } from "../../pricing/media-usage.ts";
import { mergeUsage } from "../../schema/chat.ts";
import type { EmbeddingResponse } from "../../schema/embedding.ts";
import type { ChatChunk, ChatRequest, ChatResponse, FinishReason, TokenUsage } from "../../schema/chat.ts";

export interface AnswerSummary {
  readonly id?: string;
  readonly model?: string;
  /** One per choice in order of index; undefined where a choice never ended. */
  readonly finishReasons: readonly (FinishReason | undefined)[];
  /** As the upstream billed it; absent when it did not say. */
  readonly usage?: TokenUsage;
  readonly hasToolCalls: boolean;
  readonly isRefusal: boolean;
  /** Tokens of text, reasoning and tool arguments, by their script: an estimate, not rounded. */
  readonly writtenTokens: number;
  /** Of images and sound: what the answer says of itself. */
  readonly media?: MediaReport;
}

export interface AnswerCollector {
  add(chunks: readonly ChatChunk[]): void;
  summary(): AnswerSummary;
}

/** As many choices as the wire lets a client ask for. */
const MAX_CHOICES = 128;

/** Gathers a summary from a stream's chunks; `kept` gets the chunks too, where the texts are kept. */
export function createAnswerCollector(kept?: { add(chunk: ChatChunk): void }): AnswerCollector {
  let id: string | undefined;
  let model: string | undefined;
  let usage: TokenUsage | undefined;
  let hasToolCalls = false;
  let isRefusal = false;
  let writtenTokens = 0;
  const finishReasons: (FinishReason | undefined)[] = [];

  function touch(index: number): void {
    // The index is the upstream's word: one beyond any request's choices must not fill the memory.
    while (finishReasons.length <= index && finishReasons.length < MAX_CHOICES) finishReasons.push(undefined);
  }

  function take(chunk: ChatChunk): void {
    kept?.add(chunk);
    switch (chunk.type) {
      case "start":
        id = chunk.id ?? id;
        model = chunk.model ?? model;
        break;
      case "refusal":
        isRefusal = true;
        touch(chunk.index);
        writtenTokens += textTokens(chunk.text);
        break;
      case "text":
      case "reasoning":
        touch(chunk.index);
        writtenTokens += textTokens(chunk.text);
        break;
      case "tool_call":
        hasToolCalls = true;
        touch(chunk.index);
        writtenTokens += textTokens(chunk.argumentsFragment);
        break;
      case "finish":
        touch(chunk.index);
        if (chunk.index < MAX_CHOICES) finishReasons[chunk.index] = chunk.reason;
        break;
      case "usage":
        usage = mergeUsage(usage, chunk.usage);
        break;
      case "reasoning_signature":
      case "encrypted_reasoning":
      case "citation":
      case "logprobs":
      case "error":
      case "done":
        break;
    }
  }

  return {
    add: (chunks) => chunks.forEach(take),
    summary: () => ({
      ...(id !== undefined && { id }),
      ...(model !== undefined && { model }),
      ...(usage !== undefined && { usage }),
      finishReasons,
      hasToolCalls,
      isRefusal,
      writtenTokens,
    }),
  };
}

/** The same summary from a whole answer. */
export function summarise(response: ChatResponse): AnswerSummary {
  const { id, model, usage, choices } = response;
  return {
    ...(id !== undefined && { id }),
    ...(model !== undefined && { model }),
    ...(usage !== undefined && { usage }),
    finishReasons: choices.map(({ finishReason }) => finishReason),
    hasToolCalls: choices.some(({ toolCalls }) => toolCalls.length > 0),
    isRefusal: choices.some(({ refusal }) => refusal !== undefined),
    writtenTokens: choices.reduce(
      (sum, { text, reasoning = "", refusal = "", toolCalls }) =>
        sum +
        textTokens(text) +
        textTokens(reasoning) +
        textTokens(refusal) +
        toolCalls.reduce((n, call) => n + textTokens(call.argumentsJson), 0),
      0,
    ),
  };
}

/** The same for embeddings, which have no finish reasons. */
export function summariseEmbedding({ model, usage }: EmbeddingResponse): AnswerSummary {
  return {
    ...(model !== undefined && { model }),
    ...(usage !== undefined && { usage }),
    finishReasons: [],
    hasToolCalls: false,
    isRefusal: false,
    writtenTokens: 0,
  };
}

/** What an answer used, and whether that is an estimate. */
export interface CountedUsage {
  readonly usage: TokenUsage;
  readonly isEstimate: boolean;
  /** The upstream's count was refused, and estimated instead. */
  readonly isRefused?: true;
}

/** The largest context that a vendor documents is 10,485,760 tokens (Llama 4 Scout, seen 2026-11), the longest answer far below. */
const MAX_INPUT_TOKENS = 10_485_760;
const MAX_OUTPUT_TOKENS = 1_048_576;

/** Whether a count may be true: a broken one must neither lock a tenant out of its limits nor spend its budget. */
function isPlausible(usage: TokenUsage, { params: { choiceCount = 1 } }: ChatRequest): boolean {
  const { inputTokens, outputTokens, isUnsound } = usage;
  const isIn = (count: number, most: number): boolean => count >= 0 && count <= most;
  return (
    isUnsound !== true &&
    isIn(inputTokens, MAX_INPUT_TOKENS) &&
    isIn(outputTokens, MAX_OUTPUT_TOKENS * choiceCount) &&
    isIn(usage.cacheReadTokens ?? 0, MAX_INPUT_TOKENS) &&
    isIn(usage.cacheWriteTokens ?? 0, MAX_INPUT_TOKENS)
  );
}

/**
 * As the upstream has billed it, else estimated: the prompt at least. Of a cut one the upstream's
 * count is final only where every choice had ended: before that it is a count so far (Gemini's), or of the prompt alone
 * (Anthropic's), and what had come of the output is counted by its length.
 */
export function countUsage(
  chat: ChatRequest,
  { usage, finishReasons, writtenTokens }: AnswerSummary,
  isCut: boolean,
): CountedUsage {
  if (usage !== undefined && !isPlausible(usage, chat))
    return { usage: estimateUsage(chat, writtenTokens), isEstimate: true, isRefused: true };
  const hasEnded = finishReasons.length > 0 && finishReasons.every((reason) => reason !== undefined);
  if (usage !== undefined && (hasEnded || !isCut)) return { usage, isEstimate: false };
  const guess = estimateUsage(chat, writtenTokens);
  const outputTokens = Math.max(usage?.outputTokens ?? 0, guess.outputTokens);
  return { usage: { ...guess, ...usage, outputTokens }, isEstimate: true };
}

const NO_TOKENS: TokenUsage = { inputTokens: 0, outputTokens: 0 };

/** Whether a call that is passed on was understood: its prompt can be estimated then. */
export function isReadCall({ operation, body }: ChatRequest): boolean {
  return (operation === "proxy" || operation === "text_completion") && Object.keys(body).length > 0;
}

/**
 * The same of an answer that was passed on: where some usage could be read in it or its request was understood, or media is
 * billed by the piece.
 */
export function countRelayed(
  chat: ChatRequest,
  answer: AnswerSummary | undefined,
  isCut: boolean,
): CountedUsage | undefined {
  const isCountable = answer !== undefined && (answer.usage !== undefined || isReadCall(chat));
  const counted = isCountable ? countUsage(chat, answer, isCut) : undefined;
  if (chat.media === undefined || (counted !== undefined && counted.isRefused !== true)) return counted;
  return { ...counted, usage: NO_TOKENS, isEstimate: isCut || counted !== undefined };
}

/** What a cut or silent answer used, for want of the upstream's own count. */
function estimateUsage(chat: ChatRequest, writtenTokens: number): TokenUsage {
  return { inputTokens: promptTokens(chat), outputTokens: Math.ceil(writtenTokens) };
}
