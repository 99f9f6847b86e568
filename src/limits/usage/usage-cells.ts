/**
 * Usage as cells: sums under a dimension and a value of it, tab-separated. A request adds one cell for what called it (key,
 * provider, model, route) and one for each further label. Pure; what a request adds is pipeline/usage.ts.
 */

import type { UsageCell } from "../usage-protocol.ts";

/** The sums of a cell, in this order; trailing zeros may be missing. Money is micro-US-dollars here. */
export const USAGE_SUMS = [
  "requests",
  "errors",
  "refused",
  "cacheHits",
  "inputTokens",
  "outputTokens",
  "cacheReadTokens",
  "cacheWriteTokens",
  "reasoningTokens",
  "costUsd",
  "savedUsd",
  "failedUsd",
  "merged",
] as const;

export type UsageSum = (typeof USAGE_SUMS)[number];

export type UsageCells = Map<string, number[]>;

/** What a call is by; their cells are `main`, with the values in this order. */
export const MAIN_DIMENSIONS = ["key", "provider", "model", "route"] as const;
/** Labels of requests, each with cells of its own; a `metadata` value begins with the label's name and a tab. */
export const LABEL_DIMENSIONS = ["endUser", "session", "metadata"] as const;
/** In place of values beyond the bound. */
export const OTHER = "(other)";

const MAX_LABEL_CHARS = 100;
const COST_AT = USAGE_SUMS.indexOf("costUsd");
const MERGED_AT = USAGE_SUMS.indexOf("merged");

/** A cell's name; values are cut, and what would end one is replaced. */
export function cellOf(dimension: string, ...values: readonly string[]): string {
  let cell = dimension;
  for (const value of values) cell += `\t${value.slice(0, MAX_LABEL_CHARS).replaceAll("\t", " ")}`;
  return cell;
}

/** Whether a cell is of calls: what called and what was called. */
export function isMain(cell: string): boolean {
  return cell.startsWith("main\t");
}

/** The route of a main cell. */
export function routeOf(cell: string): string {
  return cell.slice(cell.lastIndexOf("\t") + 1);
}

export function addSums(into: UsageCells, cell: string, sums: readonly number[]): void {
  const known = into.get(cell);
  if (known === undefined) return void into.set(cell, [...sums]);
  for (let at = 0; at < sums.length; at += 1) known[at] = (known[at] ?? 0) + (sums[at] ?? 0);
}

export function addCells(into: UsageCells, cells: Iterable<UsageCell>): void {
  for (const [cell, sums] of cells) addSums(into, cell, sums);
}

/** By dimension, each value's sums: `main` also as the total and as each of its four parts. */
export function byDimension(cells: Iterable<UsageCell>): Map<string, UsageCells> {
  const dimensions = new Map<string, UsageCells>();
  const add = (dimension: string, value: string, sums: readonly number[]): void => {
    const known = dimensions.get(dimension) ?? new Map();
    dimensions.set(dimension, known);
    addSums(known, value, sums);
  };
  for (const [cell, sums] of cells) {
    const tab = cell.indexOf("\t");
    const [dimension, value] = [cell.slice(0, tab), cell.slice(tab + 1)];
    add(dimension, value, sums);
    if (dimension !== "main") continue;
    const parts = value.split("\t");
    // What was merged is counted where it was, not in its parts.
    const own = sums.slice(0, MERGED_AT);
    add("total", "", own);
    for (const [at, name] of MAIN_DIMENSIONS.entries()) add(name, parts[at] ?? "", own);
  }
  return dimensions;
}

/**
 * Keeps the `max` largest by cost, then by requests, and adds up the others in the cell `(other)` of the same name: a label's
 * name stays. Of names that are more than that the rest is dropped; the total has them.
 */
export function boundCells(cells: UsageCells, max: number): void {
  if (cells.size <= max) return;
  const weight = ([, sums]: readonly [string, readonly number[]]): number =>
    (sums[COST_AT] ?? 0) * 1e6 + (sums[0] ?? 0);
  const isOther = (cell: string): boolean => cell.endsWith(OTHER);
  const ordered = [...cells].toSorted((a, b) => weight(b) - weight(a));
  const kept = ordered.filter(([cell]) => !isOther(cell)).slice(0, max);
  const others: UsageCells = new Map();
  for (const [cell, sums] of ordered) {
    if (isOther(cell)) addSums(others, cell, sums);
  }
  const rest = new Set(kept.map(([cell]) => cell));
  for (const [cell, sums] of ordered) {
    if (rest.has(cell) || isOther(cell)) continue;
    const counted = USAGE_SUMS.map((_, at) => (at === MERGED_AT ? 1 : (sums[at] ?? 0)));
    addSums(others, otherOf(cell), counted);
  }
  cells.clear();
  for (const [cell, sums] of [...kept, ...[...others].slice(0, max)]) cells.set(cell, sums);
}

/** The last part of a name stands for all; of a main cell all four do. */
function otherOf(cell: string): string {
  const parts = cell.split("\t");
  const first = parts[0] === "main" ? 1 : parts.length >= MAIN_DIMENSIONS.length ? 0 : parts.length - 1;
  return parts.map((part, at) => (at >= first ? OTHER : part)).join("\t");
}
