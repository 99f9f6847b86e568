// What each upstream's wire must receive for a feature, in the vendor's own words, and which of its recorded answers come back.
// "dropped": the wire has no counterpart, so that the client gets a 400 that names its field. "left out": nor has it, but the field is
// a hint, so that the request goes on without it.
import { providerOf } from "../../../src/providers/registry.ts";
import type { Provider } from "../../../src/providers/provider.ts";
import { type Feature, IMAGE, IMAGE_URL, PDF, SCHEMA } from "./features.ts";

export interface Upstream {
  /** Whom the column of the table stands for. */
  readonly name: string;
  readonly provider: Provider;
  readonly model: string;
  readonly options?: Readonly<Record<string, string>>;
  /** Fields of a forwarded body that get another name. */
  readonly renamed?: Readonly<Partial<Record<Feature, object>>>;
  readonly expected: Expected;
  /** Folder of its recorded answers, and those there are. */
  readonly fixtures: {
    readonly folder: string;
    readonly answers: readonly string[];
    /** Of its streams; `sse` where absent. */
    readonly extension?: "bin";
  };
}

type Expected = Readonly<Record<Feature, object | "dropped" | "left out">>;

const PNG = `data:image/png;base64,${IMAGE}`;
const PDF_URL = `data:application/pdf;base64,${PDF}`;
const user = (content: unknown) => ({ messages: [{ role: "user", content }] });
const chatTool = { type: "function", function: { name: "look", description: "Looks.", parameters: SCHEMA } };

const OPENAI_CHAT: Expected = {
  "system prompt": {
    messages: [
      { role: "system", content: "Be brief." },
      { role: "user", content: "Hi" },
    ],
  },
  "several turns": {
    messages: [
      { role: "user", content: "Hi" },
      { role: "assistant", content: "Hello" },
      { role: "user", content: "More" },
    ],
  },
  "image by URL": user([
    { type: "text", text: "Look." },
    { type: "image_url", image_url: { url: IMAGE_URL } },
  ]),
  "image inline": user([
    { type: "text", text: "Look." },
    { type: "image_url", image_url: { url: PNG } },
  ]),
  "document inline": user([
    { type: "text", text: "Read." },
    { type: "file", file: { file_data: PDF_URL } },
  ]),
  "tool definitions": { tools: [chatTool] },
  "tool choice: some tool": { tools: [chatTool], tool_choice: "required" },
  "tool choice: one tool": {
    tools: [chatTool],
    tool_choice: { type: "function", function: { name: "look" } },
  },
  "tool choice: none": { tools: [chatTool], tool_choice: "none" },
  "one call at a time": { tools: [chatTool], parallel_tool_calls: false },
  "parallel calls and their results": {
    messages: [
      { role: "user" },
      {
        role: "assistant",
        tool_calls: [
          { id: "call_1", type: "function", function: { name: "look", arguments: '{"city":"Bern"}' } },
          { id: "call_2", type: "function", function: { name: "look", arguments: '{"city":"Chur"}' } },
        ],
      },
      { role: "tool", tool_call_id: "call_1", content: "sun" },
      { role: "tool", tool_call_id: "call_2", content: "rain" },
    ],
  },
  "JSON by a schema": { response_format: { type: "json_schema", json_schema: { schema: SCHEMA } } },
  "JSON without a schema": { response_format: { type: "json_object" } },
  "reasoning effort": { reasoning_effort: "high" },
  "no reasoning": {},
  "limit of tokens": { max_tokens: 9 },
  "temperature and top_p": { temperature: 0.5, top_p: 0.9 },
  top_k: { top_k: 3 },
  "stop sequences": { stop: ["END"] },
  seed: { seed: 7 },
  penalties: { frequency_penalty: 0.5, presence_penalty: 0.25 },
  "log probabilities": { logprobs: true, top_logprobs: 2 },
  "two choices": { n: 2 },
  "prompt-cache mark": { messages: [{ role: "system", content: "Be brief." }, { role: "user" }] },
  "end user": { user: "u-1" },
};

/** The same inside a frame, with the schema bare. */
const BOUND: Expected = {
  ...inInputs(OPENAI_CHAT),
  "JSON by a schema": { inputs: { response_format: { type: "json_schema", json_schema: SCHEMA } } },
};

function inInputs(expected: Expected): Expected {
  const entries = Object.entries(expected).map(([feature, inputs]) => [feature, { inputs }]);
  // The same features as it was given.
  return Object.fromEntries(entries) as Expected;
}

