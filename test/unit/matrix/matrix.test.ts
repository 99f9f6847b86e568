// Every client wire × every provider that is no row × every feature: what the upstream receives and what the client gets. Rows
// are openai-compatible's cells with their own quirks: test/unit/providers/rows.test.ts.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { OPENAI_COMPATIBLE_ROWS } from "../../../src/providers/openai-rows.ts";
import { REGISTERED_KINDS } from "../../../src/providers/registry.ts";
import { SPLITS } from "../../support/builders/wire-fixtures.ts";
import { isForwarded, readAnswer, runRequest, runStream, runWhole } from "./cell.ts";
import { readFacts } from "./client-facts.ts";
import { CLIENT_WIRES } from "../../../src/wires/registry.ts";
import { CLIENTS, factsOf } from "./clients.ts";
import { FEATURES } from "./features.ts";
import { renderMatrix, withMatrix } from "./render.ts";
import { UPSTREAMS } from "./upstreams.ts";

describe.each(CLIENTS.map((client) => [client.wireName, client] as const))("%s", (_, client) => {
  describe.each(UPSTREAMS.map((upstream) => [upstream.name, upstream] as const))("at %s", (__, upstream) => {
    test.each(FEATURES)("%s", (feature) => {
      const outcome = runRequest(client, upstream, feature);
      const expected = upstream.expected[feature];
      if (outcome.kind === "unsaid") return;
      const asSaid = upstream.renamed?.[feature] ?? client.requests[feature] ?? {};
      if (outcome.kind === "forwarded") expect(outcome.sent).toMatchObject(asSaid);
      else if (expected === "dropped")
        expect(outcome).toEqual({ kind: "refused", field: expect.stringMatching(/\w/) });
      else if (expected === "left out")
        expect(outcome).toMatchObject({ kind: "translated", dropped: [expect.stringMatching(/\w/)] });
      else expect(outcome).toMatchObject({ kind: "translated", sent: expected });
    });

    // Forwarded answers are the upstream's own bytes: there is nothing between them and the client.
    const answers = isForwarded(client, upstream) ? [] : upstream.fixtures.answers;
    test.each(answers)("the answer %s", (answer) => {
      const facts = factsOf(readAnswer(client, upstream, answer));
      const hasLikely = client.wireName !== "anthropic-messages";
      const told = {
        ...facts,
        sources: [...new Set(facts.sources)],
        likely: hasLikely ? facts.likely : [],
      };
      expect(readFacts(client.wireName, runWhole(client, upstream, answer))).toEqual(told);
      for (const size of SPLITS) {
        const { calls, ...streamed } = readFacts(client.wireName, runStream(client, upstream, answer, size));
        // The recorded whole answers and streams differ in what they call, not in how.
        const { calls: ____, ...rest } = told;
        expect(streamed).toEqual(rest);
        expect(calls).toHaveLength(told.calls.length);
      }
    });
  });
});

test("every client wire of generations is in the matrix", () => {
  const generations = CLIENT_WIRES.filter((wire) => !("operation" in wire)).map(({ name }) => name);
  expect(CLIENTS.map(({ wireName }) => wireName).toSorted()).toEqual(generations.toSorted());
});

test("every provider that is not a row is in the matrix", () => {
  const rows: readonly string[] = OPENAI_COMPATIBLE_ROWS.map(({ kind }) => kind);
  const files = REGISTERED_KINDS.filter((kind) => !rows.includes(kind));
  const present = new Set(UPSTREAMS.map(({ provider }) => provider.kind));
  expect(files.filter((kind) => !present.has(kind))).toEqual([]);
});

test("the README's tables are what `npm run matrix` writes", () => {
  const readme = readFileSync(join(import.meta.dirname, "../../../src/providers/README.md"), "utf8");
  expect(withMatrix(readme, renderMatrix())).toBe(readme);
});
