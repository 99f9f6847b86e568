/** What clients of this wire call the fields that an upstream may have no counterpart for. */

import type { FieldMeaning } from "../../schema/wire-traits.ts";

export const ANTHROPIC_FIELD_NAMES: Readonly<Record<FieldMeaning, string>> = {
  temperature: "temperature",
  topP: "top_p",
  topK: "top_k",
  frequencyPenalty: "frequency_penalty",
  presencePenalty: "presence_penalty",
  seed: "seed",
  choiceCount: "n",
  logprobs: "logprobs",
  stop: "stop_sequences",
  output: "output_config.format",
  reasoning: "thinking",
  tools: "tools",
  toolChoice: "tool_choice",
  parallelToolCalls: "tool_choice.disable_parallel_tool_use",
  endUser: "metadata.user_id",
  system: "system",
  image: "messages[].content[].source",
  imageDetail: "messages[].content[].detail",
  audio: "messages[].content[].source",
  document: "messages[].content[].source",
  dimensions: "dimensions",
};
