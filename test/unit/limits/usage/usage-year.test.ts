// A year of hourly rows of a thousand keys: what an answer reads of it, and what the object holds.
import { describe, expect, it } from "vitest";
import { createUsageBook } from "../../../../src/limits/usage/usage-book.ts";
import { answerUsage, parseUsageQuery, usageCsv } from "../../../../src/limits/usage/usage-query.ts";
import { byDimension, cellOf } from "../../../../src/limits/usage/usage-cells.ts";
import type { UsageCell } from "../../../../src/limits/usage-protocol.ts";
import { createUsageTable } from "../../../support/fakes/usage-table.ts";

const HOUR_MS = 3_600_000;
const KEYS = 1000;
const HOURS = 365 * 24;
const NOVEMBER_HOURS = 30 * 24;
/** The end of a month and of a day, so that nothing is under way. */
const NOW = Date.UTC(2026, 11, 1);

/** All requests of an hour, each key's 90 with one of three models. */
const ofHour: readonly UsageCell[] = Array.from({ length: KEYS }, (_, n) => [
  cellOf("main", `key_${String(n).padStart(16, "0")}`, "openai", `gpt-model-${n % 3}`, "chat"),
  [90, 1, 2, 10, 123_456, 65_432, 1000, 200, 500, 12_345.678, 910.5, 12.25],
]);

function createYear() {
  const table = createUsageTable();
  const dimensions = byDimension(ofHour);
  let chars = 0;
  for (const [dimension, cells] of dimensions) {
    const times = (count: number): string =>
      JSON.stringify([...cells].map(([cell, sums]) => [cell, sums.map((sum) => sum * count)]));
    const [hour, day] = [times(1), times(24)];
    for (let n = 1; n <= HOURS; n += 1) {
      const at = NOW - n * HOUR_MS;
      table.write("hour", dimension, at, hour);
      chars += hour.length;
      if (at % (24 * HOUR_MS) === 0) table.write("day", dimension, at, day);
    }
    for (let month = 0; month < 12; month += 1) {
      const [at, end] = [Date.UTC(2025, 11 + month), Date.UTC(2025, 12 + month)];
      table.write("month", dimension, at, times((end - at) / HOUR_MS));
    }
  }
  return { table, chars };
}

describe("a year of a thousand keys", () => {
  const { table, chars } = createYear();
  const book = createUsageBook();

  function ask(query: string) {
    const from = query.includes("hour") ? "2026-11-01" : "2025-12-01";
    const year = `from=${from}T00:00:00Z&to=2026-12-01T00:00:00Z&${query}`;
    const parsed = parseUsageQuery(new URLSearchParams(year), NOW, false);
    const rows = book.read(table, parsed.ask, NOW);
    return {
      answer: answerUsage(parsed, [{ tenantId: "acme", rows }]),
      groups: parsed.groups,
      read: (rows ?? []).reduce((sum, { text }) => sum + text.length, 0),
    };
  }

  it("fits the object, which holds 10 GB", () => {
    // Without ROWID: the text and its key, in pages that are two thirds full at the worst.
    expect(chars * 1.5).toBeLessThan(10e9);
  });

  it("is the same by the hour, by the day, by key and in all", () => {
    for (const [query, items] of [
      ["interval=hour", NOVEMBER_HOURS],
      ["interval=day", 365],
      ["interval=total", 1],
      ["interval=total&group_by=key", KEYS],
      ["interval=day&group_by=model", 365 * 3],
      ["interval=total&group_by=key,model", KEYS],
      ["interval=total&group_by=model&key=key_0000000000000007", 1],
    ] as const) {
      const { answer, read } = ask(query);
      expect(answer.items).toHaveLength(items);
      // A megabyte is read in about ten milliseconds.
      expect(read).toBeLessThan(3_000_000);
      if (query.includes("&key=")) continue;
      const hours = query === "interval=hour" ? NOVEMBER_HOURS : HOURS;
      expect(answer.total["costUsd"]).toBeCloseTo((12_345.678 * KEYS * hours) / 1e6, 5);
      expect(answer.total["requests"]).toBe(90 * KEYS * hours);
    }
  });

  it("is refused where an answer would have more items than anyone reads", () => {
    expect(() => ask("interval=day&group_by=key")).toThrow("Use a longer interval");
    expect(() => ask("interval=hour&group_by=key")).toThrow("Use a longer interval");
  });

  it("comes as CSV, a line for each item, and no cell is a formula", () => {
    const { answer, groups } = ask("interval=total&group_by=key");
    const lines = usageCsv(answer, groups).trimEnd().split("\r\n");
    expect(lines).toHaveLength(1 + KEYS);
    expect(lines[0]).toBe(
      "start,key,requests,errors,refused,cacheHits,inputTokens,outputTokens,cacheReadTokens,cacheWriteTokens,reasoningTokens,costUsd,savedUsd,failedUsd,merged",
    );
    const [item] = answer.items;
    if (item === undefined) throw new Error("there is none");
    const evil = { ...item, group: { key: '=HYPERLINK("x")' } };
    expect(usageCsv({ ...answer, items: [evil] }, ["key"])).toContain(`,"'=HYPERLINK(""x"")",`);
  });
});
