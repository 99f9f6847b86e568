/** The models list in Gemini's form. Pure. https://ai.google.dev/api/models (seen 2026-11) */

import type { JsonRecord } from "../../json/fields.ts";

/** What the gateway answers for every model; whether a model can embed, records don't say. */
const METHODS = [
  "generateContent",
  "streamGenerateContent",
  "countTokens",
  "embedContent",
  "batchEmbedContents",
];

/** One model: `name` is the path that it is asked by, below the API's version. */
export function formatGeminiModel(id: string): JsonRecord {
  return { name: `models/${id}`, displayName: id, supportedGenerationMethods: METHODS };
}

/** All models on one page: a tenant has few. */
export function formatGeminiModels(ids: readonly string[]): JsonRecord {
  return { models: ids.map(formatGeminiModel) };
}