const claudeTool = { name: "look", description: "Looks.", input_schema: SCHEMA };
const blocks = (...content: object[]) => ({ messages: [{ role: "user", content }] });

const ANTHROPIC: Expected = {
  "system prompt": { system: "Be brief." },
  "several turns": {
    messages: [{ role: "user" }, { role: "assistant", content: "Hello" }, { role: "user" }],
  },
  "image by URL": blocks({ text: "Look." }, { type: "image", source: { type: "url", url: IMAGE_URL } }),
  "image inline": blocks(
    { text: "Look." },
    { type: "image", source: { type: "base64", media_type: "image/png", data: IMAGE } },
  ),
  "document inline": blocks(
    { text: "Read." },
    { type: "document", source: { type: "base64", media_type: "application/pdf", data: PDF } },
  ),
  "tool definitions": { tools: [claudeTool] },
  "tool choice: some tool": { tools: [claudeTool], tool_choice: { type: "any" } },
  "tool choice: one tool": { tools: [claudeTool], tool_choice: { type: "tool", name: "look" } },
  "tool choice: none": { tools: [claudeTool], tool_choice: { type: "none" } },
  "one call at a time": {
    tools: [claudeTool],
    tool_choice: { type: "auto", disable_parallel_tool_use: true },
  },
  "parallel calls and their results": {
    messages: [
      { role: "user" },
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
          { type: "tool_result", tool_use_id: "call_1" },
          { type: "tool_result", tool_use_id: "call_2" },
        ],
      },
    ],
  },
  "JSON by a schema": { output_config: { format: { type: "json_schema", schema: SCHEMA } } },
  "JSON without a schema": "dropped",
  "reasoning effort": { thinking: { type: "enabled" } },
  "no reasoning": {},
  "limit of tokens": { max_tokens: 9 },
  // Claude takes one of the two: the other is left out and listed.
  "temperature and top_p": { temperature: 0.5 },
  top_k: { top_k: 3 },
  "stop sequences": { stop_sequences: ["END"] },
  seed: "dropped",
  penalties: "dropped",
  "log probabilities": "dropped",
  "two choices": "dropped",
  "prompt-cache mark": {
    system: [{ type: "text", text: "Be brief.", cache_control: { type: "ephemeral" } }],
  },
  "end user": { metadata: { user_id: "u-1" } },
};

const declaration = { name: "look", description: "Looks.", parametersJsonSchema: SCHEMA };
const geminiTools = { tools: [{ functionDeclarations: [declaration] }] };
const mode = (functionCallingConfig: object) => ({ ...geminiTools, toolConfig: { functionCallingConfig } });
const parts = (...list: object[]) => ({ contents: [{ role: "user", parts: list }] });
const config = (generationConfig: object) => ({ generationConfig });

const GEMINI: Expected = {
  "system prompt": { systemInstruction: { parts: [{ text: "Be brief." }] } },
  "several turns": {
    contents: [
      { role: "user", parts: [{ text: "Hi" }] },
      { role: "model", parts: [{ text: "Hello" }] },
      { role: "user", parts: [{ text: "More" }] },
    ],
  },
  "image by URL": parts({ text: "Look." }, { fileData: { mimeType: "image/png", fileUri: IMAGE_URL } }),
  "image inline": parts({ text: "Look." }, { inlineData: { mimeType: "image/png", data: IMAGE } }),
  "document inline": parts({ text: "Read." }, { inlineData: { mimeType: "application/pdf", data: PDF } }),
  "tool definitions": geminiTools,
  "tool choice: some tool": mode({ mode: "ANY" }),
  "tool choice: one tool": mode({ mode: "ANY", allowedFunctionNames: ["look"] }),
  "tool choice: none": mode({ mode: "NONE" }),
  "one call at a time": "left out",
  "parallel calls and their results": {
    contents: [
      { role: "user" },
      {
        role: "model",
        parts: [
          { functionCall: { id: "call_1", name: "look", args: { city: "Bern" } } },
          { functionCall: { id: "call_2", name: "look", args: { city: "Chur" } } },
        ],
      },
      {
        role: "user",
        parts: [
          { functionResponse: { id: "call_1", name: "look", response: { output: "sun" } } },
          { functionResponse: { id: "call_2", name: "look", response: { output: "rain" } } },
        ],
      },
    ],
  },
  "JSON by a schema": config({ responseMimeType: "application/json", responseJsonSchema: SCHEMA }),
  "JSON without a schema": config({ responseMimeType: "application/json" }),
  "reasoning effort": config({ thinkingConfig: { thinkingBudget: 24_576 } }),
  "no reasoning": config({ thinkingConfig: { thinkingBudget: 0 } }),
  "limit of tokens": config({ maxOutputTokens: 9 }),
  "temperature and top_p": config({ temperature: 0.5, topP: 0.9 }),
  top_k: config({ topK: 3 }),
  "stop sequences": config({ stopSequences: ["END"] }),
  seed: config({ seed: 7 }),
  penalties: config({ frequencyPenalty: 0.5, presencePenalty: 0.25 }),
  "log probabilities": config({ responseLogprobs: true, logprobs: 2 }),
  "two choices": config({ candidateCount: 2 }),
  // Gemini caches unasked.
  "prompt-cache mark": { systemInstruction: { parts: [{ text: "Be brief." }] } },
  "end user": {},
};

