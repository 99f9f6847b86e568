/**
 * What a client calls the things that an upstream's wire may have no counterpart for: a refusal names the field as the
 * client wrote it. Pure.
 */

import type { WireName } from "../schema/chat.ts";

const NAMES = {
  temperature: ["temperature", "temperature", "temperature", "generationConfig.temperature"],
  topP: ["top_p", "top_p", "top_p", "generationConfig.topP"],
  topK: ["top_k", "top_k", "top_k", "generationConfig.topK"],
  frequencyPenalty: [
    "frequency_penalty",
    "frequency_penalty",
    "frequency_penalty",
    "generationConfig.frequencyPenalty",
  ],
  presencePenalty: [
    "presence_penalty",
    "presence_penalty",
    "presence_penalty",
    "generationConfig.presencePenalty",
  ],
  seed: ["seed", "seed", "seed", "generationConfig.seed"],
  choiceCount: ["n", "n", "n", "generationConfig.candidateCount"],
  logprobs: ["logprobs", "top_logprobs", "logprobs", "generationConfig.responseLogprobs"],
  stop: ["stop", "stop", "stop_sequences", "generationConfig.stopSequences"],
  output: ["response_format", "text.format", "output_config.format", "generationConfig.responseMimeType"],
  reasoning: ["reasoning_effort", "reasoning", "thinking", "generationConfig.thinkingConfig"],
  tools: ["tools", "tools", "tools", "tools"],
  toolChoice: ["tool_choice", "tool_choice", "tool_choice", "toolConfig"],
  parallelToolCalls: [
    "parallel_tool_calls",
    "parallel_tool_calls",
    "tool_choice.disable_parallel_tool_use",
    "toolConfig",
  ],
  endUser: ["user", "user", "metadata.user_id", "labels"],
  system: ["messages[].content", "instructions", "system", "systemInstruction"],
  image: [
    "messages[].content[].image_url",
    "input[].content[].image_url",
    "messages[].content[].source",
    "contents[].parts[].fileData",
  ],
  imageDetail: [
    "messages[].content[].image_url.detail",
    "input[].content[].detail",
    "messages[].content[].detail",
    "contents[].parts[].mediaResolution",
  ],
  audio: [
    "messages[].content[].input_audio",
    "input[].content[].input_audio",
    "messages[].content[].source",
    "contents[].parts[].inlineData",
  ],
  document: [
    "messages[].content[].file",
    "input[].content[].file_data",
    "messages[].content[].source",
    "contents[].parts[].fileData",
  ],
} as const satisfies Readonly<Record<string, readonly [string, string, string, string]>>;

export type FieldMeaning = keyof typeof NAMES;

const COLUMN: Readonly<Record<string, number>> = {
  "openai-chat": 0,
  "openai-responses": 1,
  "anthropic-messages": 2,
  gemini: 3,
};

/** The field by its name on this client's wire; in the chat wire's words for a wire without one. */
export function clientField(dialect: WireName, meaning: FieldMeaning): string {
  return NAMES[meaning][COLUMN[dialect] ?? 0] ?? NAMES[meaning][0];
}
