/**
 * Reading Gemini's JSON as a client may write it: protobuf's JSON form takes each field in camelCase and in snake_case,
 * and Google's own examples use both. https://protobuf.dev/programming-guides/json/ (seen 2026-11)
 */

import type { DropField } from "../../schema/conversation.ts";
import { isPresent, recordOf, type JsonRecord } from "../../json/fields.ts";

/** The message's fields by their camelCase names; a copy only where one was written otherwise. */
export function camelFields(value: unknown): JsonRecord {
  const record = recordOf(value);
  if (!Object.keys(record).some((name) => name.includes("_"))) return record;
  return Object.fromEntries(Object.entries(record).map(([name, field]) => [toCamel(name), field]));
}

function toCamel(name: string): string {
  // A leading underscore is part of a name: `_responseJsonSchema`.
  return name.replace(/(?<=.)_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** The fields, after `drop` was called for each one that is neither null nor in `known`, by its path in the request. */
export function knownFields(
  value: unknown,
  path: string,
  known: ReadonlySet<string>,
  drop: DropField,
): JsonRecord {
  const fields = camelFields(value);
  for (const name of Object.keys(fields)) {
    if (!known.has(name) && isPresent(fields[name])) drop(path === "" ? name : `${path}.${name}`);
  }
  return fields;
}
