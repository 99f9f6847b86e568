/** Failures of one address: free at first, then slower and slower, and forgotten in the end. */
import { expect, it } from "vitest";
import { createFailureLimiter } from "../../../src/runtime/failure-limiter.ts";

function createRun() {
  let at = 0;
  const limiter = createFailureLimiter(() => at);
  return { ...limiter, pass: (ms: number) => void (at += ms) };
}

it("lets a few failures pass, then makes the address wait twice as long each time, up to a minute", () => {
  const run = createRun();
  const waits: number[] = [];
  for (let round = 0; round < 14; round += 1) {
    run.noteFailure("a");
    const waitMs = run.waitMs("a");
    waits.push(waitMs);
    run.pass(waitMs);
  }
  expect(waits).toEqual([0, 0, 0, 0, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000, 60_000]);
  expect(run.waitMs("b")).toBe(0);
});

it("bounds what an address can guess in an hour", () => {
  const run = createRun();
  let guesses = 0;
  for (let second = 0; second < 3600; second += 1) {
    run.pass(1000);
    while (run.waitMs("a") === 0) {
      run.noteFailure("a");
      guesses += 1;
    }
  }
  expect(guesses).toBeLessThan(80);
});

it("forgets an address that succeeds, and one that has not failed for ten minutes", () => {
  const run = createRun();
  for (let round = 0; round < 6; round += 1) run.noteFailure("a");
  run.noteSuccess("a");
  expect(run.waitMs("a")).toBe(0);
  for (let round = 0; round < 6; round += 1) run.noteFailure("a");
  run.pass(600_001);
  expect(run.noteFailure("a")).toBe(false);
});
