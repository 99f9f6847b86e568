/**
 * A recorded span as plain data: filtered by the allow-list, capped, and with text repaired that a receiver
 * would refuse. Every exported span passes through here. Pure.
 */

import { isListed, type AttributeValue } from "./attributes.ts";
import { STATUS_ERROR, toMs, type SpanRecorder } from "./span-recorder.ts";
import type { FinishedEvent, FinishedLink, FinishedSpan, SpanContextRef, SpanKind } from "./trace.ts";

/** Caps of one span: below what any back end we know cuts at (vendors' documentation, seen 2026-11). */
const MAX_ATTRIBUTES = 64;
const MAX_STRING_CHARS = 1024;
const MAX_ARRAY_ITEMS = 64;
export const MAX_EVENTS = 32;
export const MAX_LINKS_PER_SPAN = 16;
/** New Relic cuts names at 255 characters. */
const MAX_NAME_CHARS = 200;

/** First HTTP status that is the server's fault, and the first that is the client's. */
const SERVER_ERROR = 500;
const CLIENT_ERROR = 400;

export interface SpanFacts {
  readonly name: string;
  readonly kind: SpanKind;
  readonly ref: SpanContextRef;
  readonly parentSpanId: string | undefined;
  /** Events and links that were dropped because of the caps. */
  readonly droppedEvents: number;
  readonly droppedLinks: number;
}

/** A recorded span as plain data. */
export function finishSpan(recorder: SpanRecorder, facts: SpanFacts, isRoot: boolean): FinishedSpan {
  const { kept, droppedCount } = filterAttributes(recorder.attributes);
  const { droppedEvents, droppedLinks } = facts;
  const hasDropped = droppedCount + droppedEvents + droppedLinks > 0;
  return {
    traceId: facts.ref.traceId,
    spanId: facts.ref.spanId,
    parentSpanId: facts.parentSpanId,
    name: cutText(facts.name, MAX_NAME_CHARS),
    kind: facts.kind,
    startAt: toMs(recorder.startTime),
    endAt: toMs(recorder.endTime),
    attributes: kept,
    events: recorder.events.length === 0 ? NONE : recorder.events.map(finishEvent),
    links: recorder.links.length === 0 ? NONE : recorder.links.map(finishLink),
    isError: isRoot ? isRootError(recorder) : recorder.status.code === STATUS_ERROR,
    dropped: hasDropped
      ? { attributes: droppedCount, events: droppedEvents, links: droppedLinks }
      : undefined,
  };
}

/** Of the many spans that have no events or no links. */
const NONE: readonly never[] = [];

function finishEvent({ name, time, attributes = {} }: SpanRecorder["events"][number]): FinishedEvent {
  return { name, at: toMs(time), attributes: filterAttributes(attributes).kept };
}

function finishLink({ context, attributes = {} }: SpanRecorder["links"][number]): FinishedLink {
  const { traceId, spanId } = context;
  return { traceId, spanId, attributes: filterAttributes(attributes).kept };
}

/**
 * HTTP conventions for a SERVER span: 5xx is an error, 4xx is not (the caller's fault), and below that it is
 * one only if something else failed, such as a stream that was cut.
 */
function isRootError({ attributes, status }: SpanRecorder): boolean {
  const httpStatus = attributes["http.response.status_code"];
  if (typeof httpStatus === "number" && httpStatus >= CLIENT_ERROR) return httpStatus >= SERVER_ERROR;
  return status.code === STATUS_ERROR;
}

function filterAttributes(recorded: Readonly<Record<string, unknown>>): {
  readonly kept: Readonly<Record<string, AttributeValue>>;
  readonly droppedCount: number;
} {
  if (isClean(recorded)) return { kept: recorded, droppedCount: 0 };
  const kept: Record<string, AttributeValue> = {};
  let keptCount = 0;
  let droppedCount = 0;
  for (const name in recorded) {
    if (!isListed(name) || name.length > MAX_NAME_CHARS || keptCount === MAX_ATTRIBUTES) {
      droppedCount++;
      continue;
    }
    const value = cleanValue(recorded[name]);
    if (value === undefined) continue;
    kept[name] = value;
    keptCount++;
  }
  return { kept, droppedCount };
}

/** Whether it can be sent unchanged, as nearly always: a copy would be the largest cost of finishing a span. */
function isClean(
  recorded: Readonly<Record<string, unknown>>,
): recorded is Readonly<Record<string, AttributeValue>> {
  let count = 0;
  for (const name in recorded) {
    count++;
    if (count > MAX_ATTRIBUTES || name.length > MAX_NAME_CHARS) return false;
    if (!isListed(name) || !isCleanValue(recorded[name])) return false;
  }
  return true;
}

function isCleanValue(value: unknown): boolean {
  if (typeof value === "string") return value !== "" && isWhole(value);
  if (typeof value === "boolean") return true;
  if (typeof value === "number") return Number.isFinite(value);
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_ARRAY_ITEMS) return false;
  return value.every((item) => typeof item === "string" && isWhole(item));
}

function isWhole(text: string): boolean {
  return text.length <= MAX_STRING_CHARS && text.isWellFormed();
}

/** The value as it can be sent; undefined for an empty one, which some receivers refuse. */
function cleanValue(value: unknown): AttributeValue | undefined {
  if (typeof value === "string") return value === "" ? undefined : cutText(value, MAX_STRING_CHARS);
  if (typeof value === "boolean") return value;
  if (typeof value === "number") return Number.isFinite(value) ? value : undefined;
  if (!Array.isArray(value) || value.length === 0) return undefined;
  const items: string[] = [];
  for (const item of value) {
    if (items.length === MAX_ARRAY_ITEMS) break;
    if (typeof item === "string") items.push(cutText(item, MAX_STRING_CHARS));
  }
  return items;
}

/**
 * Cuts without splitting a character: half a surrogate pair is not valid UTF-8, and a receiver would refuse the
 * whole batch.
 */
function cutText(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text.isWellFormed() ? text : text.toWellFormed();
  const isSplit = (text.codePointAt(maxChars - 1) ?? 0) > 0xff_ff;
  return text.slice(0, isSplit ? maxChars - 1 : maxChars).toWellFormed();
}
