/**
 * What the readers of every upstream wire share: events that must be JSON, counts, positions, function calls, and the
 * error for an answer that breaks its own format. Not the meaning of any wire.
 */

import { GatewayError } from "../errors.ts";
import type { TokenUsage } from "../schema/chat.ts";
import { isPresent, isRecord, recordOf, textOf, type JsonRecord } from "../json/fields.ts";
import { parseJson } from "../json/exact.ts";

/** The error of an upstream that broke its own format; says what kind of thing it sent, never what was in it. */
export function malformed(what: string, cause?: unknown): GatewayError {
  return new GatewayError("upstream_malformed", `The upstream sent ${what}.`, { cause });
}

/** The error of an upstream that sent an error body with a 2xx status. */
export function errorWithGoodStatus(): GatewayError {
  return new GatewayError("upstream_error", "The upstream sent an error body with a 2xx status.");
}

/** A stream event's data as a JSON object; throws `upstream_malformed`. */
export function parseEvent(data: string): JsonRecord {
  let body: unknown;
  try {
    body = parseJson(data);
  } catch (cause) {
    throw malformed("a stream event that is not valid JSON", cause);
  }
  if (!isRecord(body)) throw malformed("a stream event that is not a JSON object");
  return body;
}

/** Whether this is a number of tokens. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

type Soundness = Pick<TokenUsage, "isUnsound">;
const SOUND: Soundness = {};
const UNSOUND: Soundness = { isUnsound: true };

/** What a usage says of itself: counts that are there must be numbers of tokens. */
export function soundnessOf(one: unknown, other: unknown): Soundness {
  return (isPresent(one) && !isCount(one)) || (isPresent(other) && !isCount(other)) ? UNSOUND : SOUND;
}

/** A choice's number; its place in the list where the vendor left the number out. */
export function readIndex(index: unknown, position: number): number {
  return isCount(index) ? index : position;
}

/**
 * Name and arguments (or a fragment of them) of a call of a function in OpenAI's form, which Cohere shares, or of a custom
 * tool, whose input is free text.
 */
export function readFunction(call: JsonRecord): {
  readonly name: string | undefined;
  readonly argumentsJson: string;
} {
  const custom = call["custom"];
  const called = isRecord(custom) ? custom : recordOf(call["function"]);
  const given = isRecord(custom) ? custom["input"] : called["arguments"];
  return { name: textOf(called["name"]), argumentsJson: textOf(given) ?? "" };
}

/** Two usages of one stream in the wire's own words, nested counts too: of each count the larger. */
export function largerCounts(before: JsonRecord, after: JsonRecord): JsonRecord {
  const merged: Record<string, unknown> = { ...before };
  for (const [name, value] of Object.entries(after)) {
    const known = before[name];
    if (isRecord(value)) merged[name] = largerCounts(recordOf(known), value);
    else merged[name] = isCount(known) && isCount(value) ? Math.max(known, value) : value;
  }
  return merged;
}
