/** What clients of this wire call the fields that an upstream may have no counterpart for. */

import type { FieldMeaning } from "../../schema/wire-traits.ts";

export const GEMINI_FIELD_NAMES: Readonly<Record<FieldMeaning, string>> = {
  temperature: "generationConfig.temperature",
  topP: "generationConfig.topP",
  topK: "generationConfig.topK",
  frequencyPenalty: "generationConfig.frequencyPenalty",
  presencePenalty: "generationConfig.presencePenalty",
  seed: "generationConfig.seed",
  choiceCount: "generationConfig.candidateCount",
  logprobs: "generationConfig.responseLogprobs",
  stop: "generationConfig.stopSequences",
  output: "generationConfig.responseMimeType",
  reasoning: "generationConfig.thinkingConfig",
  tools: "tools",
  toolChoice: "toolConfig",
  parallelToolCalls: "toolConfig",
  endUser: "labels",
  system: "systemInstruction",
  image: "contents[].parts[].fileData",
  imageDetail: "contents[].parts[].mediaResolution",
  audio: "contents[].parts[].inlineData",
  document: "contents[].parts[].fileData",
  dimensions: "outputDimensionality",
};
