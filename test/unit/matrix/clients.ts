// How each client wire asks for a feature, and what its client reads out of an answer. A feature that a wire has no words
// for is undefined.
import type { ChatResponse, FinishReason } from "../../../src/schema/chat.ts";
import { anthropicMessages } from "../../../src/wires/anthropic/client-wire.ts";
import type { ClientWire } from "../../../src/wires/client-wire.ts";
import { geminiGenerateContent } from "../../../src/wires/gemini/client-wire.ts";
import { openAiChat } from "../../../src/wires/openai-chat/client-wire.ts";
import { openAiResponses } from "../../../src/wires/openai-responses/client-wire.ts";
import { type Feature, IMAGE, IMAGE_URL, PDF, SCHEMA } from "./features.ts";

export interface Client {
  readonly wireName: "openai-chat" | "openai-responses" | "anthropic-messages" | "gemini";
  readonly clientWire: ClientWire;
  /** What every request has. */
  readonly base: object;
  readonly requests: Readonly<Record<Feature, object | undefined>>;
}

const PNG = `data:image/png;base64,${IMAGE}`;
const PDF_URL = `data:application/pdf;base64,${PDF}`;
const said = (content: unknown, ...more: object[]) => ({ messages: [{ role: "user", content }, ...more] });

const chatTool = { type: "function", function: { name: "look", description: "Looks.", parameters: SCHEMA } };
const chatCall = (id: string, city: string) => ({
  id,
  type: "function",
  function: { name: "look", arguments: JSON.stringify({ city }) },
});
const chatTools = { tools: [chatTool] };

const openAiChatClient: Client = {
  wireName: "openai-chat",
  clientWire: openAiChat,
  base: said("Hi"),
  requests: {
    "system prompt": {
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "Hi" },
      ],
    },
    "several turns": said("Hi", { role: "assistant", content: "Hello" }, { role: "user", content: "More" }),
    "image by URL": said([
      { type: "text", text: "Look." },
      { type: "image_url", image_url: { url: IMAGE_URL } },
    ]),
    "image inline": said([
      { type: "text", text: "Look." },
      { type: "image_url", image_url: { url: PNG } },
    ]),
    "document inline": said([
      { type: "text", text: "Read." },
      { type: "file", file: { filename: "a.pdf", file_data: PDF_URL } },
    ]),
    "tool definitions": chatTools,
    "tool choice: some tool": { ...chatTools, tool_choice: "required" },
    "tool choice: one tool": { ...chatTools, tool_choice: { type: "function", function: { name: "look" } } },
    "tool choice: none": { ...chatTools, tool_choice: "none" },
    "one call at a time": { ...chatTools, parallel_tool_calls: false },
    "parallel calls and their results": {
      ...chatTools,
      ...said(
        "Hi",
        {
          role: "assistant",
          content: null,
          tool_calls: [chatCall("call_1", "Bern"), chatCall("call_2", "Chur")],
        },
        { role: "tool", tool_call_id: "call_1", content: "sun" },
        { role: "tool", tool_call_id: "call_2", content: "rain" },
      ),
    },
    "JSON by a schema": {
      response_format: { type: "json_schema", json_schema: { name: "place", schema: SCHEMA, strict: true } },
    },
    "JSON without a schema": { response_format: { type: "json_object" } },
    "reasoning effort": { reasoning_effort: "high" },
    "no reasoning": { reasoning_effort: "none" },
    "limit of tokens": { max_completion_tokens: 9 },
    "temperature and top_p": { temperature: 0.5, top_p: 0.9 },
    top_k: undefined,
    "stop sequences": { stop: ["END"] },
    seed: { seed: 7 },
    penalties: { frequency_penalty: 0.5, presence_penalty: 0.25 },
    "log probabilities": { logprobs: true, top_logprobs: 2 },
    "two choices": { n: 2 },
    "prompt-cache mark": {
      messages: [
        {
          role: "system",
          // As OpenRouter and LiteLLM have taught clients of this wire.
          content: [{ type: "text", text: "Be brief.", cache_control: { type: "ephemeral" } }],
        },
        { role: "user", content: "Hi" },
      ],
    },
    "end user": { user: "u-1" },
  },
};

const responsesTool = {
  type: "function",
  name: "look",
  description: "Looks.",
  parameters: SCHEMA,
  strict: false,
};
const responsesTools = { tools: [responsesTool] };
const input = (...content: object[]) => ({ input: [{ role: "user", content }] });
const responsesCall = (id: string, city: string) => ({
  type: "function_call",
  call_id: id,
  name: "look",
  arguments: JSON.stringify({ city }),
});

