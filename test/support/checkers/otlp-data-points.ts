// What metrics.proto says in words about a Metric's data points: buckets that add up, times in order, one value, no series twice.

export type JsonObject = Readonly<Record<string, unknown>>;
export type Report = (path: string, problem: string) => void;

const DATA = ["gauge", "sum", "histogram"] as const;

export function checkDataPoints(metric: JsonObject, path: string, report: Report): void {
  const present = DATA.filter((name) => metric[name] !== undefined);
  const [kind] = present;
  if (kind === undefined || present.length > 1)
    return report(path, `a Metric has exactly one kind of data, not ${present.length}`);
  const data = metric[kind];
  if (!isObject(data) || !Array.isArray(data["dataPoints"])) return;
  const points: readonly unknown[] = data["dataPoints"];
  const seen = new Set<string>();
  for (const [index, point] of points.entries()) {
    if (!isObject(point)) continue;
    const at = `${path}.${kind}.dataPoints[${index}]`;
    const identity = identityOf(point["attributes"]);
    if (seen.has(identity)) report(at, "its attributes are those of another point");
    seen.add(identity);
    if (kind === "histogram") checkHistogram(point, at, report);
    else checkNumber(point, at, report);
    if (kind !== "gauge") checkTimes(point, at, report);
  }
}

function identityOf(attributes: unknown): string {
  if (!Array.isArray(attributes)) return "";
  return attributes
    .map((attribute) => JSON.stringify(attribute))
    .toSorted()
    .join();
}

function checkNumber(point: JsonObject, path: string, report: Report): void {
  const values = ["asInt", "asDouble"].filter((name) => point[name] !== undefined);
  if (values.length !== 1) report(path, `a point has exactly one value, not ${values.length}`);
}

function checkHistogram(point: JsonObject, path: string, report: Report): void {
  const bounds = numbersOf(point["explicitBounds"]);
  const buckets = numbersOf(point["bucketCounts"]);
  if (buckets.length !== bounds.length + 1)
    report(path, `${bounds.length} bounds make ${bounds.length + 1} buckets, not ${buckets.length}`);
  if (bounds.some((bound, index) => bound <= (bounds[index - 1] ?? Number.NEGATIVE_INFINITY)))
    report(path, "bounds must ascend");
  const sum = buckets.reduce((all, count) => all + count, 0);
  if (sum !== Number(point["count"])) report(path, `the buckets hold ${sum}, the count says otherwise`);
}

function numbersOf(value: unknown): readonly number[] {
  return Array.isArray(value) ? value.map(Number) : [];
}

function checkTimes(point: JsonObject, path: string, report: Report): void {
  const start = point["startTimeUnixNano"];
  const end = point["timeUnixNano"];
  if (typeof start !== "string") return report(path, "a sum or histogram has a startTimeUnixNano");
  if (typeof end !== "string" || !/^\d+$/.test(start + end)) return;
  if (BigInt(end) < BigInt(start)) report(path, "it was taken before it was begun");
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
