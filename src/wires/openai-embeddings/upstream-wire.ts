/**
 * The OpenAI embeddings wire as upstreams speak it. https://platform.openai.com/docs/api-reference/embeddings (seen
 * 2026-11)
 */

import type { TokenUsage } from "../../schema/chat.ts";
import type { EmbeddingResponse } from "../../schema/embedding.ts";
import { isRecord, recordOf, textOf } from "../../json/fields.ts";
import type { EmbeddingTranslation, Target } from "../upstream-wire.ts";
import { isCount, malformed } from "../read-upstream.ts";

/** The body of a request whose client speaks another wire. */
export function formatEmbeddingRequest(
  { model, params = {} }: Target,
  { ask, drop }: EmbeddingTranslation,
): string {
  const { inputs, dimensions, task, title, endUser } = ask;
  if (task !== undefined) drop("taskType");
  if (title !== undefined) drop("title");
  return JSON.stringify({
    input: inputs,
    encoding_format: "float",
    ...(dimensions !== undefined && { dimensions }),
    ...(endUser !== undefined && { user: endUser }),
    ...params,
    model,
  });
}

/** Throws `upstream_malformed`. */
export function readOpenAiEmbeddings(body: unknown): EmbeddingResponse {
  if (!isRecord(body) || !Array.isArray(body["data"])) throw malformed("a response without embeddings");
  const data: readonly unknown[] = body["data"];
  const model = textOf(body["model"]);
  const usage = readUsage(body["usage"]);
  return {
    ...(model !== undefined && { model }),
    ...(usage !== undefined && { usage }),
    vectors: () => data.map((entry) => readVector(recordOf(entry)["embedding"])),
  };
}

function readUsage(usage: unknown): TokenUsage | undefined {
  const { prompt_tokens: prompt, total_tokens: total } = recordOf(usage);
  const inputTokens = isCount(prompt) ? prompt : total;
  return isCount(inputTokens) ? { inputTokens, outputTokens: 0 } : undefined;
}

function readVector(embedding: unknown): readonly number[] {
  if (typeof embedding === "string") return readBase64(embedding);
  if (Array.isArray(embedding) && embedding.every((value) => typeof value === "number")) return embedding;
  throw malformed("an embedding that is not a list of numbers");
}

const FLOAT_BYTES = 4;

/** 32-bit floats, little-endian. */
function readBase64(text: string): readonly number[] {
  let binary: string;
  try {
    binary = atob(text);
  } catch (cause) {
    throw malformed("an embedding that is not valid base64", cause);
  }
  const view = new DataView(Uint8Array.from(binary, (char) => char.charCodeAt(0)).buffer);
  const count = Math.floor(view.byteLength / FLOAT_BYTES);
  return Array.from({ length: count }, (_, at) => view.getFloat32(at * FLOAT_BYTES, true));
}