const responsesClient: Client = {
  wireName: "openai-responses",
  clientWire: openAiResponses,
  // What the vendor would keep has no counterpart elsewhere; a client says so.
  base: { input: "Hi", store: false },
  requests: {
    "system prompt": { instructions: "Be brief." },
    "several turns": {
      input: [
        { role: "user", content: "Hi" },
        { role: "assistant", content: "Hello" },
        { role: "user", content: "More" },
      ],
    },
    "image by URL": input(
      { type: "input_text", text: "Look." },
      { type: "input_image", image_url: IMAGE_URL },
    ),
    "image inline": input({ type: "input_text", text: "Look." }, { type: "input_image", image_url: PNG }),
    "document inline": input(
      { type: "input_text", text: "Read." },
      { type: "input_file", filename: "a.pdf", file_data: PDF_URL },
    ),
    "tool definitions": responsesTools,
    "tool choice: some tool": { ...responsesTools, tool_choice: "required" },
    "tool choice: one tool": { ...responsesTools, tool_choice: { type: "function", name: "look" } },
    "tool choice: none": { ...responsesTools, tool_choice: "none" },
    "one call at a time": { ...responsesTools, parallel_tool_calls: false },
    "parallel calls and their results": {
      ...responsesTools,
      input: [
        { role: "user", content: "Hi" },
        responsesCall("call_1", "Bern"),
        responsesCall("call_2", "Chur"),
        { type: "function_call_output", call_id: "call_1", output: "sun" },
        { type: "function_call_output", call_id: "call_2", output: "rain" },
      ],
    },
    "JSON by a schema": {
      text: { format: { type: "json_schema", name: "place", schema: SCHEMA, strict: true } },
    },
    "JSON without a schema": { text: { format: { type: "json_object" } } },
    "reasoning effort": { reasoning: { effort: "high" } },
    "no reasoning": { reasoning: { effort: "none" } },
    "limit of tokens": { max_output_tokens: 9 },
    "temperature and top_p": { temperature: 0.5, top_p: 0.9 },
    top_k: undefined,
    "stop sequences": undefined,
    seed: undefined,
    penalties: undefined,
    "log probabilities": { include: ["message.output_text.logprobs"], top_logprobs: 2 },
    "two choices": undefined,
    "prompt-cache mark": undefined,
    "end user": { safety_identifier: "u-1" },
  },
};

const claudeTools = { tools: [{ name: "look", description: "Looks.", input_schema: SCHEMA }] };
const block = (type: string, source: object) => [
  { type: "text", text: type === "image" ? "Look." : "Read." },
  { type, source },
];

const anthropicClient: Client = {
  wireName: "anthropic-messages",
  clientWire: anthropicMessages,
  base: { max_tokens: 99, ...said("Hi") },
  requests: {
    "system prompt": { system: "Be brief." },
    "several turns": said("Hi", { role: "assistant", content: "Hello" }, { role: "user", content: "More" }),
    "image by URL": said(block("image", { type: "url", url: IMAGE_URL })),
    "image inline": said(block("image", { type: "base64", media_type: "image/png", data: IMAGE })),
    "document inline": said(block("document", { type: "base64", media_type: "application/pdf", data: PDF })),
    "tool definitions": claudeTools,
    "tool choice: some tool": { ...claudeTools, tool_choice: { type: "any" } },
    "tool choice: one tool": { ...claudeTools, tool_choice: { type: "tool", name: "look" } },
    "tool choice: none": { ...claudeTools, tool_choice: { type: "none" } },
    "one call at a time": { ...claudeTools, tool_choice: { type: "auto", disable_parallel_tool_use: true } },
    "parallel calls and their results": {
      ...claudeTools,
      ...said(
        "Hi",
        {
          role: "assistant",
          content: [
            { type: "tool_use", id: "call_1", name: "look", input: { city: "Bern" } },
            { type: "tool_use", id: "call_2", name: "look", input: { city: "Chur" } },
          ],
        },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: "call_1", content: "sun" },
            { type: "tool_result", tool_use_id: "call_2", content: "rain" },
          ],
        },
      ),
    },
    "JSON by a schema": { output_config: { format: { type: "json_schema", schema: SCHEMA } } },
    "JSON without a schema": undefined,
    "reasoning effort": {
      max_tokens: 32_000,
      output_config: { effort: "high" },
      thinking: { type: "adaptive" },
    },
    "no reasoning": { thinking: { type: "disabled" } },
    "limit of tokens": { max_tokens: 9 },
    "temperature and top_p": { temperature: 0.5, top_p: 0.9 },
    top_k: { top_k: 3 },
    "stop sequences": { stop_sequences: ["END"] },
    seed: undefined,
    penalties: undefined,
    "log probabilities": undefined,
    "two choices": undefined,
    "prompt-cache mark": {
      system: [{ type: "text", text: "Be brief.", cache_control: { type: "ephemeral" } }],
    },
    "end user": { metadata: { user_id: "u-1" } },
  },
};

