/**
 * Gemini's embeddings wire, as clients speak it: `embedContent` for one text, `batchEmbedContents` for several, a wire
 * for each. The model is in the path. https://ai.google.dev/api/embeddings (seen 2026-11)
 */

import * as z from "zod/mini";
import type { ChatRequest } from "../../schema/chat.ts";
import type { DropField } from "../../schema/conversation.ts";
import type { EmbeddingAsk, EmbeddingResponse } from "../../schema/embedding.ts";
import { isPresent, isRecord, listOf, textOf, type JsonRecord } from "../../json/fields.ts";
import { checkFields, parseObject, refuse } from "../checked-body.ts";
import type { ClientEmbeddingWire, RequestContext } from "../client-wire.ts";
import { readEmbeddingContent } from "../conversation-trace.ts";
import { geminiEmbeddingBatch } from "../embedding-batch.ts";
import { GEMINI_TRAITS } from "./client-wire.ts";
import { camelFields, knownFields } from "./client-fields.ts";

/** Longer than any vendor's id, short enough for a span and a header. */
const MAX_MODEL_CHARS = 256;
const modelField = z.object({ model: z.string().check(z.minLength(1), z.maxLength(MAX_MODEL_CHARS)) });

const ASK_FIELDS: ReadonlySet<string> = new Set([
  "model",
  "content",
  "taskType",
  "title",
  "outputDimensionality",
]);

const toOneEmbedding = ({ body }: Pick<ChatRequest, "body">, drop: DropField): EmbeddingAsk =>
  readAsks([body], () => "", drop);

export const geminiEmbed: ClientEmbeddingWire = {
  ...GEMINI_TRAITS,
  readContent: (chat) => readEmbeddingContent(toOneEmbedding, chat),
  operation: "embeddings",
  parseRequest: (bodyText, context) => parse(geminiEmbed, bodyText, context, (body) => checkAsk(body, "")),
  toEmbedding: toOneEmbedding,
  formatEmbedding: (response) => JSON.stringify({ embedding: toVectors(response)[0], ...toUsage(response) }),
};

export const geminiBatchEmbed: ClientEmbeddingWire = {
  ...GEMINI_TRAITS,
  readContent: (chat) => readEmbeddingContent(toSeveralEmbeddings, chat),
  operation: "embeddings",
  parseRequest: (bodyText, context) =>
    parse(geminiBatchEmbed, bodyText, context, ({ requests }) => {
      if (!Array.isArray(requests) || requests.length === 0)
        refuse("requests", "expected a list of requests");
      for (const [at, request] of requests.entries()) checkAsk(request, `requests[${at}].`);
    }),
  toEmbedding: toSeveralEmbeddings,
  formatEmbedding: (response) => JSON.stringify({ embeddings: toVectors(response), ...toUsage(response) }),
  batch: geminiEmbeddingBatch,
};

function toSeveralEmbeddings({ body }: Pick<ChatRequest, "body">, drop: DropField): EmbeddingAsk {
  const { requests } = knownFields(body, "", new Set(["model", "requests"]), drop);
  return readAsks(listOf(requests), (at) => `requests[${at}]`, drop);
}

function parse(
  wire: ClientEmbeddingWire,
  bodyText: string,
  context: RequestContext | undefined,
  check: (body: JsonRecord) => void,
): ChatRequest {
  const body = parseObject(bodyText);
  const { model } = checkFields(modelField, { model: context?.model ?? context?.defaultModel });
  check(body);
  return {
    wire,
    operation: "embeddings",
    model,
    stream: false,
    params: {},
    bodyText,
    body,
  };
}

function checkAsk(ask: unknown, prefix: string): void {
  if (!isRecord(camelFields(ask)["content"])) refuse(`${prefix}content`, "expected a content with parts");
}

/** One ask for all: what the texts are for must be the same for each, as other vendors take it once. */
function readAsks(
  requests: readonly unknown[],
  pathOf: (at: number) => string,
  drop: DropField,
): EmbeddingAsk {
  const asks = requests.map((request, at) => knownFields(request, pathOf(at), ASK_FIELDS, drop));
  const [first = {}] = asks;
  for (const name of ["taskType", "title", "outputDimensionality"]) {
    const isSame = asks.every((ask) => ask[name] === first[name]);
    if (!isSame) refuse(`requests[].${name}`, "it must be the same in each request for this model");
  }
  const { outputDimensionality: dimensions } = first;
  const task = textOf(first["taskType"]);
  const title = textOf(first["title"]);
  return {
    inputs: asks.map((ask, at) => readText(ask["content"], joinPath(pathOf(at), "content"), drop)),
    ...(typeof dimensions === "number" && { dimensions }),
    ...(task !== undefined && { task }),
    ...(title !== undefined && { title }),
  };
}

function readText(content: unknown, path: string, drop: DropField): string {
  return listOf(camelFields(content)["parts"])
    .map((part, at) => {
      const fields = knownFields(part, `${path}.parts[${at}]`, new Set(["text"]), drop);
      return textOf(fields["text"]) ?? "";
    })
    .join("");
}

function joinPath(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

function toVectors({ vectors }: EmbeddingResponse): readonly JsonRecord[] {
  return vectors().map((values) => ({ values }));
}

function toUsage({ usage }: EmbeddingResponse): JsonRecord {
  if (!isPresent(usage)) return {};
  return { usageMetadata: { promptTokenCount: usage.inputTokens, totalTokenCount: usage.inputTokens } };
}
