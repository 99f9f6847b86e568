/**
 * How much structure the JSON of a request may have: beyond that it is refused before it costs an isolate's time. How large
 * and how slow a body may be is src/http/read-body.ts.
 */

import { GatewayError } from "../errors.ts";

/** Objects and arrays inside each other. */
export const MAX_JSON_DEPTH = 128;
/** Members of all objects together. */
export const MAX_JSON_MEMBERS = 100_000;
/** Members and array items together: room for the 300,000 tokens that one request for embeddings may hold at OpenAI. */
export const MAX_JSON_VALUES = 400_000;

/** A member takes at least five characters and an item two, so that shorter texts need not be counted. */
const MIN_COUNTED_CHARS = Math.min(2 * MAX_JSON_VALUES, 5 * MAX_JSON_MEMBERS);

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;

/** What `parse` makes of the text. Throws `invalid_request` that names the limit, and whatever `parse` throws. */
export function parseWithinBounds(text: string, parse: (text: string) => unknown): unknown {
  if (text.length >= MIN_COUNTED_CHARS) checkCounts(text);
  const value = parse(text);
  if (isDeeper(value, MAX_JSON_DEPTH)) throw beyond(`${MAX_JSON_DEPTH} levels of objects and arrays`);
  return value;
}

/** Before it is parsed, which costs more than to count. */
function checkCounts(text: string): void {
  let members = 0;
  let values = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = closingQuote(text, at);
    else if (code === COLON) members += 1;
    // The first value of each object and array has no comma before it.
    else if (code === COMMA || code === OPEN_OBJECT || code === OPEN_ARRAY) values += 1;
    if (members > MAX_JSON_MEMBERS) throw beyond(`${MAX_JSON_MEMBERS} members of objects`);
    if (values > MAX_JSON_VALUES) throw beyond(`${MAX_JSON_VALUES} members and array items`);
  }
}

/** Where the string that opens at `start` is closed; the text's end where it is not. */
function closingQuote(text: string, start: number): number {
  let at = start;
  for (;;) {
    at = text.indexOf('"', at + 1);
    if (at === -1) return text.length;
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === BACKSLASH) slashes += 1;
    if (slashes % 2 === 0) return at;
  }
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (levels === 0) return true;
  if (Array.isArray(value)) {
    for (const item of value) if (isDeeper(item, levels - 1)) return true;
    return false;
  }
  for (const item of Object.values(value)) if (isDeeper(item, levels - 1)) return true;
  return false;
}

function beyond(limit: string): GatewayError {
  return new GatewayError(
    "invalid_request",
    `The body has more than ${limit}, the most that is read. Send less in one request.`,
    { param: "body" },
  );
}
