// Coding agents and agent frameworks by name: what each sends in the turns that matter, and what of it an upstream must be sent.
import { CLAUDE_CODE, GEMINI_CLI } from "./agents-anthropic-gemini.ts";
import { AGENTS_SDK, AIDER, CLINE, CODEX_CLI, LANGGRAPH, OPENCODE } from "./agents-openai.ts";
import type { AgentTurn, AgentTurns } from "./agent-turns.ts";
import { openBody, type Outcome, outcomeOf } from "./cell.ts";
import { CLIENTS } from "./clients.ts";
import type { Upstream } from "./upstreams.ts";

export const AGENTS: readonly AgentTurns[] = [
  CLAUDE_CODE,
  CODEX_CLI,
  GEMINI_CLI,
  CLINE,
  OPENCODE,
  AIDER,
  AGENTS_SDK,
  LANGGRAPH,
];

/** What the upstream is sent for an agent's turn, or why it is sent nothing; no header asks for leniency. */
export function runAgentTurn(agent: AgentTurns, turn: AgentTurn, upstream: Upstream): Outcome {
  const client = CLIENTS.find(({ wireName }) => wireName === agent.wireName);
  if (client === undefined) throw new Error(`no client speaks ${agent.wireName}`);
  return outcomeOf(() => openBody(client, upstream, turn.body));
}
