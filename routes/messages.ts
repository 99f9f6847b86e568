/** `POST /v1/messages` and `POST /v1/messages/count_tokens`: the anthropic-messages dialect. */

import type { Context } from "hono";
import type { AppEnv } from "../src/app-types.ts";
import { anthropicMessages, parseCountRequest } from "../src/wires/anthropic/client-codec.ts";
import { answerGeneration } from "../src/http/answer-generation.ts";
import { answerTokenCount } from "./token-count.ts";

export function messages(c: Context<AppEnv>): Promise<Response> {
  return answerGeneration(c, anthropicMessages);
}

export function countMessageTokens(c: Context<AppEnv>): Promise<Response> {
  return answerTokenCount(c, {
    codec: anthropicMessages,
    parse: parseCountRequest,
    format: (inputTokens) => ({ input_tokens: inputTokens }),
  });
}
