/**
 * `GET …/usage`: its parameters, and the answer from the rows of tenants. Reading rows is the object's; adding them up is
 * done here, in the Worker, so that no request waits behind it. Pure.
 */

import { checkNames, parseTime, wrongParameter } from "../../telemetry/store/query-parameters.ts";
import { usd } from "../../pricing/cost.ts";
import { cellsOf, floorTo } from "./usage-book.ts";
import type { UsageAsk, UsageInterval, UsageRow } from "../usage-protocol.ts";
import { addSums, MAIN_DIMENSIONS, USAGE_SUMS, type UsageCells } from "./usage-cells.ts";

type MainDimension = (typeof MAIN_DIMENSIONS)[number];

const INTERVALS: readonly UsageInterval[] = ["hour", "day", "total"];
const UNIT_MS: Readonly<Record<UsageInterval, number>> = { hour: 3_600_000, day: 86_400_000, total: 0 };
const DEFAULT_AGE_MS = 30 * UNIT_MS.day;
/** Of an answer by the hour. */
const MAX_HOURLY_MS = 31 * UNIT_MS.day;
const MAX_ITEMS = 10_000;
const MAX_GROUPS = 5;
const NAMES = ["from", "to", "interval", "group_by", ...MAIN_DIMENSIONS];

export interface UsageQuery {
  readonly ask: UsageAsk;
  readonly groups: readonly string[];
  readonly filters: ReadonlyMap<MainDimension, string>;
}

/** In US dollars; null where the requests have no such value. */
export interface UsageItem {
  readonly start: string;
  readonly group: Readonly<Record<string, string | null>>;
  readonly [sum: string]: unknown;
}

export interface UsageAnswer {
  readonly items: readonly UsageItem[];
  readonly total: Readonly<Record<string, number>>;
}

/** Throws `invalid_request` that names the parameter. `hasTenants`: over all tenants, `tenant` is a group too. */
export function parseUsageQuery(parameters: URLSearchParams, now: number, hasTenants: boolean): UsageQuery {
  checkNames(parameters, (name) => NAMES.includes(name), NAMES);
  const untilAt = parseTime(parameters.get("to") ?? "0s", "to", now);
  const from = parameters.get("from");
  const fromAt = from === null ? untilAt - DEFAULT_AGE_MS : parseTime(from, "from", now);
  if (fromAt >= untilAt) throw wrongParameter("from", "must be before to");
  const interval = INTERVALS.find((each) => each === (parameters.get("interval") ?? "day"));
  if (interval === undefined) throw wrongParameter("interval", `must be ${INTERVALS.join(", ")}`);
  if (interval === "hour" && untilAt - fromAt > MAX_HOURLY_MS)
    throw wrongParameter("interval", "can be hour for up to 31 days. Use day, or a later from");
  const groups = parameters.get("group_by")?.split(",") ?? [];
  if (groups.length > MAX_GROUPS || new Set(groups).size < groups.length)
    throw wrongParameter("group_by", `must name up to ${MAX_GROUPS} different groups`);
  const filters = new Map(
    MAIN_DIMENSIONS.flatMap((name) => {
      const value = parameters.get(name);
      return value === null ? [] : [[name, value] as const];
    }),
  );
  const inTenant = groups.filter((name) => !(hasTenants && name === "tenant"));
  const dimension = dimensionOf(inTenant, filters.size > 0);
  if (dimension === undefined) {
    const message = `must be some of key, provider, model and route${hasTenants ? ", tenant" : ""}, or one of endUser, session and metadata.{name}, which can't be filtered`;
    throw wrongParameter("group_by", message);
  }
  // What was asked for in the midst of an hour has the whole hour: there is nothing finer.
  return { ask: { dimension, fromAt: floorTo(fromAt, UNIT_MS.hour), untilAt, interval }, groups, filters };
}

