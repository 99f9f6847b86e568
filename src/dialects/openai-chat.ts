/**
 * The OpenAI chat-completions dialect, as clients speak it: request bodies in, error bodies and replayed answers out.
 * What an upstream says in the same wire format is read by providers/openai-wire.ts.
 * https://platform.openai.com/docs/api-reference/chat/create (seen 2026-11)
 */

import * as z from "zod";
import type { ChatRequest, RequestParams } from "../chat.ts";
import { GatewayError, openAiErrorBody } from "../errors.ts";
import { isPresent, isRecord, recordOf, type JsonRecord } from "../json-fields.ts";
import { formatEvent } from "../sse.ts";
import type { DialectCodec } from "./dialect.ts";
import { assembleCompletion } from "./openai-chat-assemble.ts";
import { explodeCompletion } from "./openai-chat-explode.ts";

/** Longer than any vendor's id (a Bedrock ARN has about 150), short enough for a span and a header. */
const MAX_MODEL_CHARS = 256;
/** OpenAI's own bounds of the sampling parameters. */
const MAX_TEMPERATURE = 2;
const MAX_PENALTY = 2;
const MAX_CHOICES = 128;
const MAX_TOP_LOGPROBS = 20;

const penalty = z.number().min(-MAX_PENALTY).max(MAX_PENALTY).nullish();
const tokenLimit = z.int().min(1).nullish();
const object = z.custom<JsonRecord>(isRecord, "expected an object");
const array = z.custom<readonly unknown[]>(Array.isArray, "expected an array");

/**
 * The fields whose type the gateway vouches for. Whatever is not here is the upstream's to judge: it is forwarded
 * unread, since a new parameter must not need a new gateway. `messages` is checked apart, without being copied.
 */
const checkedFields = z.object({
  model: z.string().min(1).max(MAX_MODEL_CHARS),
  stream: z.boolean().nullish(),
  stream_options: object.nullish(),
  max_tokens: tokenLimit,
  max_completion_tokens: tokenLimit,
  temperature: z.number().min(0).max(MAX_TEMPERATURE).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  frequency_penalty: penalty,
  presence_penalty: penalty,
  // 64-bit at OpenAI, so that JavaScript can't hold each one exactly; the upstream gets the digits as they were sent.
  seed: z.number().refine(Number.isInteger, "expected an integer").nullish(),
  n: z.int().min(1).max(MAX_CHOICES).nullish(),
  stop: z.union([z.string(), z.array(z.string())], "expected a string or an array of strings").nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(MAX_TOP_LOGPROBS).nullish(),
  tools: array.nullish(),
  tool_choice: z.union([z.string(), object], "expected a string or an object").nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  response_format: object.nullish(),
  user: z.string().nullish(),
});
type CheckedFields = z.infer<typeof checkedFields>;

export const openAiChat: DialectCodec = {
  name: "openai-chat",
  parseRequest,
  errorBody: openAiErrorBody,
  errorEvent: (error) => formatEvent(JSON.stringify(openAiErrorBody(error))),
  assemble: assembleCompletion,
  explode: (bodyText, chat) =>
    explodeCompletion(bodyText, recordOf(chat.wire["stream_options"])["include_usage"] === true),
};

function parseRequest(bodyText: string, defaultModel?: string): ChatRequest {
  const wire = parseObject(bodyText);
  const isModelNamed = wire["model"] !== undefined || defaultModel === undefined;
  const fields = checkFields(isModelNamed ? wire : { ...wire, model: defaultModel });
  checkMessages(wire["messages"]);
  return {
    dialect: "openai-chat",
    operation: "chat",
    model: fields.model,
    stream: fields.stream === true,
    params: readParams(fields),
    wireText: bodyText,
    wire,
  };
}

function parseObject(bodyText: string): JsonRecord {
  let body: unknown;
  try {
    body = JSON.parse(bodyText);
  } catch (fault) {
    throw new GatewayError("invalid_request", describeSyntaxError(bodyText, fault), { cause: fault });
  }
  if (isRecord(body)) return body;
  throw new GatewayError("invalid_request", "The request body must be a JSON object.");
}

/** The engine's own message quotes the body, which is a prompt: only the position is taken from it. */
function describeSyntaxError(bodyText: string, fault: unknown): string {
  if (bodyText.trim() === "") return "The request body is empty; it must be a JSON object.";
  const position = fault instanceof Error ? /position (\d+)/.exec(fault.message)?.[1] : undefined;
  const where = position === undefined ? "" : `: it breaks at character ${position}`;
  return `The request body is not valid JSON${where}.`;
}

function checkFields(body: JsonRecord): CheckedFields {
  const parsed = checkedFields.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const param = (issue?.path ?? []).map(formatStep).join("").replace(/^\./, "");
  const isMissing = issue?.path.length === 1 && body[param] === undefined;
  const fault = isMissing ? "it is required" : (issue?.message ?? "invalid").replace(/^Invalid input: /, "");
  return refuse(param, fault);
}

function formatStep(step: PropertyKey): string {
  return typeof step === "number" ? `[${step}]` : `.${String(step)}`;
}

/** Looks at each message's role only: contents are long, and theirs is the upstream's word. */
function checkMessages(messages: unknown): void {
  if (messages === undefined) refuse("messages", "it is required");
  if (!Array.isArray(messages)) refuse("messages", "expected an array of messages");
  if (messages.length === 0) refuse("messages", "expected at least one message");
  for (let at = 0; at < messages.length; at += 1) {
    const message: unknown = messages[at];
    if (!isRecord(message)) refuse(`messages[${at}]`, "expected an object");
    const role = message["role"];
    if (typeof role !== "string" || role === "") refuse(`messages[${at}].role`, "expected a role");
  }
}

function refuse(param: string, fault: string): never {
  throw new GatewayError("invalid_request", `Invalid \`${param}\`: ${fault}.`, { param });
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
