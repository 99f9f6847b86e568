// Every agent × every turn × every upstream that is no row: works without any header of ours; only what the agent's own vendor runs
// is refused, by its name.
import { describe, expect, test } from "vitest";
import { TURNS } from "./agent-turns.ts";
import { AGENTS, runAgentTurn } from "./agents.ts";
import { UPSTREAMS } from "./upstreams.ts";

describe.each(AGENTS.map((agent) => [agent.name, agent] as const))("%s", (_, agent) => {
  describe.each(TURNS.filter((turn) => agent.turns[turn] !== undefined))("%s", (name) => {
    test.each(UPSTREAMS.map((upstream) => [upstream.name, upstream] as const))("at %s", (__, upstream) => {
      const turn = agent.turns[name];
      if (turn === undefined) throw new Error("a turn that is not there");
      const outcome = runAgentTurn(agent, turn, upstream);
      if (outcome.kind === "refused") {
        expect(outcome.field).toBe(turn.refusedField);
        return;
      }
      if (outcome.kind === "unsaid") throw new Error("nothing was said");
      if (turn.refusedField !== undefined) expect(outcome.kind).toBe("forwarded");
      const sent = JSON.stringify(outcome.sent);
      for (const text of turn.carries) expect(sent).toContain(JSON.stringify(text).slice(1, -1));
    });
  });
});
