/**
 * A tenant's usage by the hour: hours that are not over are gathered in memory and saved with the ledger, in the same write;
 * those that are over become rows of the hour, its day and its month. Pure; the table is object/usage-rows.ts.
 */

import {
  addCells,
  addSums,
  boundCells,
  byDimension,
  LABEL_DIMENSIONS,
  type UsageCells,
} from "./usage-cells.ts";
import type { UsageAsk, UsageCell, UsageInterval, UsageRow } from "../usage-protocol.ts";

export type UsageLevel = "live" | "hour" | "day" | "month";

/** Rows of JSON; a row is a level's dimension from a time on. */
export interface UsageTable {
  read(level: UsageLevel, dimension: string, fromAt: number, untilAt: number): readonly UsageRow[];
  write(level: UsageLevel, dimension: string, at: number, text: string): void;
  /** Deletes rows from before. */
  prune(level: UsageLevel, dimension: string, beforeAt: number): void;
}
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** A year, and the day that a leap year has more. */
const KEPT_MS = 366 * DAY_MS;

/** Values that are kept of a dimension, in an hour, a day and a month alike. */
const MAX_CELLS = 1000;
/** Of calls: a thousand keys with some models each. */
const MAX_MAIN_CELLS = 3000;
/** Gathered in an hour before it is bounded. */
const MAX_LIVE_CELLS = 8000;
/** A row holds 2 MB, and a character of text takes three bytes at most. */
const MAX_ROW_CHARS = 600_000;
/** What one answer may read, as JSON. */
export const MAX_READ_CHARS = 12_000_000;

export interface UsageBook {
  add(cells: readonly UsageCell[], at: number): void;
  /** Writes what is not written: only in one write with the ledger, and `noteSaved` once that is done. */
  save(table: UsageTable, now: number): void;
  noteSaved(now: number): void;
  /** Rows of a dimension: from `fromAt` on, before `untilAt`. Undefined where they are more than an answer may read. */
  read(table: UsageTable, ask: UsageAsk, now: number): readonly UsageRow[] | undefined;
}

export function createUsageBook(saved: readonly UsageRow[] = []): UsageBook {
  const hours = new Map<number, UsageCells>(saved.map(({ at, text }) => [at, cellsOf(text)]));
  const unsaved = new Set<number>();

  function bound(cells: UsageCells): void {
    const parts = byPrefix(cells);
    cells.clear();
    for (const [dimension, part] of parts) {
      boundCells(part, dimension === "main" ? MAX_MAIN_CELLS : MAX_CELLS);
      addCells(cells, part);
    }
  }

  return {
    add(added, at) {
      const hour = floorTo(at, HOUR_MS);
      const cells: UsageCells = hours.get(hour) ?? new Map();
      hours.set(hour, cells);
      unsaved.add(hour);
      addCells(cells, added);
      if (cells.size > MAX_LIVE_CELLS) bound(cells);
    },
    save(table, now) {
      for (const [hour, cells] of hours) {
        if (hour >= floorTo(now, HOUR_MS)) {
          if (unsaved.has(hour)) writeRow(table, "live", "", hour, cells);
          continue;
        }
        for (const [dimension, values] of byDimension(cells)) fold(table, dimension, hour, values);
        table.prune("live", "", hour + 1);
      }
    },
    noteSaved(now) {
      for (const hour of hours.keys()) if (hour < floorTo(now, HOUR_MS)) hours.delete(hour);
      unsaved.clear();
    },
    read(table, { dimension, fromAt, untilAt, interval }, now) {
      const rows: UsageRow[] = [];
      let chars = 0;
      for (const [level, from, until] of rangesOf(fromAt, untilAt, interval, now)) {
        for (const row of table.read(level, dimension, from, until)) {
          rows.push(row);
          if ((chars += row.text.length) > MAX_READ_CHARS) return undefined;
        }
      }
      for (const [hour, cells] of hours) {
        const values = hour >= fromAt && hour < untilAt ? byDimension(cells).get(dimension) : undefined;
        if (values !== undefined) rows.push({ at: hour, text: textOf(values) });
      }
      return rows;
    },
  };
}

function fold(table: UsageTable, dimension: string, hour: number, values: UsageCells): void {
  const day = floorTo(hour, DAY_MS);
  for (const [level, at] of [
    ["hour", hour],
    ["day", day],
    ["month", monthOf(hour)],
  ] as const) {
    const [known] = table.read(level, dimension, at, at + 1);
    const cells: UsageCells = known === undefined ? new Map() : cellsOf(known.text);
    addCells(cells, values);
    boundCells(cells, dimension === "main" ? MAX_MAIN_CELLS : MAX_CELLS);
    writeRow(table, level, dimension, at, cells);
    table.prune(level, dimension, hour - KEPT_MS - (level === "month" ? 31 * DAY_MS : 0));
  }
}

function writeRow(
  table: UsageTable,
  level: UsageLevel,
  dimension: string,
  at: number,
  cells: UsageCells,
): void {
  let text = textOf(cells);
  for (let max = cells.size; text.length > MAX_ROW_CHARS; text = textOf(cells)) {
    max = Math.floor(max / 2);
    boundCells(cells, max);
  }
  table.write(level, dimension, at, text);
}

/** Whole months and days where the interval allows them, hours at the ends. A month or day under way counts as whole. */
function rangesOf(
  fromAt: number,
  untilAt: number,
  interval: UsageInterval,
  now: number,
): readonly (readonly [UsageLevel, number, number])[] {
  const [from, until] = [floorTo(fromAt, HOUR_MS), untilAt > now ? monthOf(now, 1) : untilAt];
  const levels =
    interval === "hour" ? [] : interval === "day" ? (["day"] as const) : (["month", "day"] as const);
  function cut(
    from: number,
    until: number,
    depth: number,
  ): readonly (readonly [UsageLevel, number, number])[] {
    const level = levels[depth];
    if (from >= until) return [];
    if (level === undefined) return [["hour", from, until]];
    const floor = (at: number): number => (level === "month" ? monthOf(at) : floorTo(at, DAY_MS));
    const next = level === "month" ? monthOf(from - 1, 1) : floorTo(from - 1, DAY_MS) + DAY_MS;
    const last = floor(until);
    if (next >= last) return cut(from, until, depth + 1);
    return [...cut(from, next, depth + 1), [level, next, last], ...cut(last, until, depth + 1)];
  }
  return cut(from, until, 0);
}

export function floorTo(at: number, unitMs: number): number {
  return Math.floor(at / unitMs) * unitMs;
}

/** The start of the month that `at` is in, or of one that many months later. */
function monthOf(at: number, later = 0): number {
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + later);
}

function byPrefix(cells: UsageCells): Map<string, UsageCells> {
  const parts = new Map<string, UsageCells>([
    ["main", new Map()],
    ...LABEL_DIMENSIONS.map((name) => [name, new Map()] as const),
  ]);
  for (const [cell, sums] of cells) {
    const part = parts.get(cell.slice(0, cell.indexOf("\t")));
    if (part !== undefined) addSums(part, cell, sums);
  }
  return parts;
}

function textOf(cells: UsageCells): string {
  return JSON.stringify([...cells]);
}

/** Reads what `textOf` has written: nothing else is in the table. */
export function cellsOf(text: string): UsageCells {
  return new Map(JSON.parse(text) as [string, number[]][]);
}
