/**
 * The OpenAI chat wire as upstreams speak it, read into our words: whole answers and usage. Streams are read by
 * upstream-stream.ts, errors by upstream-errors.ts. Lenient in what vendors vary, strict in what makes an answer an answer.
 * https://platform.openai.com/docs/api-reference/chat/object (seen 2026-11)
 */

import type { ChatChoice, ChatResponse, Citation, TokenUsage, ToolCall } from "../../schema/chat.ts";
import { isPresent, isRecord, listOf, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";
import {
  readCallSignature,
  readChatCitations,
  readChatLogprobs,
  readSources,
  readReasoning,
} from "./upstream-details.ts";
import { withTier } from "../service-tier.ts";
import {
  errorWithGoodStatus,
  isCount,
  malformed,
  readFunction,
  readIndex,
  soundnessOf,
} from "../read-upstream.ts";
import { readFinish } from "../finish-words.ts";
import { takeChatReport } from "../reported/reported.ts";
import type { UpstreamReport } from "../../schema/upstream-report.ts";

/** A whole chat completion; throws `upstream_malformed`, or `upstream_error` where the body is an error sent as 200. */
export function readCompletion(body: unknown, report?: UpstreamReport): ChatResponse {
  if (!isRecord(body)) throw malformed("a response that is not a JSON object");
  const { choices } = body;
  if (isPresent(body["error"]) && !Array.isArray(choices)) {
    throw errorWithGoodStatus();
  }
  if (!Array.isArray(choices) || choices.length === 0) throw malformed("a response without choices");
  if (report !== undefined) takeChatReport(body, report);
  const id = textOf(body["id"]);
  const model = textOf(body["model"]);
  const usage = withTier(readChatUsage(body["usage"]), body["service_tier"]);
  return {
    ...(id !== undefined && { id }),
    ...(model !== undefined && { model }),
    choices: withSources(choices.map(readChoice), readSources(body)),
    ...(usage !== undefined && { usage }),
  };
}

/** Sources of the whole answer (Perplexity): the first choice's, as it asks for one only. */
function withSources(choices: readonly ChatChoice[], sources: readonly Citation[]): readonly ChatChoice[] {
  const [first, ...others] = choices;
  if (first === undefined || sources.length === 0) return choices;
  return [{ ...first, citations: [...(first.citations ?? []), ...sources] }, ...others];
}

function readChoice(choice: unknown, position: number): ChatChoice {
  if (!isRecord(choice) || !isRecord(choice["message"])) throw malformed("a choice without a message");
  const { message } = choice;
  const thoughts = readReasoning(message);
  const refusal = textOf(message["refusal"]);
  const citations = readChatCitations(message["annotations"]);
  const logprobs = readChatLogprobs(recordOf(choice["logprobs"])["content"]);
  const finishReason = readFinish(choice["finish_reason"], { error: choice["error"] });
  return {
    index: readIndex(choice["index"], position),
    text: readText(message["content"]),
    ...(thoughts.text !== undefined && { reasoning: thoughts.text }),
    ...(thoughts.signature !== undefined && { reasoningSignature: thoughts.signature }),
    ...(thoughts.encrypted.length > 0 && { encryptedReasoning: thoughts.encrypted }),
    ...(refusal !== undefined && { refusal }),
    ...(citations.length > 0 && { citations }),
    ...(logprobs.length > 0 && { logprobs }),
    toolCalls: listOf(message["tool_calls"]).map((call) => readToolCall(recordOf(call))),
    ...(finishReason !== undefined && { finishReason }),
  };
}

/** A string, or (Mistral) a list of parts, of which the texts are joined. */
export function readText(content: unknown): string {
  if (typeof content === "string") return content;
  return listOf(content)
    .map((part) => textOf(recordOf(part)["text"]) ?? "")
    .join("");
}

function readToolCall(call: JsonRecord): ToolCall {
  const { name, argumentsJson } = readFunction(call);
  const signature = readCallSignature(call);
  return {
    id: textOf(call["id"]) ?? "",
    name: name ?? "",
    argumentsJson,
    ...(signature !== undefined && { signature }),
  };
}

/** Tokens as billed; undefined where the upstream named neither input nor output. */
export function readChatUsage(usage: unknown): TokenUsage | undefined {
  if (!isRecord(usage)) return undefined;
  const { prompt_tokens: input, completion_tokens: output } = usage;
  if (!isCount(input) && !isCount(output)) return undefined;
  const details = recordOf(usage["prompt_tokens_details"]);
  // DeepSeek's and Moonshot's own names for the same number.
  const cached = details["cached_tokens"] ?? usage["prompt_cache_hit_tokens"] ?? usage["cached_tokens"];
  const written = details["cache_write_tokens"];
  const { reasoning_tokens: reasoning, audio_tokens: spoken } = recordOf(usage["completion_tokens_details"]);
  const heard = details["audio_tokens"];
  const inputTokens = isCount(input) ? input : 0;
  const counted = isCount(output) ? output : 0;
  // xAI counts reasoning beside the output, as the total shows: https://docs.x.ai/docs/guides/reasoning (seen 2026-11)
  const isBeside = isCount(reasoning) && usage["total_tokens"] === inputTokens + counted + reasoning;
  return {
    inputTokens,
    outputTokens: isBeside ? counted + reasoning : counted,
    ...soundnessOf(input, output),
    ...(isCount(cached) && { cacheReadTokens: cached }),
    ...(isCount(written) && { cacheWriteTokens: written }),
    ...(isCount(reasoning) && { reasoningTokens: reasoning }),
    // Zero in almost every answer.
    ...(isCount(heard) && heard > 0 && { inputAudioTokens: heard }),
    ...(isCount(spoken) && spoken > 0 && { outputAudioTokens: spoken }),
  };
}
