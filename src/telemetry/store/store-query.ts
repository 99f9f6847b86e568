/**
 * The SQL of a search in the trace store. Values are only passed as bindings. Pure.
 *
 * A row's id is its position: start in ms × SLOTS_PER_MS + a number. So the table is clustered by time: paging
 * and deleting use the primary key, and time needs no index (each index is one more row written per request).
 */

import type { TraceFilters } from "./stored-trace.ts";

/** Requests of one tenant that can start in one millisecond; ids stay below 2^53 until the year 2248. */
export const SLOTS_PER_MS = 1024;

/** Above every position. */
export const NEWEST = Number.MAX_SAFE_INTEGER;

export interface SearchQuery {
  readonly where: string;
  readonly bindings: readonly (string | number)[];
}

/** The condition of a search, without the keyword. */
export function buildCondition(filters: TraceFilters, before: number): SearchQuery {
  const terms: string[] = [];
  const bindings: (string | number)[] = [];
  const add = (term: string, value: string | number): void => {
    terms.push(term);
    bindings.push(value);
  };
  const { status, model, route, key, outcome, cache, idPart, minMs, maxMs, sinceAt, untilAt } = filters;
  const { session, endUser, metadata = [], isDataOnly } = filters;
  add("id < ?", untilAt === undefined ? before : Math.min(before, untilAt * SLOTS_PER_MS));
  if (sinceAt !== undefined) add("id >= ?", sinceAt * SLOTS_PER_MS);
  if (status === "error") terms.push("is_error = 1");
  else if (status !== undefined) add("status = ?", status);
  if (model !== undefined) add("model = ?", model);
  if (route !== undefined) add("route = ?", route);
  if (key !== undefined) add("key_id = ?", key);
  if (outcome !== undefined) add("outcome = ?", outcome);
  if (cache !== undefined) add("cache = ?", cache);
  if (idPart !== undefined) add("instr(trace_id || char(0) || request_id, ?) > 0", idPart.toLowerCase());
  if (session !== undefined) add("session = ?", session);
  if (endUser !== undefined) add("end_user = ?", endUser);
  for (const [name, value] of metadata) add("instr(otlp, ?) > 0", attributeText(name, value));
  // Rows of an earlier version don't know.
  if (isDataOnly) terms.push("is_data IS NOT 0");
  if (minMs !== undefined) add("duration_ms >= ?", minMs);
  if (maxMs !== undefined) add("duration_ms <= ?", maxMs);
  return { where: terms.join(" AND "), bindings };
}

/** A label as it stands in a stored span: inside a text of JSON, its quotes would be escaped. */
function attributeText(name: string, value: string): string {
  return JSON.stringify({ key: `gateway.metadata.${name}`, value: { stringValue: value } });
}
