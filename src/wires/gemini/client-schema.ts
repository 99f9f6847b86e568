/**
 * Gemini's own schema form (a wire of OpenAPI 3.0's, with types in capitals) as JSON Schema. What already is JSON
 * Schema passes through. Called for tool parameters and response schemas on their way to another vendor.
 * https://ai.google.dev/api/caching#Schema (seen 2026-11)
 */

import { isPresent, isRecord, listOf, type JsonRecord } from "../../json/fields.ts";
import { refuse } from "../checked-body.ts";
import { camelFields } from "./client-fields.ts";

/** Deeper than any real schema; recursion stays far from the stack's end. */
const MAX_DEPTH = 64;
/** Counts that protobuf's JSON writes as strings, being 64-bit. */
const COUNTS: ReadonlySet<string> = new Set([
  "minItems",
  "maxItems",
  "minLength",
  "maxLength",
  "minProperties",
  "maxProperties",
]);

/** `path` names the schema's place in the request, for a refusal. */
export function toJsonSchema(schema: unknown, path: string): unknown {
  return convert(schema, path, 0);
}

function convert(schema: unknown, path: string, depth: number): unknown {
  if (depth > MAX_DEPTH) refuse(path, `schemas may be nested ${MAX_DEPTH} deep`);
  if (!isRecord(schema)) return schema;
  const { nullable, propertyOrdering, example, format, ...fields } = camelFields(schema);
  const converted: Record<string, unknown> = {};
  const nest = (value: unknown): unknown => convert(value, path, depth + 1);
  for (const [name, value] of Object.entries(fields)) {
    if (!isPresent(value)) continue;
    if (name === "type") Object.assign(converted, readType(value));
    else if (name === "properties") converted[name] = convertProperties(value, propertyOrdering, nest);
    else if (name === "items" || name === "additionalProperties") converted[name] = nest(value);
    else if (name === "anyOf" || name === "prefixItems") converted[name] = listOf(value).map(nest);
    else if (COUNTS.has(name)) converted[name] = Number(value);
    else converted[name] = value;
  }
  // `enum` as a format only says that there is a list of values, which JSON Schema doesn't need to say.
  if (isPresent(format) && format !== "enum") converted["format"] = format;
  if (isPresent(example)) converted["examples"] = [example];
  return nullable === true ? withNull(converted) : converted;
}

function readType(type: unknown): JsonRecord {
  if (typeof type !== "string") return { type };
  return type === "TYPE_UNSPECIFIED" ? {} : { type: type.toLowerCase() };
}

/** In the order asked for: models write the members of an object in the order their schema has. */
function convertProperties(value: unknown, ordering: unknown, nest: (value: unknown) => unknown): unknown {
  if (!isRecord(value)) return value;
  const names = Object.keys(value);
  const first = listOf(ordering).filter((name): name is string => typeof name === "string");
  const ordered = new Set([...first.filter((name) => Object.hasOwn(value, name)), ...names]);
  return Object.fromEntries(Array.from(ordered, (name) => [name, nest(value[name])]));
}

function withNull(schema: JsonRecord): JsonRecord {
  const { type, enum: values, anyOf } = schema;
  return {
    ...schema,
    ...(typeof type === "string" && { type: [type, "null"] }),
    ...(Array.isArray(values) && { enum: [...values, null] }),
    ...(Array.isArray(anyOf) && { anyOf: [...anyOf, { type: "null" }] }),
  };
}