function dimensionOf(groups: readonly string[], isFiltered: boolean): string | undefined {
  const [first = "total", ...others] = groups;
  const isMain = groups.every((name) => MAIN_DIMENSIONS.some((known) => known === name));
  if (isMain) return isFiltered || others.length > 0 ? "main" : first;
  if (isFiltered || others.length > 0) return undefined;
  if (first.startsWith("metadata.")) return "metadata";
  return first === "endUser" || first === "session" ? first : undefined;
}

/** The rows of one or more tenants as an answer. Throws `invalid_request` where it has too many items. */
export function answerUsage(
  { ask, groups, filters }: UsageQuery,
  tenants: readonly { readonly tenantId: string; readonly rows: readonly UsageRow[] | undefined }[],
): UsageAnswer {
  const items: UsageCells = new Map();
  const total: UsageCells = new Map();
  for (const { tenantId, rows } of tenants) {
    if (rows === undefined) throw tooLarge();
    for (const { at, text } of rows) {
      const start = ask.interval === "total" ? ask.fromAt : floorTo(at, UNIT_MS[ask.interval]);
      for (const [cell, sums] of cellsOf(text)) {
        const values = valuesOf(cell, ask.dimension, groups, filters, tenantId);
        if (values === undefined) continue;
        addSums(items, [start, ...values].join("\t"), sums);
        addSums(total, "", sums);
      }
      if (items.size > MAX_ITEMS) throw tooLarge();
    }
  }
  const read = [...items].map(([name, sums]) => {
    const [start, ...values] = name.split("\t");
    return { start: Number(start), values, sums };
  });
  const costAt = USAGE_SUMS.indexOf("costUsd");
  read.sort((a, b) => a.start - b.start || (b.sums[costAt] ?? 0) - (a.sums[costAt] ?? 0));
  return {
    items: read.map(({ start, values, sums }) => ({
      start: new Date(Math.max(start, 0)).toISOString(),
      group: Object.fromEntries(groups.map((name, at) => [name, values[at] || null])),
      ...sumsOf(sums),
    })),
    total: sumsOf(total.get("") ?? []),
  };
}

/** The groups' values of a cell; undefined where a filter excludes it. */
function valuesOf(
  cell: string,
  dimension: string,
  groups: readonly string[],
  filters: UsageQuery["filters"],
  tenantId: string,
): readonly string[] | undefined {
  const parts = dimension === "main" ? cell.split("\t") : [];
  const part = (name: string): string => parts[MAIN_DIMENSIONS.findIndex((known) => known === name)] ?? "";
  for (const [name, value] of filters) if (part(name) !== value) return undefined;
  const [tab, [first = ""]] = [cell.indexOf("\t"), groups];
  if (dimension === "metadata" && cell.slice(0, tab) !== first.slice("metadata.".length)) return undefined;
  return groups.map((name) => {
    if (name === "tenant") return tenantId;
    if (dimension === "main") return part(name);
    return dimension === "metadata" ? cell.slice(tab + 1) : cell;
  });
}

/** Money to the micro-dollar. */
function sumsOf(sums: readonly number[]): Record<string, number> {
  return Object.fromEntries(
    USAGE_SUMS.map((name, at) => {
      const sum = sums[at] ?? 0;
      return [name, name.endsWith("Usd") ? usd(Math.round(sum)) : sum];
    }),
  );
}

function tooLarge(): Error {
  return wrongParameter(
    "interval",
    `gives more than ${MAX_ITEMS} items. Use a longer interval, a later from or fewer groups`,
  );
}

const TEXT_CELL = /[",\r\n]|^[=+\-@\t]/;

/** RFC 4180, with a header. What a spreadsheet could take for a formula is quoted as text. */
export function usageCsv({ items }: UsageAnswer, groups: readonly string[]): string {
  const lines = items.map((item) =>
    [
      item.start,
      ...groups.map((name) => csvCell(item.group[name] ?? "")),
      ...USAGE_SUMS.map((name) => item[name]),
    ].join(","),
  );
  return [["start", ...groups, ...USAGE_SUMS].join(","), ...lines, ""].join("\r\n");
}

function csvCell(text: string): string {
  if (!TEXT_CELL.test(text)) return text;
  const safe = /^[=+\-@\t]/.test(text) ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}
