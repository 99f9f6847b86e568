/**
 * The query string of `GET /admin/traces` as filters, and the cursor of its pages. A wrong or unknown parameter
 * is a 400 that names it: a misspelt filter must not be ignored. Pure.
 */

import { checkNames, parseTime, wrongParameter as wrong } from "./query-parameters.ts";
import { NEWEST } from "./store-query.ts";
import { NAME_PATTERN } from "../../tenants/records/record-name.ts";
import { UNKNOWN_TENANT, type TraceFilters } from "./stored-trace.ts";

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 200;
const MAX_TEXT_CHARS = 256;

const NAMES = [
  "tenant",
  "status",
  "model",
  "route",
  "key",
  "outcome",
  "cache",
  "q",
  "session",
  "endUser",
  "kind",
  "min_ms",
  "max_ms",
  "since",
  "until",
  "limit",
  "cursor",
] as const;
type ParameterName = (typeof NAMES)[number];

/** Where a page ended: items are ordered by position, newest first, then by tenant. */
export interface Cursor {
  readonly position: number;
  readonly tenant: string;
}

export interface TraceQuery {
  /** Undefined: all tenants and requests without a known one. */
  readonly tenant: string | undefined;
  readonly filters: TraceFilters;
  readonly limit: number;
  readonly cursor: Cursor | undefined;
}

export interface SessionQuery {
  readonly filters: TraceFilters;
  readonly limit: number;
  /** Of the position of a conversation's newest request. */
  readonly before: number;
}

const METADATA = "metadata.";
const METADATA_NAME = /^metadata\.[A-Za-z0-9_.-]{1,64}$/;

/** Reads the parameters; throws `invalid_request` that names the first wrong one. */
export function parseTraceQuery(parameters: URLSearchParams, now: number): TraceQuery {
  const isKnown = (name: string): boolean =>
    NAMES.some((known) => known === name) || METADATA_NAME.test(name);
  checkNames(parameters, isKnown, [...NAMES, "metadata.{name}"]);
  const read = <T>(name: ParameterName, parse: (text: string, name: string) => T): T | undefined => {
    const text = parameters.get(name);
    return text === null ? undefined : parse(text, name);
  };
  const filters = {
    status: read("status", parseStatus),
    model: read("model", parseText),
    route: read("route", parseText),
    key: read("key", parseText),
    outcome: read("outcome", parseText),
    cache: read("cache", parseText),
    idPart: read("q", parseText),
    session: read("session", parseText),
    endUser: read("endUser", parseText),
    metadata: readMetadata(parameters),
    isDataOnly: (read("kind", parseKind) ?? "data") === "data" ? true : undefined,
    minMs: read("min_ms", parseCount),
    maxMs: read("max_ms", parseCount),
    sinceAt: read("since", (text, name) => parseTime(text, name, now)),
    untilAt: read("until", (text, name) => parseTime(text, name, now)),
  };
  if (filters.minMs !== undefined && filters.maxMs !== undefined && filters.minMs > filters.maxMs) {
    throw wrong("max_ms", "must not be below min_ms");
  }
  if (filters.sinceAt !== undefined && filters.untilAt !== undefined && filters.sinceAt >= filters.untilAt) {
    throw wrong("until", "must be after since");
  }
  return {
    tenant: read("tenant", parseTenantName),
    filters: withoutUndefined(filters),
    limit: read("limit", parseLimit) ?? DEFAULT_LIMIT,
    cursor: read("cursor", parseCursor),
  };
}

/** The parameters of a list of conversations. */
export function parseSessionQuery(parameters: URLSearchParams, now: number): SessionQuery {
  const names = ["since", "until", "limit", "cursor"];
  checkNames(parameters, (name) => names.includes(name), names);
  const { filters, limit, cursor } = parseTraceQuery(parameters, now);
  return { filters, limit, before: cursor?.position ?? NEWEST };
}

function readMetadata(parameters: URLSearchParams): TraceFilters["metadata"] {
  const pairs = [...parameters].filter(([name]) => name.startsWith(METADATA));
  return pairs.length === 0
    ? undefined
    : pairs.map(([name, value]) => [name.slice(METADATA.length), parseText(value, name)]);
}

function parseKind(text: string, name: string): string {
  if (text !== "data" && text !== "all") throw wrong(name, "must be data or all");
  return text;
}

/** A cursor as opaque text for the client. */
export function formatCursor({ position, tenant }: Cursor): string {
  return btoa(`${position} ${tenant}`).replaceAll("=", "");
}

function parseCursor(text: string, name: string): Cursor {
  const [, position, tenant] = /^(\d{1,16}) ([a-z0-9._-]{1,63})$/.exec(decode(text)) ?? [];
  if (position === undefined || tenant === undefined || Number(position) > NEWEST) {
    throw wrong(name, "is invalid. Use the cursor of the previous page");
  }
  return { position: Number(position), tenant };
}

function decode(base64: string): string {
  try {
    return atob(base64);
  } catch {
    return "";
  }
}

/** A tenant's name, or `-` for unknown tenants; throws a 400 that names the parameter. */
export function parseTenantName(text: string, name: string): string {
  if (text !== UNKNOWN_TENANT && !NAME_PATTERN.test(text)) throw wrong(name, "must be a tenant's name");
  return text;
}

function parseStatus(text: string, name: string): number | "error" {
  if (text === "error") return "error";
  if (!/^[1-5]\d\d$/.test(text)) throw wrong(name, "must be an HTTP status or 'error'");
  return Number(text);
}

function parseText(text: string, name: string): string {
  if (text === "" || text.length > MAX_TEXT_CHARS)
    throw wrong(name, `must have 1 to ${MAX_TEXT_CHARS} characters`);
  return text;
}

function parseCount(text: string, name: string): number {
  if (!/^\d{1,12}$/.test(text)) throw wrong(name, "must be a whole number of milliseconds");
  return Number(text);
}

function parseLimit(text: string, name: string): number {
  const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > MAX_LIMIT) throw wrong(name, `must be a whole number from 1 to ${MAX_LIMIT}`);
  return limit;
}

type Filled<T> = { [key in keyof T]?: Exclude<T[key], undefined> };

function withoutUndefined<T extends object>(filters: T): Filled<T> {
  // Without its undefined values, the object has this type.
  return Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== undefined)) as Filled<T>;
}
