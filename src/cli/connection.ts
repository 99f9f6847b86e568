/** The admin API of one gateway, as the commands call it: which gateway, by which token, and errors in words. Runs in Node. */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CommandError } from "./command-error.ts";

const DEFAULT_URL = "http://localhost:8787";
const LOCAL_HOSTS: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);
/** Where `npm start` keeps the token that it made. */
const LOCAL_TOKEN_FILE = join(".wrangler/state", "headgate", "admin-token");
const TIMEOUT_MS = 30_000;
const PAGE_SIZE = 1000;

export interface Connection {
  /** Without a slash at the end. */
  readonly url: string;
  /** Absent where none was given or found: calls then go without. */
  readonly token?: string;
}

/** The gateway of `--url` or `HEADGATE_URL`; the token of `HEADGATE_TOKEN`, or the one that a local run has made. */
export function connect(url: string | undefined, env: NodeJS.ProcessEnv): Connection {
  const given = url ?? env["HEADGATE_URL"] ?? DEFAULT_URL;
  if (!URL.canParse(given) || !/^https?:/.test(given)) {
    throw new CommandError(
      `The gateway's URL is not valid: ${given}. Use http:// or https:// and a host, for example ${DEFAULT_URL}.`,
    );
  }
  const { origin, hostname } = new URL(given);
  const token = env["HEADGATE_TOKEN"] ?? (LOCAL_HOSTS.has(hostname) ? localToken() : undefined);
  return { url: origin, ...(token !== undefined && { token }) };
}

function localToken(): string | undefined {
  return existsSync(LOCAL_TOKEN_FILE) ? readFileSync(LOCAL_TOKEN_FILE, "utf8").trim() : undefined;
}

export interface AdminCallOptions {
  readonly body?: unknown;
  readonly accept?: string;
}

/** Calls the gateway once. Throws a CommandError only where it can't be reached. */
export async function call(
  { url, token }: Connection,
  method: string,
  path: string,
  { body, accept }: AdminCallOptions = {},
): Promise<Response> {
  const headers = {
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(accept !== undefined && { accept }),
    ...(body !== undefined && { "content-type": "application/json" }),
  };
  try {
    return await fetch(url + path, {
      method,
      headers,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  } catch (error) {
    throw new CommandError(`${url} can't be reached: ${reasonOf(error)}. Is the gateway running there?`);
  }
}

/** What the gateway answered, or the CommandError that says why it refused. */
export async function callJson(
  connection: Connection,
  method: string,
  path: string,
  body?: unknown,
): Promise<Record<string, unknown>> {
  const response = await call(connection, method, path, { ...(body !== undefined && { body }) });
  const text = await response.text();
  if (!response.ok) throw refusal(method, path, response.status, text);
  // The admin API answers objects.
  return text === "" ? {} : (JSON.parse(text) as Record<string, unknown>);
}

/** The record at a path; undefined where there is none. */
export async function readRecord(
  connection: Connection,
  path: string,
): Promise<Record<string, unknown> | undefined> {
  const response = await call(connection, "GET", path);
  const text = await response.text();
  if (response.status === 404) return undefined;
  if (!response.ok) throw refusal("GET", path, response.status, text);
  return JSON.parse(text) as Record<string, unknown>;
}

/** All items of a list, page after page. */
export async function listRecords(
  connection: Connection,
  path: string,
): Promise<readonly Record<string, unknown>[]> {
  const items: Record<string, unknown>[] = [];
  let cursor: unknown = null;
  do {
    const query = new URLSearchParams({
      limit: String(PAGE_SIZE),
      ...(typeof cursor === "string" && { cursor }),
    });
    const page = await callJson(connection, "GET", `${path}?${query}`);
    // Lists are pages of records: src/docs/admin-api.md, "Conventions".
    items.push(...(page["items"] as Record<string, unknown>[]));
    cursor = page["cursor"];
  } while (typeof cursor === "string");
  return items;
}

/** An answer that is not a success, in words. */
export function refusal(method: string, path: string, status: number, text: string): CommandError {
  if (status === 401) {
    return new CommandError(
      "The gateway refused the admin token. Set HEADGATE_TOKEN to ADMIN_TOKEN, or to a token that may do this.",
    );
  }
  return new CommandError(`${method} ${path}: ${status} ${detailOf(text)}`);
}

/** The `detail` of a problem document (RFC 9457), else the beginning of the text. */
function detailOf(text: string): string {
  try {
    const { detail, title } = Object(JSON.parse(text)) as { detail?: unknown; title?: unknown };
    if (typeof detail === "string") return detail;
    if (typeof title === "string") return title;
  } catch {
    // Not JSON.
  }
  return text.slice(0, 300);
}

function reasonOf(error: unknown): string {
  const { name, cause } = Object(error) as { name?: unknown; cause?: { code?: unknown; message?: unknown } };
  if (name === "TimeoutError") return `no answer within ${TIMEOUT_MS / 1000} s`;
  if (cause?.code === "ECONNREFUSED") return "the connection was refused";
  if (cause?.code === "ENOTFOUND") return "the host name is not known";
  return typeof cause?.message === "string" && cause.message !== "" ? cause.message : String(error);
}
