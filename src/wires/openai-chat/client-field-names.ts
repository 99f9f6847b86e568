/** What clients of this wire call the fields that an upstream may have no counterpart for. */

import type { FieldMeaning } from "../../schema/wire-traits.ts";

export const CHAT_FIELD_NAMES: Readonly<Record<FieldMeaning, string>> = {
  temperature: "temperature",
  topP: "top_p",
  topK: "top_k",
  frequencyPenalty: "frequency_penalty",
  presencePenalty: "presence_penalty",
  seed: "seed",
  choiceCount: "n",
  logprobs: "logprobs",
  stop: "stop",
  output: "response_format",
  reasoning: "reasoning_effort",
  tools: "tools",
  toolChoice: "tool_choice",
  parallelToolCalls: "parallel_tool_calls",
  endUser: "user",
  system: "messages[].content",
  image: "messages[].content[].image_url",
  imageDetail: "messages[].content[].image_url.detail",
  audio: "messages[].content[].input_audio",
  document: "messages[].content[].file",
  dimensions: "dimensions",
};
