import { expect, test } from "vitest";
import { createSteadyClock } from "../../../../src/limits/object/steady-clock.ts";

test("goes on with the clock it reads, but never back and never frozen", () => {
  let reading = 1000;
  const now = createSteadyClock(() => reading);
  expect(now()).toBe(1000);
  reading = 1500;
  expect(now()).toBe(1500);
  reading = 200;
  expect(now()).toBe(1500);
  reading = 300;
  expect(now()).toBe(1600);
});

test("begins no earlier than its floor", () => {
  let reading = 1000;
  const now = createSteadyClock(() => reading, 5000);
  expect(now()).toBe(5000);
  reading = 1001;
  expect(now()).toBe(5001);
});
