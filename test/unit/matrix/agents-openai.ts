// The requests of agents that speak OpenAI's wires: Codex CLI and the Agents SDK (Responses); Cline, OpenCode, Aider and LangGraph
// (chat). The words are our own; the fields are those of: openai/codex 5c159cd9, codex-rs/codex-api/src/common.rs;
// anomalyco/opencode 000f6280, packages/opencode/src/provider/transform.ts; Aider-AI/aider 5dc9490b (2026-05-22), aider/models.py;
// openai/openai-agents-python 7f7a44f8 (2026-08-22), src/agents/models/openai_responses.py; all read 2026-12-01. Cline and LangGraph: their
// public documentation.
import type { AgentTurns } from "./agent-turns.ts";
import { IMAGE } from "./features.ts";

const PNG = `data:image/png;base64,${IMAGE}`;
const SHELL_PARAMETERS = {
  type: "object",
  properties: { command: { type: "array", items: { type: "string" } }, workdir: { type: "string" } },
  required: ["command"],
  additionalProperties: false,
};

const CODEX_TOOLS = [
  {
    type: "function",
    name: "shell",
    description: "Runs a command.",
    strict: false,
    parameters: SHELL_PARAMETERS,
  },
  {
    type: "custom",
    name: "apply_patch",
    description: "Changes files.",
    format: { type: "grammar", syntax: "lark", definition: 'start: "patch"' },
  },
];
const CODEX_BASE = {
  instructions: "You help with code.",
  tools: CODEX_TOOLS,
  tool_choice: "auto",
  parallel_tool_calls: false,
  reasoning: { effort: "medium", summary: "auto" },
  store: false,
  stream: true,
  include: ["reasoning.encrypted_content"],
  prompt_cache_key: "0199c0de-0000-7000-8000-000000000000",
  text: { verbosity: "low" },
  client_metadata: { "x-session": "s-1" },
};
const said = (role: string, text: string) => ({
  type: "message",
  role,
  content: [{ type: role === "assistant" ? "output_text" : "input_text", text }],
});
const CODEX_OPENING = [said("developer", "The sandbox is read-only."), said("user", "Fix the test.")];
const CODEX_LOOP = [
  ...CODEX_OPENING,
  {
    type: "reasoning",
    id: "rs_1",
    summary: [{ type: "summary_text", text: "First the file." }],
    encrypted_content: "gAAAAA",
  },
  said("assistant", "I look."),
  { type: "function_call", call_id: "call_1", name: "shell", arguments: '{"command":["cat","a.ts"]}' },
  { type: "function_call_output", call_id: "call_1", output: "line one of the file" },
  { type: "custom_tool_call", call_id: "call_2", name: "apply_patch", input: "*** Begin Patch" },
  { type: "custom_tool_call_output", call_id: "call_2", output: "Success." },
];

export const CODEX_CLI: AgentTurns = {
  name: "Codex CLI",
  wireName: "openai-responses",
  turns: {
    "first turn": {
      body: { ...CODEX_BASE, input: CODEX_OPENING },
      carries: ["Fix the test.", "You help with code.", "The sandbox is read-only.", "apply_patch"],
    },
    "tool loop": {
      body: { ...CODEX_BASE, input: CODEX_LOOP },
      carries: ["line one of the file", "*** Begin Patch", "Success."],
    },
    compaction: {
      body: { ...CODEX_BASE, tools: [], input: [...CODEX_LOOP, said("user", "Summarise for a handover.")] },
      carries: ["line one of the file", "Summarise for a handover."],
    },
    images: {
      body: {
        ...CODEX_BASE,
        input: [
          {
            type: "message",
            role: "user",
            content: [
              { type: "input_text", text: "What is wrong here?" },
              { type: "input_image", image_url: PNG },
            ],
          },
        ],
      },
      carries: ["What is wrong here?", IMAGE],
    },
    thinking: {
      body: {
        ...CODEX_BASE,
        reasoning: { effort: "high", summary: "detailed" },
        service_tier: "priority",
        input: CODEX_LOOP,
      },
      carries: ["line one of the file"],
    },
    "web search": {
      body: { ...CODEX_BASE, tools: [...CODEX_TOOLS, { type: "web_search" }], input: CODEX_OPENING },
      carries: ["Fix the test."],
      refusedField: "tools[2]",
    },
    "sub-agent": {
      body: {
        ...CODEX_BASE,
        instructions: "You review a change.",
        tools: CODEX_TOOLS.slice(0, 1),
        text: {
          format: {
            type: "json_schema",
            name: "codex_output_schema",
            strict: true,
            schema: {
              type: "object",
              properties: { findings: { type: "array", items: { type: "string" } } },
              required: ["findings"],
              additionalProperties: false,
            },
          },
        },
        input: [said("user", "Review the last commit.")],
      },
      carries: ["You review a change.", "Review the last commit.", "findings"],
    },
  },
};

