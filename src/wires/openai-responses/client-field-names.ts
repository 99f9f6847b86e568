/** What clients of this wire call the fields that an upstream may have no counterpart for. */

import type { FieldMeaning } from "../../schema/wire-traits.ts";

export const RESPONSES_FIELD_NAMES: Readonly<Record<FieldMeaning, string>> = {
  temperature: "temperature",
  topP: "top_p",
  topK: "top_k",
  frequencyPenalty: "frequency_penalty",
  presencePenalty: "presence_penalty",
  seed: "seed",
  choiceCount: "n",
  logprobs: "top_logprobs",
  stop: "stop",
  output: "text.format",
  reasoning: "reasoning",
  tools: "tools",
  toolChoice: "tool_choice",
  parallelToolCalls: "parallel_tool_calls",
  endUser: "user",
  system: "instructions",
  image: "input[].content[].image_url",
  imageDetail: "input[].content[].detail",
  audio: "input[].content[].input_audio",
  document: "input[].content[].file_data",
  dimensions: "dimensions",
};
