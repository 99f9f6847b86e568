/**
 * Measurements added up: one series for each instrument and set of labels, of which there are boundedly many. Pure; the
 * isolate gathers in it (meter.ts), and the tenant's object keeps its totals in it (ledger.ts).
 */

import {
  findInstrument,
  type Instrument,
  type InstrumentName,
  type Labels,
  type MetricLabel,
} from "./instruments.ts";

/** One series in raw units (instruments.ts). A histogram's count is the sum of its buckets; a counter has none. */
export interface Series {
  readonly instrument: string;
  readonly labels: Labels;
  readonly sum: number;
  readonly buckets: readonly number[];
  /** Ms since the epoch: what happened before is not in the numbers. */
  readonly startAt: number;
  /** Ms since the epoch of the last measurement. */
  readonly touchedAt: number;
}

interface Entry extends Series {
  sum: number;
  readonly buckets: number[];
  startAt: number;
  touchedAt: number;
}

/** All series of one instrument. */
interface Family {
  readonly name: string;
  readonly instrument: Instrument;
  /** The labels that tell its series apart. */
  readonly keyLabels: readonly MetricLabel[];
  readonly entries: Map<string, Entry>;
}

export interface SeriesTable {
  /** Adds one measurement in raw units, `times` times, taken at `at`. */
  record(instrument: InstrumentName, labels: Labels, value: number, at: number, times?: number): void;
  /** Adds what another table has gathered; series of unknown instruments or with other buckets are left out. */
  merge(series: Series, at: number): void;
  list(): readonly Series[];
}

/** Sets of labels an instrument may have in one table: a client can name models at will, and each would be a series. */
export const MAX_SERIES = 200;
/** When there is no room, a series that nothing was added to for a day gives up its place. */
const IDLE_MS = 86_400_000;
/** Names of models are the longest values; what is longer is nobody's name. */
const MAX_VALUE_CHARS = 128;

const OVERFLOW_LABEL = "otel.metric.overflow";
/** All the rest: the OpenTelemetry SDK specification, "Overflow attribute". */
const OVERFLOW: Labels = { [OVERFLOW_LABEL]: "true" };

/** A table, empty or with what was saved of one. */
export function createSeriesTable(saved: readonly Series[] = []): SeriesTable {
  const families = new Map<string, Family>();

  function familyOf(name: string): Family | undefined {
    const known = families.get(name);
    if (known !== undefined) return known;
    const instrument = findInstrument(name);
    if (instrument === undefined) return undefined;
    const keyLabels = [...instrument.labels, OVERFLOW_LABEL] as const;
    const family: Family = { name, instrument, keyLabels, entries: new Map() };
    families.set(name, family);
    return family;
  }

  function merge({ instrument, labels, sum, buckets, startAt }: Series, at: number): void {
    const family = familyOf(instrument);
    if (family === undefined || bucketCountOf(family.instrument) !== buckets.length) return;
    const entry = entryOf(family, labels, at);
    entry.sum += sum;
    addBuckets(entry.buckets, buckets);
    entry.startAt = Math.min(entry.startAt, startAt);
    entry.touchedAt = Math.max(entry.touchedAt, at);
  }

  for (const series of saved) merge(series, series.touchedAt);

  return {
    record(name, labels, value, at, times = 1) {
      const family = familyOf(name);
      if (family === undefined) return;
      const entry = entryOf(family, labels, at);
      entry.sum += value * times;
      entry.touchedAt = at;
      const { instrument } = family;
      if (instrument.kind !== "histogram") return;
      const index = bucketOf(value / instrument.rawPerUnit, instrument.bounds);
      entry.buckets[index] = (entry.buckets[index] ?? 0) + times;
    },
    merge,
    list: () =>
      [...families.values()].flatMap(({ entries }) =>
        [...entries.values()].map((entry) => ({ ...entry, buckets: [...entry.buckets] })),
      ),
  };
}

function entryOf(family: Family, labels: Labels, at: number): Entry {
  const { entries } = family;
  const key = keyOf(labels, family.keyLabels);
  const known = entries.get(key);
  if (known !== undefined) return known;
  if (entries.size < MAX_SERIES || makeRoom(entries, at)) return open(family, key, labels, at);
  const overflowKey = keyOf(OVERFLOW, family.keyLabels);
  return entries.get(overflowKey) ?? open(family, overflowKey, OVERFLOW, at);
}

function open({ name, instrument, keyLabels, entries }: Family, key: string, labels: Labels, at: number) {
  const entry: Entry = {
    instrument: name,
    labels: cleanLabels(labels, keyLabels),
    sum: 0,
    buckets: Array.from({ length: bucketCountOf(instrument) }, () => 0),
    startAt: at,
    touchedAt: at,
  };
  entries.set(key, entry);
  return entry;
}

/** Takes the series out that was idle for longest; false when none has been idle for long. */
function makeRoom(entries: Map<string, Entry>, at: number): boolean {
  let oldest: [string, Entry] | undefined;
  for (const entry of entries) {
    if (oldest === undefined || entry[1].touchedAt < oldest[1].touchedAt) oldest = entry;
  }
  if (oldest === undefined || at - oldest[1].touchedAt < IDLE_MS) return false;
  return entries.delete(oldest[0]);
}

/** The values in the instrument's order; absent ones hold their place. */
function keyOf(labels: Labels, names: readonly MetricLabel[]): string {
  let key = "";
  for (const name of names) key += `${valueOf(labels[name])}\u0000`;
  return key;
}

/** Only the instrument's own labels, none of them empty. */
function cleanLabels(labels: Labels, names: readonly MetricLabel[]): Labels {
  return Object.fromEntries(
    names.map((name) => [name, valueOf(labels[name])] as const).filter(([, value]) => value !== ""),
  );
}

/** The bucket a value belongs to; a bound is part of the bucket below it. */
function bucketOf(value: number, bounds: readonly number[]): number {
  const index = bounds.findIndex((bound) => value <= bound);
  return index === -1 ? bounds.length : index;
}

function addBuckets(into: number[], added: readonly number[]): void {
  for (const [index, count] of added.entries()) into[index] = (into[index] ?? 0) + count;
}

function bucketCountOf(instrument: Instrument): number {
  return instrument.kind === "histogram" ? instrument.bounds.length + 1 : 0;
}

function valueOf(value: string | undefined): string {
  return value === undefined ? "" : value.slice(0, MAX_VALUE_CHARS);
}

/** How many measurements a histogram's series holds. */
export function countOf({ buckets }: Series): number {
  return buckets.reduce((sum, count) => sum + count, 0);
}
