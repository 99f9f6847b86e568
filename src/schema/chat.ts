/**
 * Headgate's own words for a generation: what a wire reads from a client and a provider reads from an upstream.
 * Wire types never appear here, and these never appear on a wire. Imports types of the schema only.
 */

import type { MediaUnits } from "./media-units.ts";
import type { WireTraits } from "./wire-traits.ts";

/** The name of a wire format that clients speak, as `WireTraits.name`. */
export type WireName = string;

/** What the client asked to be done, in the words of the GenAI semantic conventions. */
export type Operation =
  | "chat"
  | "text_completion"
  | "embeddings"
  // Not of the conventions: what is forwarded without being understood.
  | "image_generation"
  | "speech"
  | "transcription"
  | "moderation"
  | "rerank"
  | "realtime"
  | "proxy";

/** The sampling parameters that a span may name (GenAI semantic conventions v1.41, inference span). */
export interface RequestParams {
  readonly maxOutputTokens?: number;
  readonly temperature?: number;
  readonly topP?: number;
  readonly frequencyPenalty?: number;
  readonly presencePenalty?: number;
  readonly seed?: number;
  readonly choiceCount?: number;
  readonly stopSequences?: readonly string[];
}

/** One validated request for a generation, with the client's own bytes beside what was read from them. */
export interface ChatRequest {
  readonly wire: WireTraits;
  readonly operation: Operation;
  /** As the client named it: a route (`chat-fast`) or `provider/model` (`openai/gpt-4o-mini`). */
  readonly model: string;
  readonly stream: boolean;
  readonly params: RequestParams;
  /** The request body exactly as it arrived; an upstream of the same wire gets it with as few edits as possible. */
  readonly bodyText: string;
  /** The same body, parsed once. */
  readonly body: Readonly<Record<string, unknown>>;
  /** What a translated answer is given where its wire wants an id and a time and its upstream sent none. Set by the route. */
  readonly stamp?: AnswerStamp;
  /** Of a request for images or sound. */
  readonly media?: MediaUnits;
}

export interface AnswerStamp {
  /** Letters, digits and `_`; unlike any other request's. */
  readonly id: string;
  /** Whole seconds since the epoch. */
  readonly createdAtSeconds: number;
}

/** Why a choice ended well. A word for failure, or one that is not known, is an error: wires/finish-words.ts. */
export type FinishReason = "stop" | "length" | "tool_calls" | "content_filter";

/** Tokens as billed. Input includes cached tokens, output includes reasoning (GenAI semantic conventions v1.41). */
export interface TokenUsage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Where it was not served as the list's prices are for: the vendor's word (`flex`, `batch`). */
  readonly tier?: string;
  readonly cacheReadTokens?: number;
  readonly cacheWriteTokens?: number;
  /** Of the tokens written to the cache, those that live for an hour and cost more. */
  readonly cacheWriteHourTokens?: number;
  /** Where the vendor kept the work in a region, which may cost more: its word. */
  readonly region?: string;
  /** What the vendor's own tools did for the answer, which it bills by the call: searches, containers for code. */
  readonly webSearches?: number;
  readonly fileSearches?: number;
  readonly codeContainers?: number;
  readonly reasoningTokens?: number;
  /** Of the input, cached ones included. */
  readonly inputAudioTokens?: number;
  /** Of the input's audio and of its cached tokens. */
  readonly cacheReadAudioTokens?: number;
  /** Of the output. */
  readonly outputAudioTokens?: number;
  /** Of the input. */
  readonly inputImageTokens?: number;
  /** What is billed by the piece, where no tokens are: images made, seconds of sound, characters spoken. */
  readonly images?: number;
  readonly audioSeconds?: number;
  readonly characters?: number;
  /** The upstream named a count that is not a number of tokens (negative, a fraction, a text): nothing is billed by it. */
  readonly isUnsound?: boolean;
}

/** The counts that an answer may have beside its input and output tokens. */
export const USAGE_DETAILS = [
  "cacheReadTokens",
  "cacheWriteTokens",
  "cacheWriteHourTokens",
  "webSearches",
  "fileSearches",
  "codeContainers",
  "reasoningTokens",
  "inputAudioTokens",
  "cacheReadAudioTokens",
  "outputAudioTokens",
  "inputImageTokens",
  "images",
  "audioSeconds",
  "characters",
] as const satisfies readonly (keyof TokenUsage)[];

