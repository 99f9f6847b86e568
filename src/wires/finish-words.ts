/**
 * Why an upstream's answer ended, by the vendors' own words: one table for all wires, since gateways pass each other's words on. A word that
 * says that the upstream failed is an error whatever came before it, and so is a word that isn't in the table: a success is only
 * what is known to be one. Pure.
 */

import { GatewayError } from "../errors.ts";
import type { ChatChunk, FinishReason } from "../schema/chat.ts";
import { isPresent } from "../json/fields.ts";

/** `failed`: the answer is an error. `open`: the choice has not ended. */
type Meaning = FinishReason | "failed" | "open";

/** By the word in lower case. Pages seen 2026-11. */
export const FINISH_WORDS: ReadonlyMap<string, Meaning> = new Map([
  // https://platform.openai.com/docs/api-reference/chat/object
  ["stop", "stop"],
  ["length", "length"],
  ["tool_calls", "tool_calls"],
  ["function_call", "tool_calls"],
  ["content_filter", "content_filter"],
  // Responses: https://platform.openai.com/docs/api-reference/responses/object
  ["completed", "stop"],
  ["max_output_tokens", "length"],
  ["queued", "open"],
  ["in_progress", "open"],
  // Together: https://docs.together.ai/reference/chat-completions-1. TGI: https://huggingface.co/docs/text-generation-inference
  ["eos", "stop"],
  ["eos_token", "stop"],
  // Mistral: https://docs.mistral.ai/api
  ["model_length", "length"],
  ["error", "failed"],
  // Perplexity, Workers AI and Alibaba's own API, while a choice goes on.
  ["null", "open"],
  // Azure's inference API: https://learn.microsoft.com/rest/api/aifoundry/modelinference
  ["token_limit_reached", "length"],
  ["content_filtered", "content_filter"],
  // Zhipu: https://docs.bigmodel.cn/api-reference
  ["sensitive", "content_filter"],
  ["network_error", "failed"],
  // DeepSeek: https://api-docs.deepseek.com/api/create-chat-completion
  ["insufficient_system_resource", "failed"],
  // vLLM, SGLang, llama.cpp and servers built on them: the request was given up.
  ["abort", "failed"],
  ["aborted", "failed"],
  ["cancelled", "failed"],
  ["canceled", "failed"],
  ["timeout", "failed"],
  ["failed", "failed"],
  // Anthropic: https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons. A paused turn and one that was
  // compacted are not complete: the client goes on.
  ["end_turn", "stop"],
  ["stop_sequence", "stop"],
  ["max_tokens", "length"],
  ["model_context_window_exceeded", "length"],
  ["pause_turn", "length"],
  ["compaction", "length"],
  ["tool_use", "tool_calls"],
  ["refusal", "content_filter"],
  // Gemini: https://ai.google.dev/api/generate-content#FinishReason
  ["finish_reason_unspecified", "open"],
  ["continuation", "length"],
  ["safety", "content_filter"],
  ["recitation", "content_filter"],
  ["blocklist", "content_filter"],
  ["prohibited_content", "content_filter"],
  ["spii", "content_filter"],
  ["model_armor", "content_filter"],
  ["image_safety", "content_filter"],
  ["image_prohibited_content", "content_filter"],
  ["image_recitation", "content_filter"],
  ["language", "failed"],
  ["other", "failed"],
  ["image_other", "failed"],
  ["no_image", "failed"],
  ["malformed_function_call", "failed"],
  ["malformed_response", "failed"],
  ["unexpected_tool_call", "failed"],
  ["too_many_tool_calls", "failed"],
  ["missing_thought_signature", "failed"],
  // Bedrock: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
  ["guardrail_intervened", "content_filter"],
  ["malformed_model_output", "failed"],
  ["malformed_tool_use", "failed"],
  // Cohere: https://docs.cohere.com/reference/chat
  ["complete", "stop"],
  ["tool_call", "tool_calls"],
  ["error_toxic", "content_filter"],
  ["error_limit", "failed"],
  ["user_cancel", "failed"],
]);

/** An unknown word as errors may say it: short, so that a text in its place is never passed on. */
const SHORT_WORD = /^[\w.:-]{1,64}$/;

interface ReadWord {
  /** Absent where the choice has not ended, and where the answer failed. */
  readonly reason?: FinishReason;
  /** Why the answer is an error, in lower case. */
  readonly failure?: string;
}

const OPEN: ReadWord = {};

function readWord(word: unknown): ReadWord {
  if (!isPresent(word) || word === "") return OPEN;
  const said = typeof word === "string" ? word.toLowerCase() : "unknown";
  const meaning = FINISH_WORDS.get(said);
  if (meaning === "open") return OPEN;
  if (meaning === "failed") return { failure: said };
  if (meaning !== undefined) return { reason: meaning };
  return { failure: SHORT_WORD.test(said) ? said : "unknown" };
}

interface About {
  /** An error beside the choice. */
  readonly error?: unknown;
  /** On wires without a word for tool calls: whether there were any. */
  readonly hasCalls?: boolean;
  readonly stopSequence?: string | undefined;
}

function reasonOf(reason: FinishReason | undefined, { hasCalls = false }: About): FinishReason | undefined {
  return reason === "stop" && hasCalls ? "tool_calls" : reason;
}

/**
 * The reason in a whole answer; undefined where it has not ended. Throws `upstream_error` where the word, or an error beside its
 * choice, says that the upstream failed.
 */
export function readFinish(word: unknown, about: About = {}): FinishReason | undefined {
  const { reason, failure } = readWord(word);
  const failed = failure ?? (isPresent(about.error) ? "error" : undefined);
  if (failed === undefined) return reasonOf(reason, about);
  throw new GatewayError("upstream_error", `The upstream ended its answer with '${failed}'.`);
}

/** The end of a streamed choice: an error for a word of failure, nothing where it has not ended. */
export function finishChunks(word: unknown, index: number, about: About = {}): readonly ChatChunk[] {
  const read = readWord(word);
  if (read.failure !== undefined) return [{ type: "error", errorType: read.failure }];
  const reason = reasonOf(read.reason, about);
  if (reason === undefined) return [];
  const { stopSequence } = about;
  return [{ type: "finish", index, reason, ...(stopSequence !== undefined && { stopSequence }) }];
}
