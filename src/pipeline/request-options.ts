/**
 * The optional request headers (src/docs/http-api.md), read and checked once. Pure. The cache's own two are
 * cache/policy.ts.
 */

import { GatewayError } from "../errors.ts";
import type { Lane } from "../limits/protocol.ts";
import { hasUnsafeCharacters } from "../runtime/safe-names.ts";

export interface RequestOptions {
  readonly lane: Lane;
  /** Undefined: the tenant's. */
  readonly maxWaitMs?: number;
  /** Time to the first upstream byte, per attempt; undefined: the route's. `x-headgate-timeout-ms` is its older name. */
  readonly firstByteMs?: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly session?: string;
  /** As the client names it. */
  readonly endUser?: string;
  readonly pin?: string;
  /** Fields that have no counterpart at the upstream are left out instead of refused. */
  readonly isLenient: boolean;
}

const MAX_METADATA_PAIRS = 8;
const MAX_METADATA_CHARS = 256;
const MAX_ID_CHARS = 256;
const MAX_MS = 3_600_000;

/** Throws `invalid_request` that names the header. */
export function readRequestOptions(headers: Headers): RequestOptions {
  const priority = headers.get("x-headgate-priority") ?? "interactive";
  if (priority !== "interactive" && priority !== "batch") {
    throw wrong("x-headgate-priority", "must be interactive or batch");
  }
  const maxWaitMs = readMs(headers, "x-headgate-max-wait-ms", 0);
  const firstByteMs =
    readMs(headers, "x-headgate-first-byte-timeout-ms", 1) ?? readMs(headers, "x-headgate-timeout-ms", 1);
  const session = readId(headers, "x-headgate-session");
  const endUser = readId(headers, "x-headgate-end-user");
  const pin = headers.get("x-headgate-target");
  return {
    lane: priority,
    isLenient: readSwitch(headers, "x-headgate-lenient"),
    metadata: readMetadata(headers.get("x-headgate-metadata")),
    ...(maxWaitMs !== undefined && { maxWaitMs }),
    ...(firstByteMs !== undefined && { firstByteMs }),
    ...(session !== undefined && { session }),
    ...(endUser !== undefined && { endUser }),
    ...(pin !== null && { pin }),
  };
}

/** A request's labels: the client's, and over them those that the operator gave its key. */
export function labelsOf(
  key: { readonly metadata?: Readonly<Record<string, string>> | undefined },
  { metadata }: Pick<RequestOptions, "metadata">,
): Readonly<Record<string, string>> {
  return key.metadata === undefined ? metadata : { ...metadata, ...key.metadata };
}

function readId(headers: Headers, name: string): string | undefined {
  const id = headers.get(name);
  if (id === null) return undefined;
  if (id === "" || id.length > MAX_ID_CHARS) throw wrong(name, `must have 1 to ${MAX_ID_CHARS} characters`);
  if (hasUnsafeCharacters(id)) throw wrong(name, "must not contain control or bidirectional characters");
  return id;
}

function readSwitch(headers: Headers, name: string): boolean {
  const text = headers.get(name) ?? "0";
  if (text !== "1" && text !== "0") throw wrong(name, "must be 0 or 1");
  return text === "1";
}

function readMs(headers: Headers, name: string, least: number): number | undefined {
  const text = headers.get(name);
  if (text === null) return undefined;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
  if (!(value >= least && value <= MAX_MS)) {
    throw wrong(name, `must be a whole number of milliseconds from ${least} to ${MAX_MS}`);
  }
  return value;
}

function readMetadata(text: string | null): Readonly<Record<string, string>> {
  if (text === null) return {};
  const name = "x-headgate-metadata";
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong(name, "must be a JSON object of strings");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw wrong(name, "must be a JSON object of strings");
  }
  const pairs: [string, string][] = [];
  for (const [key, entry] of Object.entries(value)) {
    if (!/^[A-Za-z0-9_.-]{1,64}$/.test(key)) throw wrong(name, "keys must have 1 to 64 of A-Z a-z 0-9 _ . -");
    if (typeof entry !== "string" || entry.length > MAX_METADATA_CHARS) {
      throw wrong(name, `'${key}' must be a string of at most ${MAX_METADATA_CHARS} characters`);
    }
    if (hasUnsafeCharacters(entry)) {
      throw wrong(name, `'${key}' must not contain control or bidirectional characters`);
    }
    pairs.push([key, entry]);
  }
  if (pairs.length > MAX_METADATA_PAIRS) throw wrong(name, `must have at most ${MAX_METADATA_PAIRS} pairs`);
  return Object.fromEntries(pairs);
}

function wrong(header: string, rule: string): GatewayError {
  return new GatewayError("invalid_request", `${header} ${rule}.`, { param: header });
}