/** Two counts of one stream as one: each the largest that was said, since counts only grow and a later 0 takes none back. */
export function mergeUsage(before: TokenUsage | undefined, after: TokenUsage): TokenUsage {
  if (before === undefined) return after;
  const details: { [Name in (typeof USAGE_DETAILS)[number]]?: number } = {};
  for (const name of USAGE_DETAILS) {
    const [one, other] = [before[name], after[name]];
    if (one !== undefined && other !== undefined) details[name] = Math.max(one, other);
  }
  return {
    ...before,
    ...after,
    ...details,
    inputTokens: Math.max(before.inputTokens, after.inputTokens),
    outputTokens: Math.max(before.outputTokens, after.outputTokens),
  };
}

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON as the model wrote it, whole; not parsed, since models write broken JSON too. */
  readonly argumentsJson: string;
  /** Gemini's `thoughtSignature` of the call. */
  readonly signature?: string;
}

export interface ChatChoice {
  readonly index: number;
  readonly text: string;
  readonly reasoning?: string;
  /** Comes back unchanged in the next turn: Anthropic's `signature`, Gemini's `thoughtSignature`. */
  readonly reasoningSignature?: string;
  /** Reasoning that only its vendor can read (Anthropic's `redacted_thinking`). */
  readonly encryptedReasoning?: readonly string[];
  readonly refusal?: string;
  readonly citations?: readonly Citation[];
  readonly logprobs?: readonly TokenLogprob[];
  readonly toolCalls: readonly ToolCall[];
  readonly finishReason?: FinishReason;
  /** The client's stop sequence that ended the choice, where the vendor says which. */
  readonly stopSequence?: string;
}

/** Where a stretch of the answer's text comes from. Offsets count UTF-16 units of the choice's text. */
export interface Citation {
  readonly url?: string;
  readonly title?: string;
  readonly citedText?: string;
  readonly startIndex?: number;
  readonly endIndex?: number;
}

export interface TokenLogprob {
  readonly token: string;
  readonly logprob: number;
  readonly top: readonly { readonly token: string; readonly logprob: number }[];
}

/** A whole answer. `choices[].finishReason` is absent where the answer was cut. */
export interface ChatResponse {
  readonly id?: string;
  /** The model that answered, as the upstream names it. */
  readonly model?: string;
  readonly choices: readonly ChatChoice[];
  readonly usage?: TokenUsage;
}

/** One step of a streamed answer; an event of the wire becomes zero or more of these. */
export type ChatChunk =
  | { readonly type: "start"; readonly id?: string; readonly model?: string }
  | { readonly type: "text"; readonly index: number; readonly text: string }
  | { readonly type: "reasoning"; readonly index: number; readonly text: string }
  | { readonly type: "reasoning_signature"; readonly index: number; readonly signature: string }
  | { readonly type: "encrypted_reasoning"; readonly index: number; readonly data: string }
  | { readonly type: "citation"; readonly index: number; readonly citation: Citation }
  | { readonly type: "logprobs"; readonly index: number; readonly logprobs: readonly TokenLogprob[] }
  | { readonly type: "refusal"; readonly index: number; readonly text: string }
  | {
      readonly type: "tool_call";
      readonly index: number;
      /** Position of the call within its choice; fragments of one call share it. */
      readonly call: number;
      readonly id?: string;
      readonly name?: string;
      readonly argumentsFragment: string;
      readonly signature?: string;
    }
  | {
      readonly type: "finish";
      readonly index: number;
      readonly reason: FinishReason;
      readonly stopSequence?: string;
    }
  | { readonly type: "usage"; readonly usage: TokenUsage }
  /** The upstream said inside the stream that it failed; `errorType` is its class, never its message. */
  | { readonly type: "error"; readonly errorType: string }
  /** The upstream's own end mark (`[DONE]`): without it or a finish in every choice the stream was cut. */
  | { readonly type: "done" };