const toolSpec = { name: "look", description: "Looks.", inputSchema: { json: SCHEMA } };
const converseTools = { tools: [{ toolSpec }] };

/** As Claude on Bedrock takes it. */
const CONVERSE: Expected = {
  "system prompt": { system: [{ text: "Be brief." }] },
  "several turns": {
    messages: [{ role: "user" }, { role: "assistant", content: [{ text: "Hello" }] }, { role: "user" }],
  },
  "image by URL": "dropped",
  "image inline": blocks({ text: "Look." }, { image: { format: "png", source: { bytes: IMAGE } } }),
  "document inline": blocks({ text: "Read." }, { document: { format: "pdf", source: { bytes: PDF } } }),
  "tool definitions": { toolConfig: converseTools },
  "tool choice: some tool": { toolConfig: { ...converseTools, toolChoice: { any: {} } } },
  "tool choice: one tool": { toolConfig: { ...converseTools, toolChoice: { tool: { name: "look" } } } },
  // Without a word for it, the tools stay out.
  "tool choice: none": { messages: [{ role: "user" }] },
  "one call at a time": "left out",
  "parallel calls and their results": {
    messages: [
      { role: "user" },
      {
        role: "assistant",
        content: [
          { toolUse: { toolUseId: "call_1", name: "look", input: { city: "Bern" } } },
          { toolUse: { toolUseId: "call_2", name: "look", input: { city: "Chur" } } },
        ],
      },
      {
        role: "user",
        content: [
          { toolResult: { toolUseId: "call_1", content: [{ text: "sun" }] } },
          { toolResult: { toolUseId: "call_2", content: [{ text: "rain" }] } },
        ],
      },
    ],
  },
  "JSON by a schema": {
    outputConfig: {
      textFormat: { type: "json_schema", structure: { jsonSchema: { schema: JSON.stringify(SCHEMA) } } },
    },
  },
  "JSON without a schema": "dropped",
  "reasoning effort": { additionalModelRequestFields: { thinking: { type: "enabled" } } },
  "no reasoning": {},
  "limit of tokens": { inferenceConfig: { maxTokens: 9 } },
  "temperature and top_p": { inferenceConfig: { temperature: 0.5 } },
  top_k: { additionalModelRequestFields: { top_k: 3 } },
  "stop sequences": { inferenceConfig: { stopSequences: ["END"] } },
  seed: "dropped",
  penalties: "dropped",
  "log probabilities": "dropped",
  "two choices": "dropped",
  "prompt-cache mark": { system: [{ text: "Be brief." }, { cachePoint: { type: "default" } }] },
  // A hint: left out and listed.
  "end user": {},
};

const cohereTools = { tools: [chatTool] };

