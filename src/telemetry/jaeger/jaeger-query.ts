/**
 * The parameters of Jaeger's `GET /api/traces` as a search of the trace store: filters for its columns, and
 * tags that are compared with the spans. Other parameters of Jaeger's UI are ignored. Pure.
 */

import { GatewayError } from "../../errors.ts";
import type { TraceFilters } from "../store/stored-trace.ts";
import { parseTenantName } from "../store/trace-query.ts";

export interface JaegerQuery {
  readonly service: string;
  /** Name of a span in the trace; any when undefined. */
  readonly operation: string | undefined;
  readonly tenant: string | undefined;
  readonly filters: TraceFilters;
  /** Tags the store has no column for: each must be on a span of the trace. Values as text. */
  readonly tags: ReadonlyMap<string, string>;
  readonly limit: number;
}

/** Jaeger's own default. */
const DEFAULT_LIMIT = 100;
/** Traces are read one by one. */
const MAX_LIMIT = 200;
const MAX_TAGS = 16;
const US_PER_MS = 1000;

type Filled = { -readonly [key in keyof TraceFilters]: TraceFilters[key] };

/** Tags that are columns of the store: our names, the conventions' old ones, and the admin API's. */
const COLUMN_TAGS: Readonly<Record<string, (filters: Filled, value: string, name: string) => void>> = {
  "http.status_code": setStatus,
  "http.response.status_code": setStatus,
  "gen_ai.request.model": (filters, value) => void (filters.model = value),
  model: (filters, value) => void (filters.model = value),
  "gateway.route.id": (filters, value) => void (filters.route = value),
  route: (filters, value) => void (filters.route = value),
};

const TENANT_TAGS: ReadonlySet<string> = new Set(["gateway.tenant.id", "tenant"]);

/** Reads the parameters; throws `invalid_request` that names the wrong one. */
export function parseJaegerQuery(parameters: URLSearchParams): JaegerQuery {
  const service = parameters.get("service");
  if (service === null || service === "") throw wrong("service", "is required");
  const filters: Filled = {};
  const tags = new Map<string, string>();
  let tenant: string | undefined;
  for (const [name, value] of readTags(parameters)) {
    if (TENANT_TAGS.has(name)) tenant = parseTenantName(value, name);
    else if (Object.hasOwn(COLUMN_TAGS, name)) COLUMN_TAGS[name]?.(filters, value, name);
    else tags.set(name, value);
  }
  // The filter is a status or "error"; with both, the search compares `error` itself.
  if (filters.status === undefined && tags.get("error") === "true") {
    filters.status = "error";
    tags.delete("error");
  }
  setRange(filters, parameters);
  return {
    service,
    operation: parameters.get("operation") || undefined,
    tenant,
    filters,
    tags,
    limit: parseLimit(parameters.get("limit")),
  };
}

function setRange(filters: Filled, parameters: URLSearchParams): void {
  const read = <T>(name: string, parse: (text: string, name: string) => T): T | undefined => {
    const text = parameters.get(name);
    return text === null || text === "" ? undefined : parse(text, name);
  };
  const minMs = read("minDuration", parseDurationMs);
  const maxMs = read("maxDuration", parseDurationMs);
  const startUs = read("start", parseMicros);
  const endUs = read("end", parseMicros);
  if (minMs !== undefined) filters.minMs = Math.ceil(minMs);
  if (maxMs !== undefined) filters.maxMs = Math.floor(maxMs);
  if (startUs !== undefined) filters.sinceAt = Math.ceil(startUs / US_PER_MS);
  // Our `until` is exclusive, Jaeger's `end` inclusive.
  if (endUs !== undefined) filters.untilAt = Math.floor(endUs / US_PER_MS) + 1;
}

function setStatus(filters: Filled, value: string, name: string): void {
  if (!/^[1-5]\d\d$/.test(value)) throw wrong(name, "must be an HTTP status");
  filters.status = Number(value);
}

/** `tags={"k":"v"}` as Grafana sends it, and `tag=k:v` as Jaeger's UI can. */
function readTags(parameters: URLSearchParams): readonly (readonly [string, string])[] {
  const pairs = [
    ...parameters.getAll("tags").flatMap(parseTagObject),
    ...parameters.getAll("tag").map(parseTagPair),
  ];
  if (pairs.length > MAX_TAGS) throw wrong("tags", `has more than ${MAX_TAGS} tags`);
  return pairs;
}

function parseTagObject(text: string): readonly (readonly [string, string])[] {
  if (text === "") return [];
  const value = parseJson(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw badTags();
  return Object.entries(value).map(([name, tag]) => {
    if (typeof tag !== "string" && typeof tag !== "number" && typeof tag !== "boolean") throw badTags();
    return [name, String(tag)] as const;
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw badTags();
  }
}

function badTags(): GatewayError {
  return wrong("tags", 'must be a JSON object of strings such as {"error":"true"}');
}

function parseTagPair(text: string): readonly [string, string] {
  const colon = text.indexOf(":");
  if (colon < 1) throw wrong("tag", "must be name:value");
  return [text.slice(0, colon), text.slice(colon + 1)];
}

const MS_PER_UNIT: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** A duration as Go writes it, `10ms`, `1.5s`, `1m30s`, in ms. */
function parseDurationMs(text: string, name: string): number {
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text)) throw wrong(name, "must be a duration such as 10ms");
  let ms = 0;
  for (const [, value, unit] of text.matchAll(/(?<![\d.])([\d.]+)(ns|us|µs|ms|s|m|h)/g)) {
    ms += Number(value) * (MS_PER_UNIT[unit ?? ""] ?? 0);
  }
  return ms;
}

function parseMicros(text: string, name: string): number {
  if (!/^\d{1,16}$/.test(text)) throw wrong(name, "must be a time in microseconds since 1970");
  return Number(text);
}

function parseLimit(text: string | null): number {
  if (text === null || text === "") return DEFAULT_LIMIT;
  if (!/^\d{1,9}$/.test(text) || Number(text) < 1)
    throw wrong("limit", "must be a whole number of 1 or more");
  // A larger limit is accepted and cut to what one response can hold.
  return Math.min(Number(text), MAX_LIMIT);
}

function wrong(name: string, fault: string): GatewayError {
  return new GatewayError("invalid_request", `The parameter '${name}' ${fault}.`, { param: name });
}
