/**
 * One request from its arrival at the queue to the end of its lease, and the key it came with: the records that
 * queue-machine.ts and its tables pass around. Plain state, no rules.
 */

import { createAllowance, type Allowance, type Reservation } from "../usage/allowance.ts";
import { NO_SLOT, type Due } from "../structures/timer-heap.ts";
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

/** `dueAt` is the deadline while it waits and the lease's time limit after that. */
export interface QueueEntry extends Due, Queued<QueueEntry> {
  /** These three are empty for a batch's lease until its isolate has said who uses it. */
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
  /** Place and company on arrival. */
  readonly position: number;
  readonly depth: number;
  /** It counts within the queue's depth; a newcomer without a place goes at once or not at all. */
  hasPlace: boolean;
  /** Its lease came back after a crash that had forgotten it: what it reserved is not known. */
  isAdopted: boolean;
  phase: "waiting" | "holding" | "over";
  heldBy: LimitName | undefined;
  queuedBehind: readonly SpanRef[];
  lease: LeaseState | undefined;
}

/** What an entry has once it was admitted. */
export interface LeaseState {
  readonly token: number;
  /** When its caller goes; later than the admission where it sleeps until then. */
  readonly goAt: number;
  readonly ofTenant: Reservation;
  readonly ofKey: Reservation;
  /** What was answered, for a repeated `admit`; absent after a restart. */
  answer: Admitted | undefined;
  /** Its place among the sleeping callers, while it sleeps. */
  departure: Departure | undefined;
  /** A checkpoint holds it, so its end must be saved too. */
  isSaved: boolean;
}

/** A sleeping caller's moment to go. */
export interface Departure extends Due {
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
    queuedBehind: NOBODY,
    lease: undefined,
    dueAt: arrival.deadlineAt,
    slot: NO_SLOT,
    previous: undefined,
    next: undefined,
  };
}

const NOBODY: readonly SpanRef[] = [];

/** Tokens that an entry reserves. */
export function estimateOf(entry: QueueEntry): number {
  return entry.inputTokens + entry.outputTokens;
}

/** What serving so many tokens adds to a key's counter of served weight. */
export function servedWeight(inputTokens: number, outputTokens: number): number {
  return REQUEST_WEIGHT + inputTokens + OUTPUT_WEIGHT * outputTokens;
}

/** A batch's lease that no request was reported to use. */
export function isUnstarted({ requestId, isAdopted }: QueueEntry): boolean {
  return requestId === "" && !isAdopted;
}

export function spanRefOf({ requestId, traceId, spanId }: QueueEntry): SpanRef {
  return { requestId, traceId, spanId };
}

/** What is told of a wait of `waitMs`; a request that did not wait has position 0 and no links. */
export function waitRecordOf(entry: QueueEntry, waitMs: number, admittedBy?: SpanRef): WaitRecord {
  return {
    waitMs,
    position: entry.heldBy === undefined ? 0 : entry.position,
    depth: entry.depth,
    queuedBehind: entry.queuedBehind,
    ...(entry.heldBy === undefined ? {} : { heldBy: entry.heldBy }),
    ...(admittedBy === undefined ? {} : { admittedBy }),
  };
}
