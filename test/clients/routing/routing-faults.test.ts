// Each fault of an upstream under each strategy, through HTTP: attempts, reasons, spans, headers, and what the client gets. The
// rows are test/clients/routing/routing-faults.ts, and stand as a table in src/routing/README.md.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Answer, attemptsOf, chat, rootOf, spanOf, spansOf } from "../../support/clients/chat-client.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { FAULTS, type FaultRow, renderFaults } from "./routing-faults.ts";
import { makeTenant } from "../../support/clients/test-tenant.ts";
import { checkTrace } from "../../support/checkers/trace-invariants.ts";

const STRATEGIES = ["fallback", "weighted", "least-latency", "least-cost"] as const;
const README = join(import.meta.dirname, "../../../src/routing/README.md");

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

/** One tenant with a route whose first target is at fault; a second one is sound, or is not there. */
async function route(row: FaultRow, strategy: string, hasSecond: boolean) {
  const [bad, good] = [uniqueModel(), uniqueModel()];
  const isSim = "sim" in row.reply;
  const model = "sim" in row.reply ? row.reply.sim : bad;
  if (!("sim" in row.reply)) stack.upstream.script(bad, row.reply);
  stack.upstream.script(good, { kind: "answer", text: "from the second" });
  // Weight 0 and an unknown price come last, and so does what comes second where nothing was measured.
  const targets = [
    { provider: isSim ? "sim" : "up", model, weight: 1 },
    { provider: "up", model: good, weight: 0 },
  ].slice(0, hasSecond ? 2 : 1);
  const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url });
  const root = `/admin/tenants/${tenant.id}`;
  await stack.gateway.admin("PUT", `${root}/providers/sim`, {
    kind: "sim",
    options: { firstChunkMs: 1, paceMs: 1 },
  });
  await stack.gateway.admin("PUT", `${root}/routes/r`, {
    strategy,
    targets,
    retries: { maxAttempts: 2, baseDelayMs: 5 },
    timeouts: { firstByteMs: 500, idleMs: 500, totalMs: 5000 },
  });
  return { tenant, first: `${isSim ? "sim" : "up"}/${model}`, second: `up/${good}` };
}

function saysOf({ status, error }: Answer): string {
  if (status === 200) return error === undefined ? "200" : "200, then an error event";
  return `${status} ${error}`;
}

/** What the row promises of the attempts at the first target and of what follows. */
function expectedAttempts(row: FaultRow, first: string, second: string | undefined): readonly string[] {
  if (row.recovers === true) return [`${first} initial ${row.outcome} retry`, `${first} retry ok`];
  const isFinal = row.withSecond !== "200";
  const last = second === undefined || isFinal ? "give_up" : "fallback";
  const left = row.withSecond.startsWith("200, then") ? "" : ` ${last}`;
  const ofFirst =
    row.attempts === 1
      ? [`${first} initial ${row.outcome}${left}`]
      : [`${first} initial ${row.outcome} retry`, `${first} retry ${row.outcome}${left}`];
  return second === undefined || isFinal ? ofFirst : [...ofFirst, `${second} fallback ok`];
}

// Side by side, since most rows only wait: each has a tenant and models of its own.
describe.concurrent.each(STRATEGIES)("%s", (strategy) => {
  test.each(FAULTS.map((row) => [row.fault, row] as const))("%s", async (_, row) => {
    for (const hasSecond of [true, false]) {
      const { tenant, first, second } = await route(row, strategy, hasSecond);
      // `sim/flaky` remembers requests by what they say, and the strategies run side by side.
      const prompt = `${strategy} ${hasSecond}`;
      const answer = await chat(stack, tenant.key, { model: "r", prompt, stream: row.stream });
      const spans = await spansOf(stack, answer);
      const attempts = attemptsOf(spans);
      // What was never measured and costs nothing known is in the route's order: the first target is the one at fault.
      expect(attempts).toEqual(expectedAttempts(row, first, hasSecond ? second : undefined));
      expect(saysOf(answer)).toBe(hasSecond ? row.withSecond : row.alone);
      if (answer.error !== undefined && row.stream) expect(answer.text).not.toContain("[DONE]");
      expect(answer.headers.get("x-headgate-attempts")).toBe(String(attempts.length));
      if (answer.content === "from the second") expect(answer.headers.get("x-headgate-target")).toBe(second);
      expect(spanOf(spans, "gateway.route").attributes).toMatchObject({
        "gateway.route.strategy": strategy,
        "gateway.route.chosen": first,
      });
      expect(rootOf(spans).attributes["gateway.attempt.count"]).toBe(attempts.length);
      expect(rootOf(spans).attributes["gateway.outcome"]).toBe(
        saysOf(answer) === "200" ? "ok" : "upstream_error",
      );
      expect(checkTrace(spans)).toEqual([]);
    }
  });
});

test("the table in src/routing/README.md is these rows", () => {
  expect(readFileSync(README, "utf8")).toContain(renderFaults());
});