/** Cohere's wire has much of OpenAI's form, and words of its own. */
const COHERE: Expected = {
  "system prompt": OPENAI_CHAT["system prompt"],
  "several turns": {
    messages: [
      { role: "user" },
      { role: "assistant", content: [{ type: "text", text: "Hello" }] },
      { role: "user" },
    ],
  },
  "image by URL": OPENAI_CHAT["image by URL"],
  "image inline": OPENAI_CHAT["image inline"],
  "document inline": "dropped",
  "tool definitions": cohereTools,
  "tool choice: some tool": { ...cohereTools, tool_choice: "REQUIRED" },
  // The one tool is the only one that is offered.
  "tool choice: one tool": { ...cohereTools, tool_choice: "REQUIRED" },
  "tool choice: none": { ...cohereTools, tool_choice: "NONE" },
  "one call at a time": "left out",
  "parallel calls and their results": OPENAI_CHAT["parallel calls and their results"],
  "JSON by a schema": { response_format: { type: "json_object", json_schema: SCHEMA } },
  "JSON without a schema": { response_format: { type: "json_object" } },
  "reasoning effort": { thinking: { type: "enabled", token_budget: 24_576 } },
  "no reasoning": { thinking: { type: "disabled" } },
  "limit of tokens": { max_tokens: 9 },
  "temperature and top_p": { temperature: 0.5, p: 0.9 },
  top_k: { k: 3 },
  "stop sequences": { stop_sequences: ["END"] },
  seed: { seed: 7 },
  penalties: { frequency_penalty: 0.5, presence_penalty: 0.25 },
  // Of the chosen tokens alone: alternatives were asked for.
  "log probabilities": "dropped",
  "two choices": "dropped",
  "prompt-cache mark": OPENAI_CHAT["prompt-cache mark"],
  "end user": {},
};

const OPENAI_ANSWERS = { folder: "openai", answers: ["text", "tools"] };
const CLAUDE_ANSWERS = { folder: "anthropic", answers: ["text", "tools", "thinking", "citations"] };
const GEMINI_ANSWERS = { folder: "gemini", answers: ["text", "tools", "thinking", "grounded"] };
const GPT = "gpt-4o-mini";
const CLAUDE = "claude-sonnet-4-5";
const FLASH = "gemini-2.5-flash";

export const UPSTREAMS: readonly Upstream[] = [
  {
    name: "openai-compatible",
    provider: providerOf("openai-compatible"),
    model: "m",
    expected: OPENAI_CHAT,
    fixtures: OPENAI_ANSWERS,
  },
  {
    name: "openai",
    provider: providerOf("openai"),
    model: GPT,
    expected: { ...OPENAI_CHAT, top_k: "left out", "limit of tokens": { max_completion_tokens: 9 } },
    fixtures: OPENAI_ANSWERS,
  },
  {
    name: "azure-openai",
    provider: providerOf("azure-openai"),
    model: GPT,
    expected: { ...OPENAI_CHAT, top_k: "left out", "limit of tokens": { max_completion_tokens: 9 } },
    fixtures: OPENAI_ANSWERS,
  },
  {
    name: "workers-ai",
    provider: providerOf("workers-ai"),
    model: "@cf/meta/llama-3.3-70b",
    options: { accountId: "a" },
    renamed: { "limit of tokens": { max_tokens: 9 } },
    expected: { ...OPENAI_CHAT, top_k: "left out" },
    fixtures: OPENAI_ANSWERS,
  },
  {
    name: "workers-ai, bound",
    provider: providerOf("workers-ai"),
    model: "@cf/meta/llama-3.3-70b",
    expected: BOUND,
    fixtures: { folder: "workers-ai", answers: ["text", "tools"] },
  },
  {
    name: "sim",
    provider: providerOf("sim"),
    model: "echo",
    expected: { ...OPENAI_CHAT, top_k: "left out" },
    fixtures: OPENAI_ANSWERS,
  },
  {
    name: "anthropic",
    provider: providerOf("anthropic"),
    model: CLAUDE,
    expected: ANTHROPIC,
    fixtures: CLAUDE_ANSWERS,
  },
  {
    name: "vertex, Claude",
    provider: providerOf("vertex"),
    model: CLAUDE,
    options: { project: "p" },
    expected: ANTHROPIC,
    fixtures: CLAUDE_ANSWERS,
  },
  {
    name: "bedrock, Claude",
    provider: providerOf("bedrock"),
    model: "anthropic.claude-sonnet-4-5-20250929-v1:0",
    expected: CONVERSE,
    fixtures: { folder: "bedrock", answers: ["text", "tools", "thinking", "citations"], extension: "bin" },
  },
  {
    name: "gemini",
    provider: providerOf("gemini"),
    model: FLASH,
    expected: GEMINI,
    fixtures: GEMINI_ANSWERS,
  },
  {
    name: "vertex, Gemini",
    provider: providerOf("vertex"),
    model: FLASH,
    options: { project: "p" },
    expected: GEMINI,
    fixtures: GEMINI_ANSWERS,
  },
  {
    name: "cohere",
    provider: providerOf("cohere"),
    model: "command-a-03-2025",
    expected: COHERE,
    fixtures: { folder: "cohere", answers: ["text", "tools", "thinking", "citations", "logprobs"] },
  },
];
