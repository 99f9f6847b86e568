/**
 * Gemini's wire, as clients speak it: request bodies in, answers of other wires out. Model and form are in the path,
 * which routes/gemini.ts reads. A stream is server-sent events with `alt=sse`, else one JSON array: a descriptor for each.
 * What an upstream says in the same wire format is read by wires/gemini/upstream-answer.ts.
 * https://ai.google.dev/api/generate-content (seen 2026-11)
 */

import * as z from "zod/mini";
import type { ChatRequest } from "../../schema/chat.ts";
import { isRecord, type JsonRecord } from "../../json/fields.ts";
import { formatEvent } from "../../bytes/sse.ts";
import { checkFields, parseObject, refuse } from "../checked-body.ts";
import type { ClientWire, RequestContext } from "../client-wire.ts";
import { readConversationContent } from "../conversation-trace.ts";
import { geminiErrorBody, geminiErrors } from "./client-errors.ts";
import { GEMINI_FIELD_NAMES } from "./client-field-names.ts";
import { geminiModels } from "./client-models.ts";
import { formatAnswer } from "./client-answer.ts";
import { isContentList } from "./client-content.ts";
import { readGeminiConversation, readParams } from "./client-conversation.ts";
import { createAnswerEncoder, type StreamFraming } from "./client-encoder.ts";
import { camelFields } from "./client-fields.ts";
import { answerFromStream, toEventData } from "./client-replay.ts";
import { toJson } from "../../json/exact.ts";

/** Longer than any vendor's id (a Bedrock ARN has about 150), short enough for a span and a header. */
const MAX_MODEL_CHARS = 256;

const object = z.custom<JsonRecord>(isRecord, "expected an object");
const array = z.custom<readonly unknown[]>(Array.isArray, "expected an array");
const number = z.nullish(z.number());
const integer = z.nullish(z.int());

/** The fields whose type the gateway checks; the rest is the upstream's to judge. */
const checkedFields = z.object({
  model: z.string().check(z.minLength(1), z.maxLength(MAX_MODEL_CHARS)),
  tools: z.nullish(array),
  toolConfig: z.nullish(object),
  generationConfig: z.nullish(
    z.object({
      maxOutputTokens: integer,
      temperature: number,
      topP: number,
      topK: number,
      candidateCount: integer,
      seed: integer,
      presencePenalty: number,
      frequencyPenalty: number,
      stopSequences: z.nullish(z.array(z.string())),
    }),
  ),
});

const SSE: StreamFraming = { event: (json) => formatEvent(json), end: "" };
const JSON_ARRAY: StreamFraming = { event: (json, isFirst) => `${isFirst ? "[" : ",\r\n"}${json}`, end: "]" };

/** What holds for all of Gemini's methods. */
export const GEMINI_TRAITS = {
  name: "gemini",
  passedHeaders: [],
  // Model and form are in the path.
  insignificantFields: new Set(["model", "labels"]),
  hintFields: new Set(["labels", "serviceTier", "store"]),
  mediaRule: "gemini",
  turnFields: { list: "contents", content: "parts", isUserByDefault: true },
  fieldNames: GEMINI_FIELD_NAMES,
  readContent: (chat: Pick<ChatRequest, "body">) => readConversationContent(readGeminiConversation, chat),
  errors: geminiErrors,
  models: geminiModels,
  // Under /v1 by its methods alone: the list of models is OpenAI's too.
  paths:
    /^\/v1beta(?:\/|$)|^\/v1\/models\/.{1,512}:(?:generateContent|streamGenerateContent|countTokens|embedContent|batchEmbedContents)$/,
  sdkHeader: "x-goog-api-key",
  keyHeader: "x-goog-api-key",
} as const;

const shared = {
  ...GEMINI_TRAITS,
  parseRequest,
  toConversation: readGeminiConversation,
  formatResponse: formatAnswer,
  wholeFromStream: answerFromStream,
} as const satisfies Partial<ClientWire>;

/** Streams as server-sent events: what the SDKs ask for. */
export const geminiGenerateContent: ClientWire = {
  ...shared,
  encoder: () => createAnswerEncoder(SSE),
  streamType: () => "text/event-stream; charset=utf-8",
  errorEvent: (error) => formatEvent(toJson(geminiErrorBody(error))),
  streamFromWhole: (bodyText) => formatEvent(toEventData(bodyText)),
};

/** Asks for a count of tokens: the request itself, or its contents alone. */
export const geminiCount: ClientWire = {
  ...geminiGenerateContent,
  toConversation: (chat, drop) => readGeminiConversation({ ...chat, body: countedRequest(chat.body) }, drop),
};

/** Streams as one JSON array that grows: what Google sends without `alt=sse`. */
export const geminiArray: ClientWire = {
  ...shared,
  encoder: () => createAnswerEncoder(JSON_ARRAY),
  streamType: () => "application/json; charset=utf-8",
  // An array that has begun has an element in it: nothing fails after the first byte but before the first event.
  errorEvent: (error) => `,\r\n${toJson(geminiErrorBody(error))}]`,
  streamFromWhole: (bodyText) => `[${toEventData(bodyText)}]`,
};

function parseRequest(bodyText: string, context: RequestContext = {}): ChatRequest {
  const body = parseObject(bodyText);
  return { ...checkRequest(body, context), bodyText, body };
}

/** The body of `countTokens`. Throws `invalid_request`. https://ai.google.dev/api/tokens (seen 2026-11) */
export function parseGeminiCount(bodyText: string, context: RequestContext = {}): ChatRequest {
  const body = parseObject(bodyText);
  return { ...checkRequest(countedRequest(body), context), bodyText, body };
}

function countedRequest(body: JsonRecord): JsonRecord {
  const { generateContentRequest } = camelFields(body);
  return isRecord(generateContentRequest) ? generateContentRequest : body;
}

function checkRequest(request: JsonRecord, context: RequestContext): Omit<ChatRequest, "bodyText" | "body"> {
  const { contents, ...fields } = camelFields(request);
  const { model } = checkFields(checkedFields, {
    ...fields,
    model: context.model ?? context.defaultModel,
    generationConfig: fields["generationConfig"] && camelFields(fields["generationConfig"]),
  });
  checkContents(contents);
  return {
    wire: geminiGenerateContent,
    operation: "chat",
    model,
    stream: context.stream === true,
    params: readParams(request),
  };
}

function checkContents(contents: unknown): void {
  if (contents === undefined) refuse("contents", "it is required");
  if (!isContentList(contents)) refuse("contents", "expected a list of contents");
  if (Array.isArray(contents) && contents.length === 0) refuse("contents", "expected at least one content");
}
