/**
 * Which of a route's branches a request takes: its `when` list, looked at before any target. The first branch whose
 * conditions all hold gives targets and strategy; without one, the route's own do. Pure.
 */

import type { RouteRecord } from "../tenants/records/route-record.ts";
import type { Need } from "../tenants/records/route-conditions.ts";

type Branch = NonNullable<RouteRecord["when"]>[number];
type Condition = Branch["if"];

/** What conditions read of a request. */
export interface RequestTraits {
  /** An estimate: four characters a token. */
  readonly promptTokens: number;
  /** The request's `x-headgate-metadata`, and over it its key's. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Its key's alone, which a client can't write. */
  readonly keyMetadata: Readonly<Record<string, string>>;
  /** ms since the epoch. */
  readonly at: number;
  /** Computed at the first call: most routes never need it. */
  needs(): ReadonlySet<Need>;
}

export interface ChosenBranch {
  readonly strategy: RouteRecord["strategy"];
  readonly targets: RouteRecord["targets"];
  /** `when[1]`, with what held; undefined where the route's own targets are taken. */
  readonly because?: string;
}

export function chooseBranch(route: RouteRecord, traits: RequestTraits): ChosenBranch {
  for (const [at, branch] of (route.when ?? []).entries()) {
    const held = whyItHolds(branch.if, traits);
    if (held === undefined) continue;
    return {
      strategy: branch.strategy ?? route.strategy,
      targets: branch.targets,
      because: `when[${at}]: ${held.join(", ")}`,
    };
  }
  return { strategy: route.strategy, targets: route.targets };
}

/** A short text for each condition; undefined where one doesn't hold. */
function whyItHolds(condition: Condition, traits: RequestTraits): readonly string[] | undefined {
  const held: string[] = [];
  const { promptTokens, metadata, key, time, needs } = condition;
  if (promptTokens) {
    const { min = 0, max = Infinity } = promptTokens;
    if (traits.promptTokens < min || traits.promptTokens > max) return undefined;
    held.push(`about ${traits.promptTokens} prompt tokens`);
  }
  for (const name of Object.keys(metadata ?? {})) {
    if (!hasLabel(traits.metadata, name, metadata?.[name])) return undefined;
    // The value is the client's own and may be long.
    held.push(`metadata ${name}`);
  }
  for (const name of Object.keys(key?.metadata ?? {})) {
    if (!hasLabel(traits.keyMetadata, name, key?.metadata[name])) return undefined;
    held.push(`key.metadata ${name}`);
  }
  if (time) {
    if (!isInTimeWindow(time, traits.at)) return undefined;
    held.push("time");
  }
  // Last, since it may cost a reading of the whole request.
  if (needs) {
    const present = traits.needs();
    if (!needs.every((need) => present.has(need))) return undefined;
    held.push(`needs ${needs.join(" + ")}`);
  }
  return held;
}

function hasLabel(
  labels: Readonly<Record<string, string>>,
  name: string,
  wanted: string | readonly string[] | undefined,
): boolean {
  const value = Object.hasOwn(labels, name) ? labels[name] : undefined;
  return (
    value !== undefined && (typeof wanted === "string" ? wanted === value : wanted?.includes(value) === true)
  );
}

type TimeWindow = NonNullable<Condition["time"]>;

const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] as const;
const MINUTES_PER_HOUR = 60;
const MINUTES_PER_DAY = 1_440;

/** From `from` up to, not including, `to`; a window over midnight belongs to the day on which it began. */
export function isInTimeWindow(
  { days, from = "00:00", to = "24:00", timeZone = "UTC" }: TimeWindow,
  at: number,
): boolean {
  const { day, minute } = localTime(at, timeZone);
  const start = toMinutes(from);
  const end = toMinutes(to);
  const isOvernight = end <= start;
  const isIn = isOvernight ? minute >= start || minute < end : minute >= start && minute < end;
  if (!isIn) return false;
  const startedDay = isOvernight && minute < end ? (day + DAYS.length - 1) % DAYS.length : day;
  const name = DAYS[startedDay];
  return days === undefined || (name !== undefined && days.includes(name));
}

function toMinutes(clock: string): number {
  const [hours = "0", minutes = "0"] = clock.split(":");
  return Number(hours) * MINUTES_PER_HOUR + Number(minutes);
}

/** Making a formatter takes longer than all else here, and there are few zones in use. */
const formatters = new Map<string, Intl.DateTimeFormat>();
const MAX_FORMATTERS = 50;

function localTime(at: number, timeZone: string): { readonly day: number; readonly minute: number } {
  if (timeZone === "UTC") {
    const date = new Date(at);
    return { day: date.getUTCDay(), minute: date.getUTCHours() * MINUTES_PER_HOUR + date.getUTCMinutes() };
  }
  let formatter = formatters.get(timeZone);
  if (formatter === undefined) {
    formatter = new Intl.DateTimeFormat("en-US", {
      timeZone,
      weekday: "short",
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
    });
    if (formatters.size >= MAX_FORMATTERS) formatters.clear();
    formatters.set(timeZone, formatter);
  }
  const parts = new Map(formatter.formatToParts(at).map(({ type, value }) => [type, value]));
  const weekday = parts.get("weekday")?.toLowerCase();
  const minute = toMinutes(`${parts.get("hour")}:${parts.get("minute")}`);
  return { day: DAYS.findIndex((name) => name === weekday), minute: minute % MINUTES_PER_DAY };
}
