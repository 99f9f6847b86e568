/**
 * Reading parsed JSON whose shape a stranger decided: the few questions that wires, providers and the cache ask of
 * it. It validates nothing and throws nothing; a field of the wrong type reads as absent.
 */

import { ExactNumber } from "./exact.ts";

/** A parsed JSON object, neither array nor null. */
export type JsonRecord = Readonly<Record<string, unknown>>;

/** Whether a parsed value is a JSON object. */
export function isRecord(value: unknown): value is JsonRecord {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber)
  );
}

const EMPTY: JsonRecord = {};

/** The object, or an empty one where there is none, so that fields of fields can be asked for. */
export function recordOf(value: unknown): JsonRecord {
  return isRecord(value) ? value : EMPTY;
}

/** The array, or an empty one. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The string, unless it is empty or no string. */
export function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** Whether a field is there and not null: JSON's two ways of saying nothing. */
export function isPresent<T>(value: T): value is NonNullable<T> {
  return value !== undefined && value !== null;
}
