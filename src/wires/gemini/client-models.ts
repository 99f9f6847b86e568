/** The models list in Gemini's form. Pure. https://ai.google.dev/api/models (seen 2026-11) */

import type { ListedModel, ModelListing } from "../client-wire.ts";

/** What the gateway answers for every model; whether a model can embed, records don't say. */
const METHODS = [
  "generateContent",
  "streamGenerateContent",
  "countTokens",
  "embedContent",
  "batchEmbedContents",
];

/** All models on one page: a tenant has few. */
export const geminiModels: ModelListing = {
  one: formatModel,
  list: (models) => ({ models: models.map(formatModel) }),
};

/** `name` is its path below the API's version. */
function formatModel({ id }: ListedModel) {
  return { name: `models/${id}`, displayName: id, supportedGenerationMethods: METHODS };
}
