/**
 * What the rest of the gateway asks about a client's wire format, beside how it is read and written: a request holds it, so
 * that nothing is looked up by name. Implemented by each folder of src/wires. Types only.
 */

import type { RequestContent } from "./request-content.ts";

/** What an upstream's wire may have no counterpart for. */
export type FieldMeaning =
  | "temperature"
  | "topP"
  | "topK"
  | "frequencyPenalty"
  | "presencePenalty"
  | "seed"
  | "choiceCount"
  | "logprobs"
  | "stop"
  | "output"
  | "reasoning"
  | "tools"
  | "toolChoice"
  | "parallelToolCalls"
  | "endUser"
  | "system"
  | "image"
  | "imageDetail"
  | "audio"
  | "document"
  | "dimensions";

/** Where a request keeps its turns: what finds the last user text for the semantic cache. */
export interface TurnFields {
  /** The member that lists the turns, or is the only text itself. */
  readonly list: string;
  /** A turn's member that holds its text or its parts. */
  readonly content: string;
  /** Whether a turn that names no role is the user's. */
  readonly isUserByDefault: boolean;
}

/** Whose published rules say what an image, a sound or a document counts as in tokens. */
export type MediaRule = "openai" | "anthropic" | "gemini";

export interface WireTraits {
  /** As spans, `?dialect=` and cache keys name it: `openai-chat`. */
  readonly name: string;
  /** The headers, in lower case, that an upstream of the same wire gets from the client. */
  readonly passedHeaders: readonly string[];
  /**
   * Top-level members that don't change the answer: who asks, how it is delivered (a cache entry replays either way), and
   * what the vendor files it under. All others are part of the cache key.
   */
  readonly insignificantFields: ReadonlySet<string>;
  /**
   * Fields that change no answer, by name, with all that is in them: where the upstream's wire has no counterpart they are
   * left out and listed in `x-headgate-dropped`, and never refuse the request.
   */
  readonly hintFields: ReadonlySet<string>;
  readonly mediaRule: MediaRule;
  /** Absent for a wire without turns. */
  readonly turnFields?: TurnFields;
  /** What the client calls these: an error names a field as the client wrote it. */
  readonly fieldNames: Readonly<Record<FieldMeaning, string>>;
  /** What a request says, for a trace that may hold content. */
  readContent(request: { readonly body: Readonly<Record<string, unknown>> }): RequestContent;
}
