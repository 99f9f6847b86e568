import { expect, test } from "vitest";
import { createIds } from "../../../../src/telemetry/trace/ids.ts";

test("ids are lower-case hex of the right length, and no two are alike", () => {
  const ids = createIds((bytes) => crypto.getRandomValues(bytes));
  const spans = Array.from({ length: 1000 }, () => ids.spanId());
  const traces = Array.from({ length: 1000 }, () => ids.traceId());
  for (const id of spans) expect(id).toMatch(/^[0-9a-f]{16}$/);
  for (const id of traces) expect(id).toMatch(/^[0-9a-f]{32}$/);
  expect(new Set([...spans, ...traces]).size).toBe(2000);
});

test("an id of zeroes is never handed out", () => {
  let fills = 0;
  const ids = createIds((bytes) => bytes.fill(fills++ === 0 ? 0 : 7));
  expect(ids.spanId()).toBe("07".repeat(8));
});

test("random bytes are asked for once in many ids", () => {
  let fills = 0;
  const ids = createIds((bytes) => (fills++, crypto.getRandomValues(bytes)));
  for (let i = 0; i < 100; i++) ids.spanId();
  expect(fills).toBe(1);
});
