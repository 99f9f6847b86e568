// Reads Prometheus' text format 0.0.4 strictly: names, escapes, HELP and TYPE before the samples, families in one piece, no series
// twice, histograms that are cumulative and end in +Inf. Throws at the first fault.

export type Sample = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
};
export type Family = {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly samples: readonly Sample[];
};

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y;
const TYPES: readonly string[] = ["counter", "gauge", "histogram"];

/** All metric families in the text, by name. */
export function parsePrometheus(text: string): ReadonlyMap<string, Family> {
  if (text !== "" && !text.endsWith("\n")) throw new Error("the last line has no line feed");
  const families = new Map<string, Family & { readonly samples: Sample[] }>();
  const helps = new Map<string, string>();
  const series = new Set<string>();
  let current: (Family & { readonly samples: Sample[] }) | undefined;
  for (const line of text.split("\n").slice(0, -1)) {
    const [, keyword, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (keyword === "HELP") {
      if (!NAME.test(name) || helps.has(name)) throw new Error(`bad or second HELP: ${line}`);
      helps.set(name, rest);
      continue;
    }
    if (keyword === "TYPE") {
      if (!TYPES.includes(rest) || families.has(name)) throw new Error(`bad or second TYPE: ${line}`);
      current = { name, help: helps.get(name) ?? "", type: rest, samples: [] };
      families.set(name, current);
      continue;
    }
    const sample = parseSample(line);
    if (current === undefined || !belongs(sample.name, current)) throw new Error(`out of place: ${line}`);
    const identity = line.slice(0, line.lastIndexOf(" "));
    if (series.has(identity)) throw new Error(`twice: ${line}`);
    series.add(identity);
    current.samples.push(sample);
  }
  for (const family of families.values()) if (family.type === "histogram") checkHistogram(family);
  return families;
}

/** The sum of a family's samples that have all these labels; of its `_count` or `_sum` where a suffix is given. */
export function total(
  families: ReadonlyMap<string, Family>,
  name: string,
  labels: Readonly<Record<string, string>>,
  suffix: "" | "_count" | "_sum" = "",
): number {
  return (families.get(name)?.samples ?? [])
    .filter((sample) => sample.name === name + suffix)
    .filter((sample) => Object.entries(labels).every(([key, value]) => sample.labels[key] === value))
    .reduce((sum, { value }) => sum + value, 0);
}

function parseSample(line: string): Sample {
  const [, name, labelText = "", valueText] = SAMPLE.exec(line) ?? [];
  if (name === undefined || valueText === undefined) throw new Error(`no sample: ${line}`);
  const value = valueText === "+Inf" ? Number.POSITIVE_INFINITY : Number(valueText);
  if (Number.isNaN(value)) throw new Error(`no number: ${line}`);
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < labelText.length) {
    const [, key, escaped] = LABEL.exec(labelText) ?? [];
    if (key === undefined || escaped === undefined) throw new Error(`bad labels: ${line}`);
    if (key in labels) throw new Error(`label twice: ${line}`);
    labels[key] = escaped.replaceAll(/\\(.)/g, (_, char: string) => (char === "n" ? "\n" : char));
  }
  return { name, labels, value };
}

function belongs(sampleName: string, { name, type }: Family): boolean {
  if (type !== "histogram") return sampleName === name;
  return [`${name}_bucket`, `${name}_sum`, `${name}_count`].includes(sampleName);
}

function checkHistogram({ name, samples }: Family): void {
  const withoutLe = ({ labels }: Sample): string =>
    JSON.stringify(Object.entries(labels).filter(([key]) => key !== "le"));
  for (const [labels, members] of Map.groupBy(samples, withoutLe)) {
    const buckets = members.filter((sample) => sample.name === `${name}_bucket`);
    const bounds = buckets.map((bucket) => Number((bucket.labels["le"] ?? "").replace("+Inf", "Infinity")));
    const isAscending = bounds.every((bound, index) => index === 0 || bound > (bounds[index - 1] ?? 0));
    const isCumulative = buckets.every(({ value }, index) => value >= (buckets[index - 1]?.value ?? 0));
    const count = members.find((sample) => sample.name === `${name}_count`)?.value;
    const isComplete = bounds.at(-1) === Number.POSITIVE_INFINITY && buckets.at(-1)?.value === count;
    if (!isAscending || !isCumulative || !isComplete || members.length !== buckets.length + 2)
      throw new Error(`histogram ${name}${labels} is not one`);
  }
}
