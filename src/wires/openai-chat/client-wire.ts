/**
 * The OpenAI chat-completions wire, as clients speak it: request bodies in, error bodies and replayed answers out.
 * What an upstream says in the same wire format is read by wires/openai-chat/upstream-answer.ts.
 * https://platform.openai.com/docs/api-reference/chat/create (seen 2026-11)
 */

import * as z from "zod/mini";
import type { ChatRequest, RequestParams } from "../../schema/chat.ts";
import { isPresent, isRecord, recordOf, type JsonRecord } from "../../json/fields.ts";
import { formatEvent } from "../../bytes/sse.ts";
import { checkFields, checkMessages, parseObject } from "../checked-body.ts";
import type { ClientWire, RequestContext } from "../client-wire.ts";
import { readChatContent } from "./client-content.ts";
import { openAiErrorBody, openAiErrors } from "./client-errors.ts";
import { CHAT_FIELD_NAMES } from "./client-field-names.ts";
import { openAiModels } from "./client-models.ts";
import { formatCompletion } from "./client-answer.ts";
import { completionFromStream, streamFromCompletion } from "./client-replay.ts";
import { readChatConversation } from "./client-conversation.ts";
import { createChunkEncoder } from "./client-encoder.ts";
import { toJson } from "../../json/exact.ts";
import { usageFilter } from "./client-usage-filter.ts";

/** Longer than any vendor's id (a Bedrock ARN has about 150), short enough for a span and a header. */
const MAX_MODEL_CHARS = 256;
/** OpenAI's own bounds of the sampling parameters. */
const MAX_TEMPERATURE = 2;
const MAX_PENALTY = 2;
const MAX_CHOICES = 128;
const MAX_TOP_LOGPROBS = 20;

const penalty = z.nullish(z.number().check(z.minimum(-MAX_PENALTY), z.maximum(MAX_PENALTY)));
const tokenLimit = z.nullish(z.int().check(z.minimum(1)));
const object = z.custom<JsonRecord>(isRecord, "expected an object");
const array = z.custom<readonly unknown[]>(Array.isArray, "expected an array");

/**
 * The fields whose type the gateway checks. Whatever is not here is the upstream's to judge: it is forwarded
 * unread, since a new parameter must not need a new gateway. `messages` is checked apart, without being copied.
 */
const checkedFields = z.object({
  model: z.string().check(z.minLength(1), z.maxLength(MAX_MODEL_CHARS)),
  stream: z.nullish(z.boolean()),
  stream_options: z.nullish(object),
  max_tokens: tokenLimit,
  max_completion_tokens: tokenLimit,
  temperature: z.nullish(z.number().check(z.minimum(0), z.maximum(MAX_TEMPERATURE))),
  top_p: z.nullish(z.number().check(z.minimum(0), z.maximum(1))),
  frequency_penalty: penalty,
  presence_penalty: penalty,
  // 64-bit at OpenAI, so that JavaScript can't hold each one exactly; the upstream gets the digits as they were sent.
  seed: z.nullish(z.number().check(z.refine(Number.isInteger, "expected an integer"))),
  n: z.nullish(z.int().check(z.minimum(1), z.maximum(MAX_CHOICES))),
  stop: z.nullish(z.union([z.string(), z.array(z.string())], "expected a string or an array of strings")),
  logprobs: z.nullish(z.boolean()),
  top_logprobs: z.nullish(z.int().check(z.minimum(0), z.maximum(MAX_TOP_LOGPROBS))),
  tools: z.nullish(array),
  tool_choice: z.nullish(z.union([z.string(), object], "expected a string or an object")),
  parallel_tool_calls: z.nullish(z.boolean()),
  response_format: z.nullish(object),
  user: z.nullish(z.string()),
});
type CheckedFields = z.infer<typeof checkedFields>;

/** What a client may pass on to an OpenAI upstream besides the body. */
export const OPENAI_HEADERS: readonly string[] = ["openai-beta"];

/** Of the chat and the Responses wire: `chat.model` counts instead of `model`, since a default route names none. */
export const OPENAI_INSIGNIFICANT_FIELDS: ReadonlySet<string> = new Set([
  "model",
  "stream",
  "stream_options",
  "user",
  "safety_identifier",
  "metadata",
  "store",
  "prompt_cache_key",
  "prompt_cache_options",
  "prompt_cache_retention",
]);

/** Of the chat and the Responses wire, which name them alike. */
export const OPENAI_HINT_FIELDS: readonly string[] = [
  "user",
  "safety_identifier",
  "metadata",
  "store",
  "service_tier",
  "prompt_cache_key",
  "prompt_cache_options",
  "prompt_cache_retention",
  "prediction",
  // Codex and others send it with every request; they read several calls of one answer all the same.
  "parallel_tool_calls",
];

export const openAiChat: ClientWire = {
  name: "openai-chat",
  passedHeaders: OPENAI_HEADERS,
  insignificantFields: OPENAI_INSIGNIFICANT_FIELDS,
  hintFields: new Set([...OPENAI_HINT_FIELDS, "verbosity", "messages[].name"]),
  mediaRule: "openai",
  turnFields: { list: "messages", content: "content", isUserByDefault: false },
  fieldNames: CHAT_FIELD_NAMES,
  readContent: readChatContent,
  errors: openAiErrors,
  models: openAiModels,
  parseRequest,
  toConversation: readChatConversation,
  formatResponse: formatCompletion,
  encoder: createChunkEncoder,
  streamType: () => "text/event-stream; charset=utf-8",
  streamFilter: usageFilter,
  errorEvent: (error) => formatEvent(toJson(openAiErrorBody(error))),
  wholeFromStream: completionFromStream,
  streamFromWhole: (bodyText, chat) =>
    streamFromCompletion(bodyText, recordOf(chat.body["stream_options"])["include_usage"] === true),
};

function parseRequest(bodyText: string, { defaultModel }: RequestContext = {}): ChatRequest {
  const body = parseObject(bodyText);
  const isModelNamed = body["model"] !== undefined || defaultModel === undefined;
  const fields = checkFields(checkedFields, isModelNamed ? body : { ...body, model: defaultModel });
  checkMessages(body["messages"]);
  return {
    wire: openAiChat,
    operation: "chat",
    model: fields.model,
    stream: fields.stream === true,
    params: readParams(fields),
    bodyText,
    body,
  };
}

function readParams(fields: CheckedFields): RequestParams {
  const maxOutputTokens = fields.max_completion_tokens ?? fields.max_tokens;
  const { temperature, top_p: topP, seed, n, stop } = fields;
  const { frequency_penalty: frequencyPenalty, presence_penalty: presencePenalty } = fields;
  return {
    ...(isPresent(maxOutputTokens) && { maxOutputTokens }),
    ...(isPresent(temperature) && { temperature }),
    ...(isPresent(topP) && { topP }),
    ...(isPresent(frequencyPenalty) && { frequencyPenalty }),
    ...(isPresent(presencePenalty) && { presencePenalty }),
    ...(Number.isSafeInteger(seed) && isPresent(seed) && { seed }),
    ...(isPresent(n) && { choiceCount: n }),
    ...(isPresent(stop) && { stopSequences: typeof stop === "string" ? [stop] : stop }),
  };
}