const geminiTools = {
  tools: [{ functionDeclarations: [{ name: "look", description: "Looks.", parametersJsonSchema: SCHEMA }] }],
};
const mode = (functionCallingConfig: object) => ({ ...geminiTools, toolConfig: { functionCallingConfig } });
const parts = (...list: object[]) => ({ contents: [{ role: "user", parts: list }] });
const config = (generationConfig: object) => ({ generationConfig });
const geminiCall = (id: string, city: string) => ({ functionCall: { id, name: "look", args: { city } } });
const geminiResult = (id: string, output: string) => ({
  functionResponse: { id, name: "look", response: { output } },
});

const geminiClient: Client = {
  wireName: "gemini",
  clientWire: geminiGenerateContent,
  base: parts({ text: "Hi" }),
  requests: {
    "system prompt": { systemInstruction: { parts: [{ text: "Be brief." }] } },
    "several turns": {
      contents: [
        { role: "user", parts: [{ text: "Hi" }] },
        { role: "model", parts: [{ text: "Hello" }] },
        { role: "user", parts: [{ text: "More" }] },
      ],
    },
    "image by URL": parts({ text: "Look." }, { fileData: { fileUri: IMAGE_URL, mimeType: "image/png" } }),
    "image inline": parts({ text: "Look." }, { inlineData: { mimeType: "image/png", data: IMAGE } }),
    "document inline": parts({ text: "Read." }, { inlineData: { mimeType: "application/pdf", data: PDF } }),
    "tool definitions": geminiTools,
    "tool choice: some tool": mode({ mode: "ANY" }),
    "tool choice: one tool": mode({ mode: "ANY", allowedFunctionNames: ["look"] }),
    "tool choice: none": mode({ mode: "NONE" }),
    "one call at a time": undefined,
    "parallel calls and their results": {
      ...geminiTools,
      contents: [
        { role: "user", parts: [{ text: "Hi" }] },
        { role: "model", parts: [geminiCall("call_1", "Bern"), geminiCall("call_2", "Chur")] },
        { role: "user", parts: [geminiResult("call_1", "sun"), geminiResult("call_2", "rain")] },
      ],
    },
    "JSON by a schema": config({ responseMimeType: "application/json", responseJsonSchema: SCHEMA }),
    "JSON without a schema": config({ responseMimeType: "application/json" }),
    "reasoning effort": config({ thinkingConfig: { thinkingLevel: "HIGH" } }),
    "no reasoning": config({ thinkingConfig: { thinkingBudget: 0 } }),
    "limit of tokens": config({ maxOutputTokens: 9 }),
    "temperature and top_p": config({ temperature: 0.5, topP: 0.9 }),
    top_k: config({ topK: 3 }),
    "stop sequences": config({ stopSequences: ["END"] }),
    seed: config({ seed: 7 }),
    penalties: config({ frequencyPenalty: 0.5, presencePenalty: 0.25 }),
    "log probabilities": config({ responseLogprobs: true, logprobs: 2 }),
    "two choices": config({ candidateCount: 2 }),
    "prompt-cache mark": undefined,
    "end user": undefined,
  },
};

export const CLIENTS: readonly Client[] = [openAiChatClient, responsesClient, anthropicClient, geminiClient];

/** What a client reads out of an answer, whatever its wire. */
export interface Facts {
  readonly text: string;
  readonly reasoning: string;
  readonly calls: readonly { readonly name: string; readonly args: unknown }[];
  readonly finishReason: FinishReason | undefined;
  readonly inputTokens: number | undefined;
  readonly outputTokens: number | undefined;
  readonly sources: readonly string[];
  /** The tokens whose probabilities are in it. */
  readonly likely: readonly string[];
}

/** The same facts of an answer in our own words: what the client must get. */
export function factsOf({ choices, usage }: ChatResponse): Facts {
  const [choice] = choices;
  return {
    text: choice?.text ?? "",
    reasoning: choice?.reasoning ?? "",
    calls: (choice?.toolCalls ?? []).map(({ name, argumentsJson }) => ({
      name,
      args: JSON.parse(argumentsJson),
    })),
    finishReason: choice?.finishReason,
    inputTokens: usage?.inputTokens,
    outputTokens: usage?.outputTokens,
    sources: (choice?.citations ?? []).flatMap(({ url }) => url ?? []),
    likely: (choice?.logprobs ?? []).map(({ token }) => token),
  };
}
