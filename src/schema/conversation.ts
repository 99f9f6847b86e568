/**
 * What a request means, apart from how any vendor writes it: the middle of every translation. A client's wire reads
 * its wire into a Conversation, an upstream's wire is written from it. Only made where the two differ: between equal
 * wires bytes are forwarded. Imports nothing of ours.
 */

/** Bytes of an image, a document or a sound: by address, or inline as base64. */
export type MediaSource =
  | { readonly kind: "url"; readonly url: string }
  | { readonly kind: "inline"; readonly mediaType: string; readonly base64: string };

/** A vendor's prompt-cache mark behind a part: Anthropic's `cache_control`, Bedrock's `cachePoint`. */
export interface CacheMark {
  /** `5m` or `1h` where the client said so. */
  readonly ttl?: string;
}

export type Part =
  | { readonly type: "text"; readonly text: string; readonly cacheMark?: CacheMark }
  | {
      readonly type: "image";
      readonly source: MediaSource;
      readonly detail?: "auto" | "low" | "high";
      readonly cacheMark?: CacheMark;
    }
  | {
      readonly type: "document";
      readonly source: MediaSource | { readonly kind: "text"; readonly text: string };
      readonly name?: string;
      readonly cacheMark?: CacheMark;
    }
  | { readonly type: "audio"; readonly source: MediaSource }
  | {
      /** The model's reasoning. `signature` must come back unchanged in the next turn, or the vendor refuses it. */
      readonly type: "reasoning";
      readonly text: string;
      readonly signature?: string;
      /** Reasoning that only its vendor can read; `text` is empty then. */
      readonly encrypted?: string;
    }
  | { readonly type: "refusal"; readonly text: string }
  | {
      readonly type: "tool_call";
      readonly id: string;
      readonly name: string;
      /** As the model wrote it; may be broken JSON. */
      readonly argumentsJson: string;
      /** Gemini's `thoughtSignature`, to be sent back with the call. */
      readonly signature?: string;
      readonly cacheMark?: CacheMark;
    }
  | {
      readonly type: "tool_result";
      readonly callId: string;
      /** The tool's name, where the wire says it; Gemini needs it. */
      readonly name?: string;
      readonly parts: readonly Part[];
      readonly isError?: boolean;
      readonly cacheMark?: CacheMark;
    };

export interface Message {
  /** System and developer messages are `Conversation.system`; tool results are the user's. */
  readonly role: "user" | "assistant";
  readonly parts: readonly Part[];
}

export interface Tool {
  readonly name: string;
  readonly description?: string;
  /** JSON Schema of the arguments' object. */
  readonly parameters?: unknown;
  readonly strict?: boolean;
  readonly cacheMark?: CacheMark;
}

export type ToolChoice =
  | { readonly type: "auto" }
  | { readonly type: "none" }
  | { readonly type: "required" }
  | { readonly type: "tool"; readonly name: string };

export type OutputFormat =
  | { readonly type: "text" }
  | { readonly type: "json" }
  | {
      readonly type: "json_schema";
      readonly name: string;
      readonly schema: unknown;
      readonly description?: string;
      readonly strict?: boolean;
    };

/** How much the model shall think; `budgetTokens` where the client named a number, `effort` where it named a degree. */
export interface Reasoning {
  readonly effort?: "none" | "minimal" | "low" | "medium" | "high";
  readonly budgetTokens?: number;
  /** Whether the client gets the reasoning. */
  readonly includeThoughts?: boolean;
}

export interface Sampling {
  readonly maxOutputTokens?: number;
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly frequencyPenalty?: number;
  readonly presencePenalty?: number;
  readonly seed?: number;
  readonly choiceCount?: number;
  readonly stopSequences?: readonly string[];
  /** Log probabilities wanted, and for how many alternatives (0: of the chosen token only). */
  readonly topLogprobs?: number;
}

export interface Conversation {
  readonly system: readonly Part[];
  /** Roles alternate as the client sent them; a wire that needs strict alternation merges neighbours itself. */
  readonly messages: readonly Message[];
  readonly tools: readonly Tool[];
  readonly toolChoice?: ToolChoice;
  readonly parallelToolCalls?: boolean;
  readonly output?: OutputFormat;
  readonly reasoning?: Reasoning;
  readonly sampling: Sampling;
  /** The client's own name for its end user: passed on where the wire has a place for it, never traced. */
  readonly endUser?: string;
  /** Fields that change no answer and that OpenAI's chat wire has too. */
  readonly hints?: readonly Hint[];
}

/** A field that changes no answer: who asks, what the vendor files it under, how it caches or bills. */
export interface Hint {
  /** By its name on the client's wire. */
  readonly field: string;
  /** By its name on OpenAI's chat wire. */
  readonly name: string;
  readonly value: unknown;
}

/**
 * Called for a field of the client's request that the other side has no counterpart for, by its name on the client's wire
 * (`logit_bias`, `tools[0].input_examples`). Throws `invalid_request` that names it, or, for a lenient client, notes it
 * for `x-headgate-dropped`. What changes no answer (a `hint`), and the weaker of two parameters that the vendor refuses
 * together (`conflict`), is noted for every client.
 */
export type DropField = (field: string, why?: "hint" | "conflict") => void;
