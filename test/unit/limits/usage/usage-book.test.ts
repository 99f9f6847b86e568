import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createUsageBook, type UsageBook } from "../../../../src/limits/usage/usage-book.ts";
import { answerUsage, parseUsageQuery } from "../../../../src/limits/usage/usage-query.ts";
import { boundCells, cellOf, OTHER, type UsageCells } from "../../../../src/limits/usage/usage-cells.ts";
import type { UsageCell } from "../../../../src/limits/usage-protocol.ts";
import { createUsageTable } from "../../../support/fakes/usage-table.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const START_AT = Date.UTC(2026, 0, 30, 22, 30);

const call = (key: string, model: string, microUsd: number): UsageCell => [
  cellOf("main", key, "openai", model, "r"),
  [1, 0, 0, 0, 10, 5, 0, 0, 0, microUsd],
];

function read(book: UsageBook, table: ReturnType<typeof createUsageTable>, query: string, now: number) {
  const parsed = parseUsageQuery(new URLSearchParams(query), now, false);
  return answerUsage(parsed, [{ tenantId: "acme", rows: book.read(table, parsed.ask, now) }]);
}

const rangeOf = (fromAt: number, untilAt: number): string =>
  `from=${new Date(fromAt).toISOString()}&to=${new Date(untilAt).toISOString()}`;

