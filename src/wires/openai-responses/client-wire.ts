/**
 * The OpenAI Responses wire, as clients speak it: request bodies in, answers of other wires and replayed ones out. What
 * an upstream says in the same wire format is read by wires/openai-responses/upstream-wire.ts.
 * https://platform.openai.com/docs/api-reference/responses/create (seen 2026-11)
 */

import * as z from "zod/mini";
import type { ChatRequest } from "../../schema/chat.ts";
import type { GatewayError } from "../../errors.ts";
import { isPresent, isRecord, type JsonRecord } from "../../json/fields.ts";
import { formatEvent } from "../../bytes/sse.ts";
import { checkFields, parseObject, refuse } from "../checked-body.ts";
import type { ClientWire, RequestContext } from "../client-wire.ts";
import { readConversationContent } from "../conversation-trace.ts";
import { openAiErrorBody, openAiErrors } from "../openai-chat/client-errors.ts";
import { openAiModels } from "../openai-chat/client-models.ts";
import {
  OPENAI_HEADERS,
  OPENAI_HINT_FIELDS,
  OPENAI_INSIGNIFICANT_FIELDS,
} from "../openai-chat/client-wire.ts";
import { RESPONSES_FIELD_NAMES } from "./client-field-names.ts";
import { formatResponseBody } from "./client-answer.ts";
import { readResponsesConversation } from "./client-conversation.ts";
import { createResponseEncoder } from "./client-encoder.ts";
import { responseFromStream, streamFromResponse } from "./client-replay.ts";
import { toJson } from "../../json/exact.ts";

/** As the chat wire has them. */
const MAX_MODEL_CHARS = 256;
const MAX_TEMPERATURE = 2;
const MAX_TOP_LOGPROBS = 20;

const object = z.custom<JsonRecord>(isRecord, "expected an object");
const array = z.custom<readonly unknown[]>(Array.isArray, "expected an array");

/** The fields whose type the gateway checks; all else is the upstream's to judge. `input` is checked apart. */
const checkedFields = z.object({
  model: z.string().check(z.minLength(1), z.maxLength(MAX_MODEL_CHARS)),
  stream: z.nullish(z.boolean()),
  stream_options: z.nullish(object),
  instructions: z.nullish(z.string()),
  max_output_tokens: z.nullish(z.int().check(z.minimum(1))),
  temperature: z.nullish(z.number().check(z.minimum(0), z.maximum(MAX_TEMPERATURE))),
  top_p: z.nullish(z.number().check(z.minimum(0), z.maximum(1))),
  top_logprobs: z.nullish(z.int().check(z.minimum(0), z.maximum(MAX_TOP_LOGPROBS))),
  tools: z.nullish(array),
  tool_choice: z.nullish(z.union([z.string(), object], "expected a string or an object")),
  parallel_tool_calls: z.nullish(z.boolean()),
  text: z.nullish(object),
  reasoning: z.nullish(object),
  include: z.nullish(array),
  user: z.nullish(z.string()),
});

/** What may replace an input: what the vendor keeps. */
const INPUT_ELSEWHERE = ["prompt", "previous_response_id", "conversation"] as const;

export const openAiResponses: ClientWire = {
  name: "openai-responses",
  passedHeaders: OPENAI_HEADERS,
  insignificantFields: OPENAI_INSIGNIFICANT_FIELDS,
  hintFields: new Set([
    ...OPENAI_HINT_FIELDS,
    "text.verbosity",
    "client_metadata",
    "context_management",
    "include",
    "stream_options",
  ]),
  mediaRule: "openai",
  turnFields: { list: "input", content: "content", isUserByDefault: false },
  fieldNames: RESPONSES_FIELD_NAMES,
  readContent: (chat) => readConversationContent(readResponsesConversation, chat),
  errors: openAiErrors,
  models: openAiModels,
  parseRequest,
  toConversation: readResponsesConversation,
  formatResponse: formatResponseBody,
  encoder: createResponseEncoder,
  streamType: () => "text/event-stream; charset=utf-8",
  errorEvent,
  wholeFromStream: responseFromStream,
  streamFromWhole: streamFromResponse,
};

function parseRequest(bodyText: string, { defaultModel }: RequestContext = {}): ChatRequest {
  const body = parseObject(bodyText);
  const isModelNamed = isPresent(body["model"]) || defaultModel === undefined;
  const fields = checkFields(checkedFields, isModelNamed ? body : { ...body, model: defaultModel });
  checkInput(body);
  const { max_output_tokens: maxOutputTokens, temperature, top_p: topP } = fields;
  return {
    wire: openAiResponses,
    operation: "chat",
    model: fields.model,
    stream: fields.stream === true,
    params: {
      ...(isPresent(maxOutputTokens) && { maxOutputTokens }),
      ...(isPresent(temperature) && { temperature }),
      ...(isPresent(topP) && { topP }),
    },
    bodyText,
    body,
  };
}

/** Looks at no content: it is long, and the upstream's to judge. */
function checkInput(body: JsonRecord): void {
  const { input } = body;
  if (!isPresent(input)) {
    if (!INPUT_ELSEWHERE.some((field) => isPresent(body[field]))) refuse("input", "it is required");
    return;
  }
  if (typeof input === "string") return;
  if (!Array.isArray(input)) refuse("input", "expected a string or an array of items");
  for (let at = 0; at < input.length; at += 1) {
    if (!isRecord(input[at])) refuse(`input[${at}]`, "expected an object");
  }
}

/**
 * Flat, as the API's reference has it, and in `error`, without which older SDKs (the one in LangChain) take a failure for one
 * more event: https://platform.openai.com/docs/api-reference/responses-streaming/error (seen 2026-11)
 */
function errorEvent(failure: GatewayError): string {
  const { error } = openAiErrorBody(failure);
  const { message, code, param } = error;
  const event = { type: "error", code, message, param, sequence_number: 0, error };
  return formatEvent(toJson(event), "error");
}
