/**
 * The store's table of what was usual: one row for each hour, route and target, added to as traces become rows, so that recording
 * a request costs nothing more. It outlives the traces, and holds no request's own facts.
 */

import { addBaseline, addMeasured, createBaseline, isUsable, type Baseline } from "../usual/baseline.ts";
import { measure, type MeasuredRequest } from "../usual/measure.ts";
import type { FinishedSpan } from "../trace/trace.ts";
import type { Usual } from "./stored-trace.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS baselines (
    route TEXT NOT NULL, is_stream INTEGER NOT NULL, hour INTEGER NOT NULL, target TEXT NOT NULL,
    figures TEXT NOT NULL,
    PRIMARY KEY (route, is_stream, hour, target)
  ) WITHOUT ROWID`;

const OF_ROUTE = "SELECT target, figures FROM baselines WHERE route = ? AND is_stream = ? AND hour <= ?";
const AT_HOUR = `${OF_ROUTE} AND (hour % 24 = ? OR hour = ?) ORDER BY hour DESC LIMIT 64`;
const LATEST = `${OF_ROUTE} ORDER BY hour DESC LIMIT 64`;
const ONE = "SELECT figures FROM baselines WHERE route = ? AND is_stream = ? AND hour = ? AND target = ?";

const MS_PER_HOUR = 3_600_000;
const HOURS_PER_DAY = 24;
/** The same hour of a week. */
const KEPT_HOURS = 8 * HOURS_PER_DAY;
/** Some 2 KB each; the oldest hours go first. */
const MAX_ROWS = 2000;
/** Fewer requests of a route don't say what is usual. */
const MIN_REQUESTS = 20;

type Key = readonly [route: string, isStream: number, hour: number, target: string];

export class StoredBaselines {
  readonly #sql: SqlStorage;
  #unwritten = new Map<string, { readonly key: Key; readonly baseline: Baseline }>();

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(SCHEMA);
  }

  add(spans: readonly FinishedSpan[]): void {
    const measured = measure(spans);
    if (measured === undefined || !isUsable(measured)) return;
    const { route, isStream, startedAt, target } = measured;
    const key: Key = [route, isStream ? 1 : 0, hourOf(startedAt), target ?? ""];
    const name = JSON.stringify(key);
    const found = this.#unwritten.get(name) ?? { key, baseline: createBaseline() };
    this.#unwritten.set(name, found);
    addMeasured(found.baseline, measured);
  }

  /** Adds up what was gathered with what is stored. */
  write(): void {
    if (this.#unwritten.size === 0) return;
    for (const { key, baseline } of this.#unwritten.values()) {
      const [stored] = this.#sql.exec<{ figures: string }>(ONE, ...key).toArray();
      if (stored !== undefined) addBaseline(baseline, parse(stored.figures));
      this.#sql.exec(
        "INSERT OR REPLACE INTO baselines VALUES (?, ?, ?, ?, ?)",
        ...key,
        JSON.stringify(baseline),
      );
    }
    this.#unwritten.clear();
    this.#sql.exec(
      "DELETE FROM baselines WHERE hour < (SELECT hour FROM baselines ORDER BY hour DESC LIMIT 1 OFFSET ?)",
      MAX_ROWS,
    );
  }

  /** Undefined where too few requests of the route are known. */
  usualFor({ route, isStream, startedAt, target }: MeasuredRequest): Usual | undefined {
    const hour = hourOf(startedAt);
    const of = [route, isStream ? 1 : 0, hour] as const;
    return (
      usualOfRows(this.#read(AT_HOUR, ...of, hour % HOURS_PER_DAY, hour - 1), target, true) ??
      usualOfRows(this.#read(LATEST, ...of), target, false)
    );
  }

  #read(sql: string, ...bindings: readonly (string | number)[]): readonly BaselineRow[] {
    return this.#sql
      .exec<{ target: string; figures: string }>(sql, ...bindings)
      .toArray()
      .map(({ target, figures }) => ({ target, baseline: parse(figures) }));
  }

  /** Deletes what is too old; how many rows are left. */
  deleteBefore(now: number): number {
    this.#sql.exec("DELETE FROM baselines WHERE hour < ?", hourOf(now) - KEPT_HOURS);
    return this.#sql.exec<{ n: number }>("SELECT count(*) AS n FROM baselines").one().n;
  }
}

interface BaselineRow {
  readonly target: string;
  readonly baseline: Baseline;
}

function usualOfRows(
  rows: readonly BaselineRow[],
  target: string | null,
  isOfHour: boolean,
): Usual | undefined {
  const route = createBaseline();
  const byTarget = new Map<string, Baseline>();
  for (const row of rows) {
    addBaseline(route, row.baseline);
    const known = byTarget.get(row.target) ?? createBaseline();
    byTarget.set(row.target, known);
    addBaseline(known, row.baseline);
  }
  if (route.count < MIN_REQUESTS) return undefined;
  const [main] = [...byTarget].toSorted(([, a], [, b]) => b.count - a.count);
  return { isOfHour, route, target: byTarget.get(target ?? ""), mainTarget: main?.[0] ?? "" };
}

function hourOf(ms: number): number {
  return Math.floor(ms / MS_PER_HOUR);
}

function parse(figures: string): Baseline {
  // Written above, kept in our own store.
  return JSON.parse(figures) as Baseline;
}
