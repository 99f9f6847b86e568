// The requests of Claude Code (Messages) and Gemini CLI; the words are our own. Gemini CLI: google-gemini/gemini-cli 5411f113
// (2026-08-21), packages/core/src/config/defaultModelConfigs.ts, core/baseLlmClient.ts and core/geminiChat.ts. Claude Code's source is
// not public: its fields are those of its public documentation and of version 2.1.197 as it ran against the gateway (2026-11-30).
import type { AgentTurns } from "./agent-turns.ts";
import { IMAGE } from "./features.ts";

const SCHEMA = "http://json-schema.org/draft-07/schema#";
const CACHED = { cache_control: { type: "ephemeral" } };

const CLAUDE_TOOLS = [
  {
    name: "Read",
    description: "Reads a file.",
    input_schema: {
      $schema: SCHEMA,
      type: "object",
      properties: {
        file_path: { type: "string", description: "An absolute path." },
        offset: { type: "integer", exclusiveMinimum: 0, maximum: 9007199254740991 },
      },
      required: ["file_path"],
      additionalProperties: false,
    },
  },
  {
    name: "Bash",
    description: "Runs a command.",
    input_schema: {
      $schema: SCHEMA,
      type: "object",
      properties: { command: { type: "string" }, timeout: { type: "number" } },
      required: ["command"],
      additionalProperties: false,
    },
  },
];

const CLAUDE_BASE = {
  max_tokens: 32_000,
  stream: true,
  temperature: 1,
  metadata: { user_id: JSON.stringify({ device_id: "d".repeat(64), session_id: "s-1" }) },
  system: [
    { type: "text", text: "A line about the client.", ...CACHED },
    { type: "text", text: "You help with code.", cache_control: { type: "ephemeral", ttl: "1h" } },
  ],
  context_management: { edits: [{ type: "clear_thinking_20251015", keep: "all" }] },
};

const claudeUser = (...texts: readonly string[]) => ({
  role: "user",
  content: texts.map((text, at) => ({ type: "text", text, ...(at === texts.length - 1 && CACHED) })),
});

const claudeCall = (id: string, name: string, input: object) => ({ type: "tool_use", id, name, input });
const THOUGHT = { type: "thinking", thinking: "First the file.", signature: "EpMCCkYICRgCKkBzaWc=" };

const CLAUDE_LOOP = [
  claudeUser("<system-reminder>Today is Monday.</system-reminder>", "Fix the test."),
  {
    role: "assistant",
    content: [
      THOUGHT,
      { type: "text", text: "I look." },
      claudeCall("toolu_01A", "Read", { file_path: "/a.ts" }),
      claudeCall("toolu_01B", "Bash", { command: "npm test" }),
    ],
  },
  {
    role: "user",
    content: [
      {
        type: "tool_result",
        tool_use_id: "toolu_01A",
        content: [{ type: "text", text: "line one of the file" }],
      },
      { type: "tool_result", tool_use_id: "toolu_01B", content: "exit code 1", is_error: true, ...CACHED },
    ],
  },
];

export const CLAUDE_CODE: AgentTurns = {
  name: "Claude Code",
  wireName: "anthropic-messages",
  turns: {
    "first turn": {
      body: {
        ...CLAUDE_BASE,
        tools: CLAUDE_TOOLS,
        messages: [
          claudeUser("<system-reminder>Today is Monday.</system-reminder>", "Fix the failing test."),
        ],
      },
      carries: ["Fix the failing test.", "You help with code.", "Bash", "Read"],
    },
    "tool loop": {
      body: { ...CLAUDE_BASE, tools: CLAUDE_TOOLS, messages: CLAUDE_LOOP },
      carries: ["line one of the file", "exit code 1", "npm test", "/a.ts"],
    },
    compaction: {
      // The history with its calls, but no tools.
      body: {
        ...CLAUDE_BASE,
        messages: [...CLAUDE_LOOP, claudeUser("Summarise what was done so far.")],
      },
      carries: ["line one of the file", "Summarise what was done so far."],
    },
    images: {
      body: {
        ...CLAUDE_BASE,
        tools: CLAUDE_TOOLS,
        messages: [
          {
            role: "user",
            content: [
              { type: "text", text: "What is wrong here?" },
              { type: "image", source: { type: "base64", media_type: "image/png", data: IMAGE } },
            ],
          },
        ],
      },
      carries: ["What is wrong here?", IMAGE],
    },
    thinking: {
      body: {
        ...CLAUDE_BASE,
        thinking: { type: "enabled", budget_tokens: 10_000 },
        tools: CLAUDE_TOOLS,
        messages: CLAUDE_LOOP,
      },
      carries: ["line one of the file", "npm test"],
    },
    "web search": {
      body: {
        ...CLAUDE_BASE,
        tools: [{ type: "web_search_20250305", name: "web_search", max_uses: 8 }],
        messages: [claudeUser("Search for the newest version.")],
      },
      carries: ["Search for the newest version."],
      refusedField: "tools[0]",
    },
    "sub-agent": {
      body: {
        max_tokens: 512,
        temperature: 0,
        stop_sequences: ["</severity>"],
        metadata: CLAUDE_BASE.metadata,
        system: [{ type: "text", text: "You name a conversation in three words." }],
        messages: [claudeUser("A long request about tests.")],
        stream: true,
      },
      carries: ["You name a conversation in three words.", "A long request about tests."],
    },
  },
};

