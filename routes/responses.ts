/** `POST /v1/responses`: the openai-responses dialect, whole and streamed. */

import type { Context } from "hono";
import type { AppEnv } from "../src/app-types.ts";
import { openAiResponses } from "../src/wires/openai-responses/client-codec.ts";
import { answerGeneration } from "../src/http/answer-generation.ts";

export function responses(c: Context<AppEnv>): Promise<Response> {
  return answerGeneration(c, openAiResponses);
}
