/**
 * Anthropic's Messages wire, as clients speak it: request bodies in, answers of other wires out. What an upstream says
 * in the same wire format is read by wires/anthropic/upstream-answer.ts.
 * https://platform.claude.com/docs/en/api/messages (seen 2026-11)
 */

import * as z from "zod/mini";
import type { ChatRequest, RequestParams } from "../../schema/chat.ts";
import { isPresent, isRecord, type JsonRecord } from "../../json/fields.ts";
import { formatEvent } from "../../bytes/sse.ts";
import { readConversationContent } from "../conversation-trace.ts";
import { anthropicErrorBody, anthropicErrors } from "./client-errors.ts";
import { ANTHROPIC_FIELD_NAMES } from "./client-field-names.ts";
import { anthropicModels } from "./client-models.ts";
import { formatAnthropicMessage } from "./client-answer.ts";
import { readAnthropicConversation } from "./client-conversation.ts";
import { createMessageEncoder } from "./client-encoder.ts";
import { messageFromStream, streamFromMessage } from "./client-replay.ts";
import { checkFields, checkMessages, parseObject } from "../checked-body.ts";
import type { ClientWire, RequestContext } from "../client-wire.ts";
import { toJson } from "../../json/exact.ts";

/** Longer than any vendor's id (a Bedrock ARN has about 150), short enough for a span and a header. */
const MAX_MODEL_CHARS = 256;
/** Anthropic's own bound; other vendors' is higher. */
const MAX_TEMPERATURE = 1;

const object = z.custom<JsonRecord>(isRecord, "expected an object");
const array = z.custom<readonly unknown[]>(Array.isArray, "expected an array");
const textOrArray = z.union([z.string(), array], "expected a string or an array of blocks");

/**
 * The fields whose type the gateway checks. Whatever is not here is the upstream's to judge: it is forwarded
 * unread, since a new parameter must not need a new gateway.
 */
const countedFields = z.object({
  model: z.string().check(z.minLength(1), z.maxLength(MAX_MODEL_CHARS)),
  system: z.nullish(textOrArray),
  tools: z.nullish(array),
  tool_choice: z.nullish(object),
  thinking: z.nullish(object),
  output_config: z.nullish(object),
});
const checkedFields = z.extend(countedFields, {
  // Zero fills the prompt cache without an answer.
  max_tokens: z.int().check(z.minimum(0)),
  stream: z.nullish(z.boolean()),
  temperature: z.nullish(z.number().check(z.minimum(0), z.maximum(MAX_TEMPERATURE))),
  top_p: z.nullish(z.number().check(z.minimum(0), z.maximum(1))),
  top_k: z.nullish(z.int().check(z.minimum(0))),
  stop_sequences: z.nullish(z.array(z.string())),
  metadata: z.nullish(object),
});
type CheckedFields = z.infer<typeof checkedFields>;

export const anthropicMessages: ClientWire = {
  name: "anthropic-messages",
  passedHeaders: ["anthropic-version", "anthropic-beta"],
  insignificantFields: new Set(["model", "stream", "metadata"]),
  hintFields: new Set([
    "metadata",
    "service_tier",
    "context_management",
    "inference_geo",
    "betas",
    "tool_choice.disable_parallel_tool_use",
  ]),
  mediaRule: "anthropic",
  turnFields: { list: "messages", content: "content", isUserByDefault: false },
  fieldNames: ANTHROPIC_FIELD_NAMES,
  readContent: (chat) => readConversationContent(readAnthropicConversation, chat),
  errors: anthropicErrors,
  models: anthropicModels,
  paths: /^\/v1\/messages(\/|$)/,
  sdkHeader: "anthropic-version",
  keyHeader: "x-api-key",
  parseRequest,
  toConversation: readAnthropicConversation,
  formatResponse: formatAnthropicMessage,
  encoder: createMessageEncoder,
  streamType: () => "text/event-stream; charset=utf-8",
  errorEvent: (error) => formatEvent(toJson(anthropicErrorBody(error)), "error"),
  wholeFromStream: messageFromStream,
  streamFromWhole: streamFromMessage,
};

function parseRequest(bodyText: string, context: RequestContext = {}): ChatRequest {
  const body = parseObject(bodyText);
  const fields = checkFields(checkedFields, withModel(body, context));
  checkMessages(body["messages"]);
  return {
    wire: anthropicMessages,
    operation: "chat",
    model: fields.model,
    stream: fields.stream === true,
    params: readParams(fields),
    bodyText,
    body,
  };
}

/** The body of `count_tokens`: a request without the fields that only matter to an answer. Throws `invalid_request`. */
export function parseAnthropicCount(bodyText: string, context: RequestContext = {}): ChatRequest {
  const body = parseObject(bodyText);
  const { model } = checkFields(countedFields, withModel(body, context));
  checkMessages(body["messages"]);
  return {
    wire: anthropicMessages,
    operation: "chat",
    model,
    stream: false,
    params: {},
    bodyText,
    body,
  };
}

function withModel(body: JsonRecord, { defaultModel }: RequestContext): JsonRecord {
  const isModelNamed = body["model"] !== undefined || defaultModel === undefined;
  return isModelNamed ? body : { ...body, model: defaultModel };
}

function readParams(fields: CheckedFields): RequestParams {
  const { temperature, top_p: topP, stop_sequences: stopSequences } = fields;
  return {
    maxOutputTokens: fields.max_tokens,
    ...(isPresent(temperature) && { temperature }),
    ...(isPresent(topP) && { topP }),
    ...(isPresent(stopSequences) && { stopSequences }),
  };
}