describe("usage by the hour", () => {
  it("is exact for each range, interval and group, saved or not, and over restarts", () => {
    const added = fc.record({
      afterMs: fc.integer({ min: 0, max: 3 * DAY_MS }),
      key: fc.constantFrom("k1", "k2"),
      model: fc.constantFrom("a", "b", ""),
      microUsd: fc.integer({ min: 0, max: 5000 }),
      next: fc.constantFrom("go on", "save", "restart"),
    });
    const hours = fc.integer({ min: 0, max: 24 * 100 });
    fc.assert(
      fc.property(fc.array(added, { maxLength: 40 }), hours, hours, (all, from, length) => {
        const table = createUsageTable();
        let book = createUsageBook();
        let now = START_AT;
        const records: {
          readonly at: number;
          readonly key: string;
          readonly model: string;
          readonly microUsd: number;
        }[] = [];
        for (const { afterMs, key, model, microUsd, next } of all) {
          now += afterMs;
          book.add([call(key, model, microUsd)], now);
          records.push({ at: now, key, model, microUsd });
          if (next === "go on") continue;
          book.save(table, now);
          book.noteSaved(now);
          if (next === "restart") book = createUsageBook(table.read("live", "", 0, Infinity));
        }
        const fromAt = Math.floor(START_AT / HOUR_MS) * HOUR_MS + from * HOUR_MS;
        const sum = (of: typeof records): number =>
          of.reduce((total, { microUsd }) => total + microUsd, 0) / 1e6;
        for (const interval of ["hour", "day", "total"]) {
          const hoursAsked = interval === "hour" ? Math.min(length + 1, 31 * 24) : length + 1;
          const untilAt = fromAt + hoursAsked * HOUR_MS;
          const expected = records.filter(({ at }) => at >= fromAt && at < untilAt);
          for (const group of ["", "&group_by=key", "&group_by=model,key", "&group_by=model&key=k1"]) {
            const answer = read(
              book,
              table,
              `${rangeOf(fromAt, untilAt)}&interval=${interval}${group}`,
              now + 1,
            );
            const own = group.endsWith("k1") ? expected.filter(({ key }) => key === "k1") : expected;
            expect(answer.total["costUsd"]).toBeCloseTo(sum(own), 6);
            expect(answer.total["requests"]).toBe(own.length);
            for (const { group: values, costUsd, start } of answer.items) {
              const ofItem = own.filter(
                ({ at, ...record }) =>
                  (values["key"] === undefined || values["key"] === record.key) &&
                  (values["model"] === undefined || values["model"] === (record.model || null)) &&
                  (interval === "total" || at >= Date.parse(start)) &&
                  (interval === "total" || at < Date.parse(start) + (interval === "hour" ? HOUR_MS : DAY_MS)),
              );
              expect(costUsd).toBeCloseTo(sum(ofItem), 6);
            }
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it("forgets an hour after a year, and keeps it until then", () => {
    const table = createUsageTable();
    const book = createUsageBook();
    for (const at of [START_AT, START_AT + 300 * DAY_MS, START_AT + 367 * DAY_MS, START_AT + 368 * DAY_MS]) {
      book.add([call("k", "a", 1)], at);
      book.save(table, at);
      book.noteSaved(at);
    }
    const startsOf = (query: string): readonly string[] =>
      read(book, table, query, START_AT + 368 * DAY_MS).items.map(({ start }) => start.slice(0, 10));
    expect(startsOf(rangeOf(START_AT - DAY_MS, START_AT + 400 * DAY_MS))).toEqual([
      "2026-11-26",
      "2027-02-01",
      "2027-02-02",
    ]);
    const aroundDay = (day: number): string =>
      `${rangeOf(START_AT + (day - 1) * DAY_MS, START_AT + (day + 1) * DAY_MS)}&interval=hour`;
    expect(startsOf(aroundDay(0))).toEqual([]);
    expect(startsOf(aroundDay(300))).toEqual(["2026-11-26"]);
  });

  it("saves what a failed write did not, once", () => {
    const table = createUsageTable();
    const book = createUsageBook();
    book.add([call("k", "a", 7)], START_AT);
    book.add([call("k", "a", 5)], START_AT + HOUR_MS);
    const broken = {
      ...table,
      write: () => {
        throw new Error("full");
      },
    };
    expect(() => book.save(broken, START_AT + HOUR_MS)).toThrow("full");
    book.save(table, START_AT + HOUR_MS);
    book.noteSaved(START_AT + HOUR_MS);
    const restarted = createUsageBook(table.read("live", "", 0, Infinity));
    const query = `${rangeOf(START_AT, START_AT + DAY_MS)}&interval=total`;
    expect(read(restarted, table, query, START_AT + HOUR_MS).total).toMatchObject({
      requests: 2,
      costUsd: 0.000012,
    });
  });
});

describe("usage's bound", () => {
  it("keeps the largest, adds up the others, and counts them", () => {
    const cells: UsageCells = new Map(
      Array.from({ length: 30 }, (_, n) => [cellOf("session", `s${n}`), [1, 0, 0, 0, 0, 0, 0, 0, 0, n]]),
    );
    boundCells(cells, 10);
    const other = cells.get(cellOf("session", OTHER)) ?? [];
    expect(cells.size).toBe(11);
    expect(cells.has(cellOf("session", "s29"))).toBe(true);
    expect([other[0], other[9], other[12]]).toEqual([20, 190, 20]);
  });

  it("keeps a label's name, and all of a call's money", () => {
    const labels: UsageCells = new Map(
      Array.from({ length: 9 }, (_, n) => [cellOf("metadata", n < 6 ? "team" : "app", `v${n}`), [9 - n]]),
    );
    boundCells(labels, 3);
    expect(labels.get(cellOf("metadata", "team", OTHER))?.[0]).toBe(6 + 5 + 4);
    expect(labels.get(cellOf("metadata", "app", OTHER))?.[0]).toBe(3 + 2 + 1);
    const table = createUsageTable();
    const book = createUsageBook();
    for (let n = 0; n < 20_000; n += 1) book.add([call(`k${n}`, "a", 3)], START_AT);
    book.save(table, START_AT + HOUR_MS);
    book.noteSaved(START_AT + HOUR_MS);
    for (const group of ["", "&group_by=key", "&group_by=model", "&group_by=key,model"]) {
      const query = `${rangeOf(START_AT, START_AT + DAY_MS)}&interval=total${group}`;
      expect(read(book, table, query, START_AT + HOUR_MS).total["costUsd"]).toBe(0.06);
    }
  });

  it("fits a row, however long the names are", () => {
    const texts: string[] = [];
    const table = createUsageTable();
    const book = createUsageBook();
    const long = "愛".repeat(500);
    for (let n = 0; n < 9000; n += 1)
      book.add([call(`${n}${long}`, `${n}${long}`, 1), [cellOf("session", `${n}${long}`), [1]]], START_AT);
    book.save({ ...table, write: (...row) => void texts.push(row[3]) }, START_AT + HOUR_MS);
    expect(Math.max(...texts.map((text) => Buffer.byteLength(text)))).toBeLessThan(2_000_000);
  });
});

describe("a usage query", () => {
  const parse = (query: string) => () => parseUsageQuery(new URLSearchParams(query), START_AT, false);

  it.each([
    ["form=1h", "form"],
    ["interval=week", "interval"],
    ["interval=hour&from=32d", "interval"],
    ["from=2026-01-01", "from"],
    ["from=1h&to=2h", "from"],
    ["group_by=customer", "group_by"],
    ["group_by=tenant", "group_by"],
    ["group_by=key,key", "group_by"],
    ["group_by=session,key", "group_by"],
    ["group_by=metadata.team&model=a", "group_by"],
  ])("'%s' is refused by the name of the parameter", (query, name) => {
    expect(parse(query)).toThrow(`'${name}'`);
  });
});
