/**
 * `POST /v1beta/models/{model}:{method}`, or the same under `/v1`: the gemini wire. `{model}` may hold slashes, as they are or as `%2F`, and
 * colons: the method comes after the last one. `models/` may be missing: Vercel's SDK leaves it out before a name
 * with a slash.
 */

import type { Context } from "hono";
import type { AppEnv } from "../src/app-types.ts";
import { geminiBatchEmbed, geminiEmbed } from "../src/wires/gemini/client-embeddings.ts";
import {
  geminiGenerateContent,
  geminiArray,
  geminiCount,
  parseGeminiCount,
} from "../src/wires/gemini/client-wire.ts";
import { GatewayError } from "../src/errors.ts";
import { answerGeneration } from "../src/http/generation.ts";
import { answerTokenCount } from "../src/http/token-count.ts";

const MAX_METHOD_CHARS = 64;

export function geminiMethod(c: Context<AppEnv>): Promise<Response> {
  const call = c.req.param("call") ?? "";
  const colon = call.lastIndexOf(":");
  const method = call.slice(colon + 1);
  const model = call.slice(0, Math.max(0, colon)).replace(/^models\//, "");
  switch (method) {
    case "generateContent":
      return answerGeneration(c, geminiGenerateContent, { model });
    case "streamGenerateContent": {
      const clientWire = c.req.query("alt") === "sse" ? geminiGenerateContent : geminiArray;
      return answerGeneration(c, clientWire, { model, stream: true });
    }
    case "countTokens":
      return answerTokenCount(
        c,
        { clientWire: geminiCount, parse: parseGeminiCount, format: (totalTokens) => ({ totalTokens }) },
        { model },
      );
    case "embedContent":
      return answerGeneration(c, geminiEmbed, { model });
    case "batchEmbedContents":
      return answerGeneration(c, geminiBatchEmbed, { model });
    default:
      throw new GatewayError(
        "not_found",
        `Unsupported Gemini method '${method.slice(0, MAX_METHOD_CHARS)}'.`,
      );
  }
}
