/**
 * One request from its arrival at the queue to the end of its lease, and its gateway key: the records that the queue's
 * rules share. Plain state, no rules.
 */

import { createAllowance, type Allowance, type Reservation } from "../usage/allowance.ts";
import { NO_SLOT, type Timed } from "../structures/timer-heap.ts";
import { createFlow, type Flow, type Queued } from "../structures/fair-queue.ts";
import type { AdmissionRequest, Admitted, Lane, LimitName, SpanRef, WaitRecord } from "../protocol.ts";

/** Output costs an upstream more than input: the weights of arXiv 2401.00588, and one for the request itself. */
const OUTPUT_WEIGHT = 2;
const REQUEST_WEIGHT = 1;

/** A gateway key of the tenant: its own limits and its place in the queue. */
export interface Key extends Flow<QueueEntry> {
  readonly id: string;
  readonly allowance: Allowance;
  lastUsedAt: number;
}

/** `dueAt` is its deadline while it waits and its lease's expiry after that. */
export interface QueueEntry extends Timed, Queued<QueueEntry> {
  /** These three are empty for a prefetched lease until its isolate has reported the request that uses it. */
  requestId: string;
  traceId: string;
  spanId: string;
  readonly flow: Key;
  readonly lane: Lane;
  readonly arrivedAt: number;
  readonly maxWaitMs: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly costMicroUsd: number;
  /** Position and queue depth on arrival. */
  readonly position: number;
  readonly depth: number;
  /** It counts towards the queue's depth; a new request without a place is admitted at once or refused. */
  hasPlace: boolean;
  /** Its lease was adopted again after the object had lost it: what it reserved is not known. */
  isAdopted: boolean;
  phase: "waiting" | "holding" | "over";
  heldBy: LimitName | undefined;
  queuedBehind: readonly SpanRef[];
  lease: LeaseState | undefined;
  /** What was recorded as spent when its lease ran out; undefined where nothing was. */
  booked: Booking | undefined;
}

/** An estimate in place of a settlement, which replaces it if it comes after all. */
export interface Booking {
  readonly microUsd: number;
  readonly at: number;
}

/** What an entry has once it was admitted. */
export interface LeaseState {
  readonly token: number;
  /** When its caller starts; later than the admission where it sleeps until then. */
  readonly goAt: number;
  readonly ofTenant: Reservation;
  readonly ofKey: Reservation;
  /** The reply, for a repeated `admit`; absent after a restart. */
  answer: Admitted | undefined;
  /** Its place among the sleeping callers, while it sleeps. */
  departure: Departure | undefined;
  /** Its expiry in the last checkpoint, ms since the epoch; 0 where none holds it. */
  savedUntil: number;
}

/** A sleeping caller's start time. */
export interface Departure extends Timed {
  readonly entry: QueueEntry;
}

export function createKey(id: string): Key {
  return { ...createFlow<QueueEntry>(), id, allowance: createAllowance(), lastUsedAt: 0 };
}

export type EntrySource = Pick<AdmissionRequest, "requestId" | "traceId" | "spanId" | "lane" | "estimate">;

export interface Arrival {
  readonly arrivedAt: number;
  readonly deadlineAt: number;
  readonly position: number;
  readonly depth: number;
}

export function createEntry(source: EntrySource, key: Key, arrival: Arrival): QueueEntry {
  return {
    requestId: source.requestId,
    traceId: source.traceId,
    spanId: source.spanId,
    flow: key,
    lane: source.lane,
    arrivedAt: arrival.arrivedAt,
    maxWaitMs: arrival.deadlineAt - arrival.arrivedAt,
    inputTokens: source.estimate.inputTokens,
    outputTokens: source.estimate.outputTokens,
    costMicroUsd: source.estimate.costMicroUsd ?? 0,
    position: arrival.position,
    depth: arrival.depth,
    hasPlace: true,
    isAdopted: false,
    phase: "waiting",
    heldBy: undefined,
    queuedBehind: NONE,
    lease: undefined,
    booked: undefined,
    dueAt: arrival.deadlineAt,
    slot: NO_SLOT,
    previous: undefined,
    next: undefined,
  };
}

const NONE: readonly SpanRef[] = [];

/** Tokens that an entry reserves. */
export function estimateOf(entry: QueueEntry): number {
  return entry.inputTokens + entry.outputTokens;
}

/** What serving so many tokens adds to a key's counter of served weight. */
export function servedWeight(inputTokens: number, outputTokens: number): number {
  return REQUEST_WEIGHT + inputTokens + OUTPUT_WEIGHT * outputTokens;
}

/** A prefetched lease without a reported request. */
export function isUnstarted({ requestId, isAdopted }: QueueEntry): boolean {
  return requestId === "" && !isAdopted;
}

export function spanRefOf({ requestId, traceId, spanId }: QueueEntry): SpanRef {
  return { requestId, traceId, spanId };
}

/** The record of a wait of `waitMs`; a request that did not wait has position 0 and no links. */
export function waitRecordOf(entry: QueueEntry, waitMs: number, admittedBy?: SpanRef): WaitRecord {
  return {
    waitMs,
    position: entry.heldBy === undefined ? 0 : entry.position,
    depth: entry.depth,
    queuedBehind: entry.queuedBehind,
    ...(entry.heldBy !== undefined && { heldBy: entry.heldBy }),
    ...(admittedBy !== undefined && { admittedBy }),
  };
}
