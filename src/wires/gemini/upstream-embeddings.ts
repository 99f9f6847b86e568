/**
 * Gemini's embeddings wire: `embedContent` for one text, `batchEmbedContents` for several.
 * https://ai.google.dev/api/embeddings (seen 2026-11)
 */

import type { ChatRequest } from "../../schema/chat.ts";
import type { EmbeddingAsk, EmbeddingResponse } from "../../schema/embedding.ts";
import { GatewayError } from "../../errors.ts";
import { editTopLevel } from "../../json/edit.ts";
import { isRecord, listOf, recordOf, type JsonRecord } from "../../json/fields.ts";
import { readGeminiUsage } from "./upstream-answer.ts";
import type { Target } from "../upstream-wire.ts";
import { malformed } from "../read-upstream.ts";

type EmbeddingMethod = "embedContent" | "batchEmbedContents";

export interface EmbeddingCall {
  readonly method: EmbeddingMethod;
  readonly body: string;
}

/** The client's bytes, with the target's model wherever they name one: Google compares it with the path's. */
export function forwardEmbedding({ body, bodyText }: ChatRequest, { model }: Target): EmbeddingCall {
  const name = JSON.stringify(`models/${model}`);
  if (!Array.isArray(body["requests"])) {
    const isNamed = body["model"] !== undefined;
    return {
      method: "embedContent",
      body: isNamed ? editTopLevel(bodyText, { set: { model: name } }) : bodyText,
    };
  }
  const requests = listOf(body["requests"]).map((request) => ({
    ...recordOf(request),
    model: `models/${model}`,
  }));
  return {
    method: "batchEmbedContents",
    body: editTopLevel(bodyText, { set: { requests: JSON.stringify(requests) } }),
  };
}

/** Throws `invalid_request` for texts that the client cut into another vendor's tokens. */
export function writeEmbedding(ask: EmbeddingAsk, { model }: Target): EmbeddingCall {
  const { dimensions, task, title } = ask;
  const requests = ask.inputs.map((input): JsonRecord => {
    if (typeof input !== "string") {
      const message = "This model doesn't accept token ids: send `input` as text.";
      throw new GatewayError("invalid_request", message, { param: "input" });
    }
    return {
      model: `models/${model}`,
      content: { parts: [{ text: input }] },
      ...(task !== undefined && { taskType: task }),
      ...(title !== undefined && { title }),
      ...(dimensions !== undefined && { outputDimensionality: dimensions }),
    };
  });
  return { method: "batchEmbedContents", body: JSON.stringify({ requests }) };
}

/** Throws `upstream_malformed`. */
export function readGeminiEmbeddings(body: unknown): EmbeddingResponse {
  if (!isRecord(body)) throw malformed("a response that is not a JSON object");
  const { embedding, embeddings } = body;
  const found = Array.isArray(embeddings) ? embeddings : isRecord(embedding) ? [embedding] : [];
  if (found.length === 0) throw malformed("a response without embeddings");
  const usage = readGeminiUsage(body["usageMetadata"]);
  const vectors = found.map(readVector);
  return { vectors: () => vectors, ...(usage !== undefined && { usage }) };
}

function readVector(embedding: unknown): readonly number[] {
  const { values } = recordOf(embedding);
  if (Array.isArray(values) && values.every((value) => typeof value === "number")) return values;
  throw malformed("an embedding that is not a list of numbers");
}