const GEMINI_BASE = {
  systemInstruction: { role: "user", parts: [{ text: "You help with code." }] },
  generationConfig: {
    temperature: 1,
    topP: 0.95,
    topK: 64,
    thinkingConfig: { includeThoughts: true, thinkingLevel: "HIGH" },
  },
};
/** Of the requests that it makes for itself. */
const GEMINI_OWN = { temperature: 0, topP: 1 };
const GEMINI_TOOLS = [
  {
    functionDeclarations: [
      {
        name: "read_file",
        description: "Reads a file.",
        parametersJsonSchema: {
          type: "object",
          properties: { absolute_path: { type: "string" } },
          required: ["absolute_path"],
        },
      },
      {
        name: "run_shell_command",
        description: "Runs a command.",
        parametersJsonSchema: { type: "object", properties: { command: { type: "string" } } },
      },
    ],
  },
];
const geminiUser = (text: string) => ({ role: "user", parts: [{ text }] });

const GEMINI_LOOP = [
  geminiUser("This is the context of the session."),
  { role: "model", parts: [{ text: "Understood." }] },
  geminiUser("Fix the test."),
  {
    role: "model",
    parts: [
      {
        functionCall: { id: "read_file-1", name: "read_file", args: { absolute_path: "/a.ts" } },
        thoughtSignature: "c2lnbmF0dXJl",
      },
      { functionCall: { id: "run-2", name: "run_shell_command", args: { command: "npm test" } } },
    ],
  },
  {
    role: "user",
    parts: [
      {
        functionResponse: {
          id: "read_file-1",
          name: "read_file",
          response: { output: "line one of the file" },
        },
      },
      { functionResponse: { id: "run-2", name: "run_shell_command", response: { error: "exit code 1" } } },
    ],
  },
];

export const GEMINI_CLI: AgentTurns = {
  name: "Gemini CLI",
  wireName: "gemini",
  turns: {
    "first turn": {
      body: {
        ...GEMINI_BASE,
        tools: GEMINI_TOOLS,
        contents: [geminiUser("Fix the failing test.")],
      },
      carries: ["Fix the failing test.", "You help with code.", "read_file"],
    },
    "tool loop": {
      body: { ...GEMINI_BASE, tools: GEMINI_TOOLS, contents: GEMINI_LOOP },
      carries: ["line one of the file", "exit code 1", "npm test"],
    },
    compaction: {
      body: { ...GEMINI_BASE, contents: [...GEMINI_LOOP, geminiUser("Write a snapshot of the state.")] },
      carries: ["line one of the file", "Write a snapshot of the state."],
    },
    images: {
      body: {
        ...GEMINI_BASE,
        contents: [
          {
            role: "user",
            parts: [{ text: "What is wrong here?" }, { inlineData: { mimeType: "image/png", data: IMAGE } }],
          },
        ],
      },
      carries: ["What is wrong here?", IMAGE],
    },
    thinking: {
      body: {
        ...GEMINI_BASE,
        // Models of 2.5 take a budget in place of a level.
        generationConfig: {
          ...GEMINI_BASE.generationConfig,
          thinkingConfig: { includeThoughts: true, thinkingBudget: 8192 },
        },
        tools: GEMINI_TOOLS,
        contents: GEMINI_LOOP,
      },
      carries: ["line one of the file"],
    },
    "web search": {
      body: {
        contents: [geminiUser("Search for the newest version.")],
        generationConfig: GEMINI_OWN,
        tools: [{ googleSearch: {} }],
      },
      carries: ["Search for the newest version."],
      refusedField: "tools[0].googleSearch",
    },
    "sub-agent": {
      // The check of who speaks next.
      body: {
        contents: [geminiUser("Who speaks next?")],
        generationConfig: {
          ...GEMINI_OWN,
          responseMimeType: "application/json",
          responseJsonSchema: {
            type: "object",
            properties: { next_speaker: { type: "string", enum: ["user", "model"] } },
            required: ["next_speaker"],
          },
        },
      },
      carries: ["Who speaks next?", "next_speaker"],
    },
  },
};
