/**
 * Replaces or adds members of a JSON object as text, so that an upstream gets the client's own bytes and not our
 * rendering of them, and so that a long prompt is stepped over instead of serialised again. Knows no request format.
 */

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
/** Of the characters that can follow a JSON value, white space is all that is not above this one. */
const SPACE = 0x20;

export interface TopLevelEdit {
  /** Member name → its new value as JSON text. */
  readonly set: Readonly<Record<string, string>>;
  /** Member name → the name it gets; its value stays. One that is also set keeps its name. */
  readonly rename?: Readonly<Record<string, string>>;
}

/**
 * The same object with these members set and renamed; every byte outside them stays. All occurrences of a repeated name are
 * replaced, nested members of the same name are not, missing ones are added at the end.
 *
 * `jsonText` must be the text of a valid JSON object: the caller has parsed it, it is not checked again.
 */
export function editTopLevel(jsonText: string, { set, rename = {} }: TopLevelEdit): string {
  const missing = new Set(Object.keys(set));
  let edited = "";
  let copiedTo = 0;
  let lastEnd = jsonText.indexOf("{") + 1;
  let at = skipSpace(jsonText, lastEnd);
  const isEmpty = jsonText.charCodeAt(at) === CLOSE_OBJECT;

  while (jsonText.charCodeAt(at) === QUOTE) {
    const nameEnd = endOfString(jsonText, at);
    const name = readName(jsonText, at, nameEnd);
    const valueStart = skipSpace(jsonText, jsonText.indexOf(":", nameEnd) + 1);
    lastEnd = endOfValue(jsonText, valueStart);
    const value = Object.hasOwn(set, name) ? set[name] : undefined;
    if (value !== undefined) {
      edited += jsonText.slice(copiedTo, valueStart) + value;
      copiedTo = lastEnd;
      missing.delete(name);
    } else if (Object.hasOwn(rename, name)) {
      edited += jsonText.slice(copiedTo, at) + JSON.stringify(rename[name]);
      copiedTo = nameEnd;
    }
    at = skipSpace(jsonText, lastEnd);
    if (jsonText.charCodeAt(at) !== COMMA) break;
    at = skipSpace(jsonText, at + 1);
  }

  const added = Array.from(missing, (name) => `${JSON.stringify(name)}:${set[name]}`).join(",");
  const glue = added === "" || isEmpty ? "" : ",";
  return edited + jsonText.slice(copiedTo, lastEnd) + glue + added + jsonText.slice(lastEnd);
}

/** The member's name, whatever escapes it is written with. */
function readName(text: string, start: number, end: number): string {
  const raw = text.slice(start + 1, end - 1);
  return raw.includes("\\") ? String(JSON.parse(text.slice(start, end))) : raw;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (text.charCodeAt(at) <= SPACE) at += 1;
  return at;
}

/** Just past the closing quote of the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  let at = start;
  for (;;) {
    at = text.indexOf('"', at + 1);
    if (at < 0) return text.length;
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === BACKSLASH) slashes += 1;
    // An even run of backslashes escapes itself and leaves the quote free to close the string.
    if (slashes % 2 === 0) return at + 1;
  }
}

/** Just past the value that begins at `start`. */
function endOfValue(text: string, start: number): number {
  const first = text.charCodeAt(start);
  if (first === QUOTE) return endOfString(text, start);
  const isNested = first === OPEN_OBJECT || first === OPEN_ARRAY;
  return isNested ? endOfNested(text, start) : endOfScalar(text, start);
}

function endOfNested(text: string, start: number): number {
  let depth = 0;
  let at = start;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at);
      continue;
    }
    at += 1;
    if (code === OPEN_OBJECT || code === OPEN_ARRAY) depth += 1;
    else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) depth -= 1;
    if (depth === 0) return at;
  }
  return at;
}

/** A number, `true`, `false` or `null` ends where white space, a comma or the object's brace begins. */
function endOfScalar(text: string, start: number): number {
  let at = start;
  for (; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code <= SPACE || code === COMMA || code === CLOSE_OBJECT) break;
  }
  return at;
}
