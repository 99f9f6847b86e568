/**
 * Reads what a text completion (OpenAI's `/v1/completions`) asks for: enough to limit and bill it. It is never translated: a chat
 * model puts a prompt into a turn of a conversation, and has no `echo`, no `suffix` and no prompts of tokens. Pure.
 */

import { recordOf } from "../json/fields.ts";
import type { ChatRequest, Operation } from "../schema/chat.ts";
import { isCount } from "../wires/read-upstream.ts";

interface TextCompletion {
  readonly content?: Pick<ChatRequest, "body" | "params">;
  /** Members of the body that are set, as JSON: they request a stream's usage, unless the client refuses it. */
  readonly set?: Readonly<Record<string, string>>;
}

/** Empty for other operations. https://platform.openai.com/docs/api-reference/completions/create (seen 2026-11) */
export function readTextCompletion(
  operation: Operation,
  body: Readonly<Record<string, unknown>>,
): TextCompletion {
  if (operation !== "text_completion") return {};
  const { prompt, max_tokens: maxOutputTokens, n, best_of: bestOf, stream } = body;
  const options = recordOf(body["stream_options"]);
  const asksUsage = stream === true && options["include_usage"] === undefined;
  const choiceCount = promptCount(prompt) * Math.max(1, ...[n, bestOf].filter(isCount));
  return {
    content: {
      body,
      params: { choiceCount, ...(isCount(maxOutputTokens) && { maxOutputTokens }) },
    },
    ...(asksUsage && { set: { stream_options: JSON.stringify({ ...options, include_usage: true }) } }),
  };
}

/** A list of numbers is one prompt in tokens; any other list has a prompt in each place. Each prompt is answered. */
function promptCount(prompt: unknown): number {
  return Array.isArray(prompt) && typeof prompt[0] !== "number" ? Math.max(1, prompt.length) : 1;
}