const lookUp = (isStrict: boolean) => ({
  type: "function",
  name: "look_up",
  description: "Looks a word up.",
  strict: isStrict,
  parameters: {
    type: "object",
    properties: { word: { type: "string" } },
    required: ["word"],
    additionalProperties: false,
  },
});
const HANDOFF = {
  type: "function",
  name: "transfer_to_expert",
  description: "Hands over.",
  strict: true,
  parameters: { type: "object", properties: {}, required: [], additionalProperties: false },
};
const SDK_BASE = { instructions: "Answer briefly.", include: [], tools: [lookUp(true)], stream: false };
const SDK_LOOP = [
  { role: "user", content: "What does the word mean?" },
  {
    type: "function_call",
    id: "fc_1",
    call_id: "call_1",
    name: "look_up",
    arguments: '{"word":"ledger"}',
    status: "completed",
  },
  { type: "function_call_output", call_id: "call_1", output: "a book of accounts" },
];

export const AGENTS_SDK: AgentTurns = {
  name: "OpenAI Agents SDK",
  wireName: "openai-responses",
  turns: {
    "first turn": {
      body: { ...SDK_BASE, input: "What does the word mean?" },
      carries: ["What does the word mean?", "Answer briefly.", "look_up"],
    },
    "tool loop": { body: { ...SDK_BASE, input: SDK_LOOP }, carries: ["a book of accounts", "ledger"] },
    images: {
      body: {
        ...SDK_BASE,
        input: [
          {
            role: "user",
            content: [
              { type: "input_text", text: "What is this?" },
              { type: "input_image", detail: "auto", image_url: PNG },
            ],
          },
        ],
      },
      carries: ["What is this?", IMAGE],
    },
    thinking: {
      body: { ...SDK_BASE, reasoning: { effort: "low" }, input: SDK_LOOP },
      carries: ["a book of accounts"],
    },
    "web search": {
      body: { ...SDK_BASE, tools: [{ type: "web_search" }], input: "Search for it." },
      carries: ["Search for it."],
      refusedField: "tools[0]",
    },
    "sub-agent": {
      body: { ...SDK_BASE, tools: [lookUp(true), HANDOFF], input: SDK_LOOP },
      carries: ["transfer_to_expert", "a book of accounts"],
    },
  },
};

const chatTool = (name: string, parameters: object) => ({
  type: "function",
  function: { name, description: "Does it.", parameters },
});
const CHAT_TOOLS = [
  chatTool("read_file", {
    type: "object",
    properties: { path: { type: "string" } },
    required: ["path"],
    additionalProperties: false,
  }),
];
const call = (id: string, name: string, input: string) => ({
  id,
  type: "function",
  function: { name, arguments: input },
});
const picture = {
  role: "user",
  content: [
    { type: "text", text: "What is wrong here?" },
    { type: "image_url", image_url: { url: PNG } },
  ],
};

/** A conversation with a call and its result; `reasoning` as OpenCode gives it back. */
const chatLoop = (system: string, more: object = {}) => [
  { role: "system", content: system },
  { role: "user", content: [{ type: "text", text: "Fix the test." }] },
  { role: "assistant", content: "", tool_calls: [call("call_1", "read_file", '{"path":"a.ts"}')], ...more },
  { role: "tool", tool_call_id: "call_1", content: "line one of the file" },
];

function chatTurns(base: object, tools: object, loop: readonly object[]): AgentTurns["turns"] {
  return {
    "first turn": {
      body: { ...base, ...tools, messages: loop.slice(0, 2) },
      carries: ["Fix the test.", "You help with code."],
    },
    "tool loop": {
      body: { ...base, ...tools, messages: loop },
      carries: ["line one of the file", "a.ts"],
    },
    compaction: {
      body: { ...base, messages: [...loop, { role: "user", content: "Summarise what was done so far." }] },
      carries: ["line one of the file", "Summarise what was done so far."],
    },
    images: {
      body: { ...base, ...tools, messages: [...loop.slice(0, 1), picture] },
      carries: ["What is wrong here?", IMAGE],
    },
    thinking: {
      body: { ...base, ...tools, reasoning_effort: "medium", messages: loop },
      carries: ["line one of the file"],
    },
  };
}

