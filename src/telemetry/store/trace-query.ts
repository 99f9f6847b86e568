/**
 * The query string of `GET /admin/traces` as filters, and the cursor of its pages. A wrong or unknown parameter
 * is a 400 that names it: a misspelt filter must not be ignored. Pure.
 */

import { GatewayError } from "../../errors.ts";
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

/** Reads the parameters; throws `invalid_request` that names the first wrong one. */
export function parseTraceQuery(parameters: URLSearchParams): TraceQuery {
  for (const name of parameters.keys()) {
    if (!NAMES.some((known) => known === name)) throw wrong(name, `is unknown. Use ${NAMES.join(", ")}`);
    if (parameters.getAll(name).length > 1) throw wrong(name, "is given more than once");
  }
  const read = <T>(name: ParameterName, parse: (text: string, name: string) => T): T | undefined => {
    const text = parameters.get(name);
    return text === null ? undefined : parse(text, name);
  };
  const filters = {
    status: read("status", parseStatus),
    model: read("model", parseText),
    route: read("route", parseText),
    minMs: read("min_ms", parseCount),
    maxMs: read("max_ms", parseCount),
    sinceAt: read("since", parseTime),
    untilAt: read("until", parseTime),
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

/** A date with a time and an offset: without an offset the time would be ambiguous. */
const ISO_8601 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$/;

function parseTime(text: string, name: string): number {
  // An unencoded plus sign of an offset arrives as a space.
  const written = text.replace(" ", "+");
  const at = ISO_8601.test(written) ? Date.parse(written) : Number.NaN;
  if (Number.isNaN(at) || at < 0)
    throw wrong(name, "must be a time in ISO 8601 such as 2026-11-25T09:30:00Z");
  return at;
}

type Filled<T> = { [key in keyof T]?: Exclude<T[key], undefined> };

function withoutUndefined<T extends object>(filters: T): Filled<T> {
  // Without its undefined values, the object has this type.
  return Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== undefined)) as Filled<T>;
}

function wrong(name: string, fault: string): GatewayError {
  return new GatewayError("invalid_request", `The parameter '${name}' ${fault}.`, { param: name });
}
