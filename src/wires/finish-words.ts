/**
 * Why an upstream's answer ended, by the vendors' own words for a failure: an answer that ends in one of them is an error and
 * never a success, whatever it said before. Pure. Words for good ends are each wire's own.
 */

import { GatewayError } from "../errors.ts";
import type { ChatChunk, FinishReason } from "../schema/chat.ts";
import { isPresent, textOf } from "../json/fields.ts";

/** In lower case. */
const FAILURES: ReadonlySet<string> = new Set([
  // https://openrouter.ai/docs/api-reference/overview (seen 2026-11)
  "error",
  // vLLM, SGLang, llama.cpp and their gateways: the request was given up.
  "abort",
  "aborted",
  "cancelled",
  "canceled",
  "timeout",
  "failed",
  // https://docs.bigmodel.cn/api-reference (seen 2026-11)
  "network_error",
  // https://api-docs.deepseek.com/api/create-chat-completion (seen 2026-11)
  "insufficient_system_resource",
  // https://ai.google.dev/api/generate-content#FinishReason (seen 2026-11)
  "malformed_function_call",
  "malformed_response",
  "unexpected_tool_call",
  "too_many_tool_calls",
  "missing_thought_signature",
  // https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (seen 2026-11)
  "malformed_model_output",
  "malformed_tool_use",
]);

/** The word, where it says that the upstream failed. */
export function failureOf(word: unknown): string | undefined {
  const said = textOf(word)?.toLowerCase();
  return said !== undefined && FAILURES.has(said) ? said : undefined;
}

/** Throws `upstream_error` where a whole answer's word, or an error beside its choice, says that the upstream failed. */
export function refuseFailure(word: unknown, error?: unknown): void {
  const failure = failureOf(word) ?? (isPresent(error) ? "error" : undefined);
  if (failure === undefined) return;
  throw new GatewayError("upstream_error", `The upstream ended its answer with '${failure}'.`);
}

/** The end of a streamed choice: an error for a word of failure, nothing where it has not ended. */
export function finishChunks(
  word: unknown,
  index: number,
  reason: FinishReason | undefined,
): readonly ChatChunk[] {
  const failure = failureOf(word);
  if (failure !== undefined) return [{ type: "error", errorType: failure }];
  return reason === undefined ? [] : [{ type: "finish", index, reason }];
}