const CLINE_BASE = { stream: true, stream_options: { include_usage: true }, temperature: 0 };
export const CLINE: AgentTurns = {
  name: "Cline",
  wireName: "openai-chat",
  turns: {
    ...chatTurns(CLINE_BASE, { tools: CHAT_TOOLS, tool_choice: "auto" }, chatLoop("You help with code.")),
    "sub-agent": {
      // Without tools of the API: calls are written as text.
      body: {
        ...CLINE_BASE,
        messages: [
          { role: "system", content: "Write calls as <read_file>…</read_file>." },
          { role: "user", content: [{ type: "text", text: "Plan the change." }] },
          { role: "assistant", content: "<read_file><path>a.ts</path></read_file>" },
          { role: "user", content: [{ type: "text", text: "[read_file] Result: line one of the file" }] },
        ],
      },
      carries: ["Plan the change.", "line one of the file"],
    },
  },
};

const OPENCODE_BASE = {
  stream: true,
  stream_options: { include_usage: true },
  max_tokens: 32_000,
  prompt_cache_key: "ses_1",
};
/** On the first system messages and the last two others, for Claude behind a compatible address. */
const MARKED = { cache_control: { type: "ephemeral" } };
const OPENCODE_LOOP = chatLoop("You help with code.", { reasoning_content: "First the file." }).map(
  (message, at) =>
    at === 0
      ? { ...message, ...MARKED }
      : at === 1
        ? { role: "user", content: [{ type: "text", text: "Fix the test.", ...MARKED }] }
        : message,
);
export const OPENCODE: AgentTurns = {
  name: "OpenCode",
  wireName: "openai-chat",
  turns: {
    ...chatTurns(OPENCODE_BASE, { tools: CHAT_TOOLS, tool_choice: "auto" }, OPENCODE_LOOP),
    "sub-agent": {
      body: {
        ...OPENCODE_BASE,
        messages: [
          { role: "system", content: "You give a title." },
          { role: "user", content: "Name this conversation." },
        ],
      },
      carries: ["You give a title.", "Name this conversation."],
    },
  },
};

const AIDER_TALK = [
  { role: "system", content: "You help with code." },
  { role: "user", content: "Fix the test." },
  { role: "assistant", content: "Ok." },
  { role: "user", content: "a.ts\n```\nline one of the file\n```" },
];
const { "tool loop": _, ...AIDER_TURNS } = chatTurns({ stream: true, temperature: 0 }, {}, AIDER_TALK);
export const AIDER: AgentTurns = {
  name: "Aider",
  wireName: "openai-chat",
  turns: {
    ...AIDER_TURNS,
    "sub-agent": {
      // The weaker model that writes a commit's message.
      body: {
        stream: false,
        temperature: 0,
        messages: [
          { role: "system", content: "You write the message of a commit." },
          { role: "user", content: "diff of a.ts" },
        ],
      },
      carries: ["You write the message of a commit.", "diff of a.ts"],
    },
  },
};

const LANGGRAPH_BASE = { stream: true, stream_options: { include_usage: true } };
export const LANGGRAPH: AgentTurns = {
  name: "LangGraph",
  wireName: "openai-chat",
  turns: {
    ...chatTurns(
      LANGGRAPH_BASE,
      { tools: CHAT_TOOLS, parallel_tool_calls: false },
      chatLoop("You help with code.", { name: "coder" }),
    ),
    "sub-agent": {
      // A supervisor that chooses the next agent.
      body: {
        ...LANGGRAPH_BASE,
        messages: [
          { role: "system", content: "You choose who works next." },
          { role: "user", content: "Fix the test.", name: "supervisor" },
        ],
        response_format: {
          type: "json_schema",
          json_schema: {
            name: "Router",
            strict: true,
            schema: {
              type: "object",
              properties: { next: { type: "string", enum: ["coder", "FINISH"] } },
              required: ["next"],
              additionalProperties: false,
            },
          },
        },
      },
      carries: ["You choose who works next.", "Fix the test.", "next"],
    },
  },
};
