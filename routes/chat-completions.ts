/** `POST /v1/chat/completions`: the openai-chat dialect, whole and streamed. */

import type { Context } from "hono";
import type { AppEnv } from "../src/app-types.ts";
import { openAiChat } from "../src/wires/openai-chat/client-codec.ts";
import { answerGeneration } from "../src/http/answer-generation.ts";

export function chatCompletions(c: Context<AppEnv>): Promise<Response> {
  return answerGeneration(c, openAiChat);
}
