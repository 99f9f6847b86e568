/**
 * The OpenAI embeddings wire, as clients speak it. https://platform.openai.com/docs/api-reference/embeddings/create
 * (seen 2026-11)
 */

import * as z from "zod/mini";
import type { ChatRequest } from "../../schema/chat.ts";
import type { DropField } from "../../schema/conversation.ts";
import type { EmbeddingAsk, EmbeddingResponse } from "../../schema/embedding.ts";
import { isPresent, listOf, textOf, type JsonRecord } from "../../json/fields.ts";
import { checkFields, parseObject, refuse } from "../checked-body.ts";
import type { ClientEmbeddingWire, RequestContext } from "../client-wire.ts";
import { readEmbeddingContent } from "../conversation-trace.ts";
import { openAiErrors } from "../openai-chat/client-errors.ts";
import { CHAT_FIELD_NAMES } from "../openai-chat/client-field-names.ts";
import { openAiModels } from "../openai-chat/client-models.ts";
import { OPENAI_HEADERS } from "../openai-chat/client-wire.ts";
import { openAiEmbeddingBatch } from "../embedding-batch.ts";

/** As the chat wire has it. */
const MAX_MODEL_CHARS = 256;

/** `input` is checked apart, without being copied. */
const checkedFields = z.object({
  model: z.string().check(z.minLength(1), z.maxLength(MAX_MODEL_CHARS)),
  encoding_format: z.nullish(z.enum(["float", "base64"])),
  dimensions: z.nullish(z.int().check(z.minimum(1))),
  user: z.nullish(z.string()),
});

export const openAiEmbeddings: ClientEmbeddingWire = {
  name: "openai-embeddings",
  operation: "embeddings",
  passedHeaders: OPENAI_HEADERS,
  insignificantFields: new Set(["model", "user"]),
  hintFields: new Set(["user"]),
  mediaRule: "openai",
  fieldNames: CHAT_FIELD_NAMES,
  readContent: (chat) => readEmbeddingContent(toEmbedding, chat),
  errors: openAiErrors,
  models: openAiModels,
  parseRequest,
  toEmbedding,
  formatEmbedding,
  batch: openAiEmbeddingBatch,
};

function parseRequest(bodyText: string, { defaultModel }: RequestContext = {}): ChatRequest {
  const body = parseObject(bodyText);
  const isModelNamed = body["model"] !== undefined || defaultModel === undefined;
  const { model } = checkFields(checkedFields, isModelNamed ? body : { ...body, model: defaultModel });
  if (!isInput(body["input"])) {
    const fault = isPresent(body["input"])
      ? "expected a text, a list of texts, or token numbers"
      : "it is required";
    refuse("input", fault);
  }
  return {
    wire: openAiEmbeddings,
    operation: "embeddings",
    model,
    stream: false,
    params: {},
    bodyText,
    body,
  };
}

function isInput(input: unknown): boolean {
  if (typeof input === "string") return true;
  if (!Array.isArray(input) || input.length === 0) return false;
  return input.every((entry) => typeof entry === "string" || typeof entry === "number" || isTokens(entry));
}

function isTokens(entry: unknown): entry is readonly number[] {
  return Array.isArray(entry) && entry.every((token) => typeof token === "number");
}

const READ: ReadonlySet<string> = new Set(["model", "input", "encoding_format", "dimensions", "user"]);

function toEmbedding({ body }: Pick<ChatRequest, "body">, drop: DropField): EmbeddingAsk {
  for (const [field, value] of Object.entries(body)) {
    if (!READ.has(field) && isPresent(value)) drop(field);
  }
  const { dimensions } = body;
  const endUser = textOf(body["user"]);
  return {
    inputs: readInputs(body["input"]),
    ...(typeof dimensions === "number" && { dimensions }),
    ...(endUser !== undefined && { endUser }),
  };
}

/** One text, one text as tokens, or a list of either. */
function readInputs(input: unknown): EmbeddingAsk["inputs"] {
  if (typeof input === "string") return [input];
  if (isTokens(input)) return [input];
  return listOf(input).filter((entry) => typeof entry === "string" || isTokens(entry));
}

function formatEmbedding(
  { vectors, model, usage }: EmbeddingResponse,
  { body, model: asked }: ChatRequest,
): string {
  const format = body["encoding_format"] === "base64" ? formatBase64 : (vector: readonly number[]) => vector;
  const tokens = usage?.inputTokens ?? 0;
  const data = vectors().map((vector, index): JsonRecord => ({
    object: "embedding",
    index,
    embedding: format(vector),
  }));
  return JSON.stringify({
    object: "list",
    data,
    model: model ?? asked,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  });
}

const FLOAT_BYTES = 4;

/** 32-bit floats, little-endian, as the SDKs read them. */
function formatBase64(vector: readonly number[]): string {
  const view = new DataView(new ArrayBuffer(vector.length * FLOAT_BYTES));
  vector.forEach((value, at) => view.setFloat32(at * FLOAT_BYTES, value, true));
  let binary = "";
  for (const byte of new Uint8Array(view.buffer)) binary += String.fromCharCode(byte);
  return btoa(binary);
}
