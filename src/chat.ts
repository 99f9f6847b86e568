/**
 * Headgate's own words for a generation: what a dialect reads from a client and a provider reads from an upstream.
 * Wire types never appear here, and these never appear on a wire. Imports nothing of ours.
 */

/** The wire format a client or an upstream speaks. */
export type Dialect = "openai-chat";

/** What the client asked to be done, in the words of the GenAI semantic conventions. */
export type Operation = "chat";

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
  readonly dialect: Dialect;
  readonly operation: Operation;
  /** As the client named it: a route (`chat-fast`) or `provider/model` (`openai/gpt-4o-mini`). */
  readonly model: string;
  readonly stream: boolean;
  readonly params: RequestParams;
  /** The request body exactly as it arrived; an upstream of the same dialect gets it with as few edits as possible. */
  readonly wireText: string;
  /** The same body, parsed once. */
  readonly wire: Readonly<Record<string, unknown>>;
}

/** Why a choice ended. `unknown` keeps a vendor's new word from being hidden in one of ours. */
export type FinishReason = "stop" | "length" | "tool_calls" | "content_filter" | "unknown";

/** Tokens as billed. Input includes cached tokens, output includes reasoning (GenAI semantic conventions v1.41). */
export interface TokenUsage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens?: number;
  readonly cacheWriteTokens?: number;
  readonly reasoningTokens?: number;
}

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON as the model wrote it, whole; not parsed, since models write broken JSON too. */
  readonly argumentsJson: string;
}

export interface ChatChoice {
  readonly index: number;
  readonly text: string;
  readonly reasoning?: string;
  readonly refusal?: string;
  readonly toolCalls: readonly ToolCall[];
  readonly finishReason?: FinishReason;
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
  | { readonly type: "refusal"; readonly index: number; readonly text: string }
  | {
      readonly type: "tool_call";
      readonly index: number;
      /** Position of the call within its choice; fragments of one call share it. */
      readonly call: number;
      readonly id?: string;
      readonly name?: string;
      readonly argumentsFragment: string;
    }
  | { readonly type: "finish"; readonly index: number; readonly reason: FinishReason }
  | { readonly type: "usage"; readonly usage: TokenUsage }
  /** The upstream said inside the stream that it failed; `errorType` is its class, never its message. */
  | { readonly type: "error"; readonly errorType: string }
  /** The upstream's own end mark (`[DONE]`): without it or a finish in every choice the stream was cut. */
  | { readonly type: "done" };
