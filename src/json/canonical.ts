/**
 * One text for all JSON values of equal meaning, to be hashed: members sorted, numbers and strings in one form, each
 * value ending where its own text says so, so that no two values share a text. Not JSON, and never parsed.
 */

import { ExactNumber } from "./exact.ts";
import { isRecord } from "./fields.ts";

/** Deeper than any schema or message; recursion stays far from the stack's end. */
const MAX_DEPTH = 128;

/**
 * The canonical text of a parsed JSON value, without the members named in `skip` at its top level. Undefined where the
 * parsed value is not all that was sent (integers beyond 2^53 lose digits), or is nested too deeply to walk.
 */
export function canonicalText(value: unknown, skip?: ReadonlySet<string>): string | undefined {
  let text = "";
  let isExact = true;

  function write(part: unknown, depth: number): void {
    if (typeof part === "string") text += writeString(part);
    else if (typeof part === "number") writeNumber(part);
    else if (part instanceof ExactNumber) text += `${part.digits};`;
    else if (part === null || typeof part === "boolean") text += `${part};`;
    else if (depth >= MAX_DEPTH) isExact = false;
    else if (Array.isArray(part)) {
      text += `[${part.length}:`;
      for (const item of part) write(item, depth + 1);
    } else if (isRecord(part)) writeObject(part, depth);
  }

  function writeNumber(number: number): void {
    // A number that isn't a safe integer and yet has no fraction may have been another number before it was parsed.
    if (!Number.isFinite(number) || (Number.isInteger(number) && !Number.isSafeInteger(number)))
      isExact = false;
    text += `${number};`;
  }

  function writeObject(object: Readonly<Record<string, unknown>>, depth: number): void {
    let names = Object.keys(object);
    if (depth === 0 && skip !== undefined) names = names.filter((name) => !skip.has(name));
    text += `{${names.length}:`;
    for (const name of names.toSorted()) {
      text += writeString(name);
      write(object[name], depth + 1);
    }
  }

  write(value, 0);
  return isExact ? text : undefined;
}

/** With its length in front a string needs no escapes, which makes a long prompt cheap. */
function writeString(string: string): string {
  // Half a surrogate pair has no UTF-8 form of its own: hashed as it is it would equal U+FFFD.
  if (!string.isWellFormed()) return `'${writeString(JSON.stringify(string))}`;
  return `"${string.length}:${string}`;
}
