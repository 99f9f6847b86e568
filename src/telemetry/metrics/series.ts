/**
 * Sums of measurements: one series per instrument and set of labels, in a bounded number. Pure; used for what
 * an isolate gathers and for a tenant's totals.
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
  /** Ms since the epoch; the sums begin there. */
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
  /** The labels that distinguish its series. */
  readonly keyLabels: readonly MetricLabel[];
  readonly entries: Map<string, Entry>;
}

export interface SeriesTable {
  /** Adds one measurement in raw units, `times` times, taken at `at`, in ms since the epoch. */
  record(instrument: InstrumentName, labels: Labels, value: number, at: number, times?: number): void;
  /** Adds another table's series; unknown instruments and other buckets are skipped. */
  merge(series: Series, at: number): void;
  list(): readonly Series[];
}

/** Series per instrument in one table: clients can send any model name, and each would be a series. */
export const MAX_SERIES = 200;
/** A full table replaces a series that was idle for a day. */
const IDLE_MS = 86_400_000;
/** Model names are the longest values; longer text is cut. */
const MAX_VALUE_CHARS = 128;

const OVERFLOW_LABEL = "otel.metric.overflow";
/** Collects everything above the limit: the OpenTelemetry SDK specification, "Overflow attribute". */
const OVERFLOW: Labels = { [OVERFLOW_LABEL]: "true" };

/** A table, empty or restored from saved series. */
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

/** Removes the series that was idle for longest; false when none was idle for a day. */
function makeRoom(entries: Map<string, Entry>, at: number): boolean {
  let oldest: [string, Entry] | undefined;
  for (const entry of entries) {
    if (oldest === undefined || entry[1].touchedAt < oldest[1].touchedAt) oldest = entry;
  }
  if (oldest === undefined || at - oldest[1].touchedAt < IDLE_MS) return false;
  return entries.delete(oldest[0]);
}

/** The values in the instrument's order; an absent one is an empty text. */
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

/** The bucket of a value; a bound belongs to the bucket below it. */
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

/** The number of measurements in a histogram's series. */
export function countOf({ buckets }: Series): number {
  return buckets.reduce((sum, count) => sum + count, 0);
}
