/**
 * JSON Schemas as Claude's structured output takes them: each object's `additionalProperties` must be false. A schema
 * that is silent about it becomes one that says so; its own word stands.
 * https://platform.claude.com/docs/en/build-with-claude/structured-outputs (seen 2026-11)
 */

import { isRecord } from "../json/fields.ts";

/** Keywords whose value maps names to schemas. */
const SCHEMA_MAPS: ReadonlySet<string> = new Set(["properties", "$defs", "definitions"]);
/** Keywords whose value is one schema or a list of them; that of any other is data. */
const SCHEMAS: ReadonlySet<string> = new Set(["items", "prefixItems", "anyOf", "allOf", "oneOf", "not"]);

export function closeObjects(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closeObjects);
  if (!isRecord(schema)) return schema;
  const closed = Object.fromEntries(
    Object.entries(schema).map(([name, value]) => [name, closeKeyword(name, value)]),
  );
  const isObject = schema["type"] === "object" || isRecord(schema["properties"]);
  return isObject && schema["additionalProperties"] === undefined
    ? { ...closed, additionalProperties: false }
    : closed;
}

function closeKeyword(name: string, value: unknown): unknown {
  if (SCHEMAS.has(name)) return closeObjects(value);
  if (!SCHEMA_MAPS.has(name) || !isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, schema]) => [key, closeObjects(schema)]));
}
