/** `POST /v1/embeddings`: the openai-embeddings dialect. */

import type { Context } from "hono";
import type { AppEnv } from "../src/app-types.ts";
import { openAiEmbeddings } from "../src/wires/openai-embeddings/client-codec.ts";
import { answerGeneration } from "../src/http/answer-generation.ts";

export function embeddings(c: Context<AppEnv>): Promise<Response> {
  return answerGeneration(c, openAiEmbeddings);
}
