/**
 * What a request for embeddings means, and its answer, apart from how any vendor writes them: what conversation.ts and
 * chat.ts are for generations. Imports nothing of ours but the usage.
 */

import type { TokenUsage } from "./chat.ts";

export interface EmbeddingAsk {
  /** Texts, or texts as token numbers where the client cut them itself; a vector is wanted for each. */
  readonly inputs: readonly (string | readonly number[])[];
  readonly dimensions?: number;
  /** What the vectors are for, in Gemini's words: `RETRIEVAL_DOCUMENT`, `SEMANTIC_SIMILARITY`, … */
  readonly task?: string;
  /** Title of the document, where the task is retrieval. */
  readonly title?: string;
  readonly endUser?: string;
}

export interface EmbeddingResponse {
  readonly model?: string;
  /** In the order of the inputs; may throw `upstream_malformed`. Read when asked for: who forwards needs the usage only. */
  readonly vectors: () => readonly (readonly number[])[];
  /** `outputTokens` is 0. */
  readonly usage?: TokenUsage;
}
