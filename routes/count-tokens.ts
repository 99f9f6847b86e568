/** `POST /v1/messages/count_tokens`: how many tokens a Messages request has. Gemini's counting is a method: gemini.ts. */

import type { Context } from "hono";
import type { AppEnv } from "../src/app-types.ts";
import { answerTokenCount } from "../src/http/token-count.ts";
import { anthropicMessages, parseAnthropicCount } from "../src/wires/anthropic/client-wire.ts";

export function countMessageTokens(c: Context<AppEnv>): Promise<Response> {
  return answerTokenCount(c, {
    clientWire: anthropicMessages,
    parse: parseAnthropicCount,
    format: (inputTokens) => ({ input_tokens: inputTokens }),
  });
}
