// The matrix as Markdown for src/providers/README.md: a table for each client wire, and one of the rows. Pure but for the fixtures
// it reads. Rendered for `npm run matrix` and for the test that keeps the README current.
import type { OpenAiCompatibleRow } from "../../../src/providers/openai-compatible.ts";
import { OPENAI_COMPATIBLE_ROWS } from "../../../src/providers/openai-rows.ts";
import { TURNS } from "./agent-turns.ts";
import { AGENTS, runAgentTurn } from "./agents.ts";
import { type Outcome, runRequest } from "./cell.ts";
import { CLIENTS, type Client } from "./clients.ts";
import { FEATURES, type Feature } from "./features.ts";
import { UPSTREAMS, type Upstream } from "./upstreams.ts";

const BEGIN = "<!-- matrix: generated, `npm run matrix` -->";
const END = "<!-- /matrix -->";

/** The README with the tables in their place. */
export function withMatrix(readme: string, matrix: string): string {
  const from = readme.indexOf(BEGIN);
  const to = readme.indexOf(END);
  if (from < 0 || to < from) throw new Error("README.md has no place for the matrix");
  return `${readme.slice(0, from + BEGIN.length)}\n\n${matrix}\n${readme.slice(to)}`;
}

export function renderMatrix(): string {
  const tables = CLIENTS.map((client) => `### ${client.wireName} clients\n\n${renderTable(client)}`);
  return [...tables, `### Agents\n\n${renderAgents()}`, `### Rows\n\n${renderRows()}`].join("\n\n") + "\n";
}

function renderTable(client: Client): string {
  const said = FEATURES.filter((feature) => client.requests[feature] !== undefined);
  const lines = said.map((feature) => [
    feature,
    ...UPSTREAMS.map((upstream) => renderCell(client, upstream, feature)),
  ]);
  return toTable([["feature", ...UPSTREAMS.map(({ name }) => name)], ...lines]);
}

/** The turns of agents (agents.ts) as they come from the agent, without any header of ours. */
function renderAgents(): string {
  const lines = AGENTS.flatMap((agent) =>
    TURNS.flatMap((name) => {
      const turn = agent.turns[name];
      if (turn === undefined) return [];
      const cells = UPSTREAMS.map((upstream) => renderOutcome(runAgentTurn(agent, turn, upstream)));
      return [[`${agent.name}: ${name}`, ...cells]];
    }),
  );
  return toTable([["agent and turn", ...UPSTREAMS.map(({ name }) => name)], ...lines]);
}

function renderCell(client: Client, upstream: Upstream, feature: Feature): string {
  return renderOutcome(runRequest(client, upstream, feature));
}

function renderOutcome(outcome: Outcome): string {
  switch (outcome.kind) {
    case "forwarded":
      return "=";
    case "translated":
      return outcome.dropped.length === 0 ? "✓" : `without \`${outcome.dropped.join(", ")}\``;
    case "refused":
      return `400 \`${outcome.field}\``;
    case "unsaid":
      return "";
  }
}

function renderRows(): string {
  const rows: readonly OpenAiCompatibleRow[] = OPENAI_COMPATIBLE_ROWS;
  const lines = rows.map(({ kind, defaultBaseUrl, lacks = [], lacksEmbeddings }) => [
    `\`${kind}\``,
    defaultBaseUrl ?? "the account's own",
    [...lacks, ...(lacksEmbeddings === true ? ["embeddings"] : [])].join(", "),
  ]);
  return toTable([["kind", "base URL", "lacks"], ...lines]);
}

function toTable([head = [], ...lines]: readonly (readonly string[])[]): string {
  return [head, head.map(() => "---"), ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
