// Situations planted through HTTP, each with a quiet request beside it: the first cause that the explanation names is the planted
// one, its size within 15 %, and nothing is named for the quiet one.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startGatewayStack, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { SITUATIONS } from "./situations.ts";
import { withSituations } from "./table.ts";
import { play } from "./world.ts";

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

const TOLERANCE = 0.15;
/** More would be noise to each other. */
const AT_ONCE = 2;

const free: (() => void)[] = [];
let running = 0;

async function slot<T>(work: () => Promise<T>): Promise<T> {
  if (running < AT_ONCE) running += 1;
  else await new Promise<void>((resolve) => free.push(resolve));
  try {
    return await work();
  } finally {
    const next = free.shift();
    if (next === undefined) running -= 1;
    else next();
  }
}

test("src/docs/why.md lists them", () => {
  const document = readFileSync(join(import.meta.dirname, "../../../src/docs/why.md"), "utf8");
  expect(withSituations(document, SITUATIONS), "run npm run why").toBe(document);
});

describe("a planted situation", () => {
  test.concurrent.each(SITUATIONS)("$kind: $name", async (situation) => {
    const { planted, found, quiet } = await slot(() => play(stack, situation));
    if (process.env["WHY_SHOW"] !== undefined)
      console.log(JSON.stringify(found, null, 1), quiet.text, quiet.causes);
    const named = (of: typeof found) => of.causes.filter(({ kind }) => kind !== "unknown");
    expect(named(quiet), "the quiet request").toEqual([]);
    const [first] = named(found);
    expect(first?.kind, JSON.stringify(found)).toBe(situation.kind);
    if (situation.says !== undefined) expect(found.text).toMatch(situation.says);
    if (planted.ms !== undefined) expect(Math.abs((first?.ms ?? 0) / planted.ms - 1)).toBeLessThan(TOLERANCE);
    // The parts add up, without a rest.
    expect(found.time.reduce((sum, { ms }) => sum + ms, 0)).toBe(found.tookMs);
    if (found.differenceMs !== null)
      expect(found.causes.reduce((sum, { ms }) => sum + ms, 0)).toBe(found.differenceMs);
  });
});
