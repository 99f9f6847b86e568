/**
 * The messages between the gateway and a tenant's queue object: plain data, so that they cross RPC unchanged.
 * Every call is idempotent by request id, since the runtime may repeat one. The rules are in src/docs/queue.md, Invariants.
 */

import type { Objective } from "./alert-protocol.ts";
import type { Budget, BudgetAlert, BudgetUse, NumberedExpense, SpentUsd } from "./budget-protocol.ts";
import type { CircuitUpdate } from "../targets/circuit.ts";
import type { CircuitStatus, OpenCircuit } from "../targets/circuit-entry.ts";
import type { Cooldown } from "../targets/cooldowns.ts";
import type { EarlierTurn, PromptTurn } from "../targets/prompt-turns.ts";
import type { UsageAsk, UsageCell, UsageRow } from "./usage-protocol.ts";
import type { Retention } from "../telemetry/store/stored-trace.ts";

/** A request's place in the tenant's queue; `batch` yields to `interactive`. */
export type Lane = "interactive" | "batch";

/** What a tenant (or a key) may use; absent means unlimited. */
export interface Limits {
  readonly requestsPerMinute?: number;
  /** Requests that may come at once; default ten seconds' worth, at least 1. */
  readonly burst?: number;
  readonly tokensPerMinute?: number;
  readonly concurrency?: number;
  readonly budget?: Budget;
  readonly objectives?: readonly Objective[];
  readonly maxDepth: number;
  readonly maxWaitMs: number;
  /** Which deployment's defaults and ceilings are in here; absent where it has none. */
  readonly rulesId?: string;
}

/** What is reserved for a request until it is settled. */
export interface Estimate {
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Absent where the model's price is unknown. */
  readonly costMicroUsd?: number;
}

/** Points at a span of another request of the same tenant. */
export interface SpanRef {
  readonly requestId: string;
  readonly traceId: string;
  readonly spanId: string;
}

export interface AdmissionRequest {
  readonly requestId: string;
  readonly traceId: string;
  /** The root span: what `queued_behind` links of others will point at. */
  readonly spanId: string;
  readonly keyId: string;
  readonly lane: Lane;
  /** As the calling isolate knows them; the object uses the newest version it has received. */
  readonly limits: Limits;
  readonly configVersion: number;
  /** The key's own limits, nested in the tenant's: both must pass. */
  readonly keyLimits?: Limits;
  /** How long this request may wait, already the lower of header and tenant; 0 means never wait. */
  readonly maxWaitMs: number;
  readonly estimate: Estimate;
  /** Settlements of earlier requests, and other updates, piggybacked. */
  readonly settles: readonly Settlement[];
  readonly updates?: IsolateUpdates;
  /** How long the tenant keeps traces; absent where it keeps none. For the trace of a request whose Worker died. */
  readonly traces?: Retention | undefined;
  /** Leases to prefetch: how many more requests of this key the isolate expects in the next second. */
  readonly prefetchCount?: number;
}

/** What an isolate reports besides settlements; each part is idempotent. */
export interface IsolateUpdates {
  readonly starts: readonly LeaseStart[];
  /** Prefetched leases that expired unused. */
  readonly unused: readonly string[];
  /** Targets whose upstream named a time to wait. */
  readonly cooldowns: readonly Cooldown[];
  /** Failures, probes and recoveries of targets, oldest first; absent when there are none. */
  readonly circuits?: readonly CircuitUpdate[];
  /** Money spent outside any lease; absent when there is none. */
  readonly expenses?: readonly NumberedExpense[];
  /** Requests whose admission is not needed any more, if they have one; absent when there are none. */
  readonly cancels?: readonly string[];
}

/** Which request uses a prefetched lease. */
export interface LeaseStart {
  readonly leaseId: string;
  readonly requestId: string;
  readonly traceId: string;
  readonly spanId: string;
}

/** `returned`: the request goes on without its slot, or never started. It has used no limit; its cost so far is recorded. */
export type SettleOutcome = "ok" | "error" | "client_disconnected" | "returned";

/** The end of a lease, with what was really used. A second one for the same lease is a no-op. */
export interface Settlement {
  readonly requestId: string;
  readonly keyId: string;
  readonly leaseId: string;
  readonly outcome: SettleOutcome;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly costMicroUsd: number;
  readonly usage?: readonly UsageCell[];
  readonly durationMs?: number;
}

/** The numbers behind one `x-ratelimit-…-requests` triple. */
export interface LimitWindow {
  readonly limit: number;
  readonly remaining: number;
  readonly resetMs: number;
}

/** What the object saw of a request's wait, by its own clock. */
export interface WaitRecord {
  readonly waitMs: number;
  /** 1 for the head of the queue; 0 for a request that did not wait. */
  readonly position: number;
  /** Requests waiting when this one arrived, itself not counted. */
  readonly depth: number;
  /** The limit that held it, if one did. */
  readonly heldBy?: LimitName;
  /** Leases in force on arrival, at most MAX_LINKS. */
  readonly queuedBehind: readonly SpanRef[];
  /** The request whose end made room for this one. */
  readonly admittedBy?: SpanRef;
}

/** Of a request that did not wait. */
export const NO_WAIT: WaitRecord = { waitMs: 0, position: 0, depth: 0, queuedBehind: [] };

export type LimitName =
  | "requests_per_minute"
  | "tokens_per_minute"
  | "concurrency"
  | "queue_depth"
  | "budget";

/** Span links are cut at this many: few back ends show more. */
export const MAX_LINKS = 8;

/** A lease ends by itself this long after its last renewal. */
export const LEASE_TTL_MS = 45_000;
/** Renewed three times in its life, so that one lost renewal costs nothing. */
export const LEASE_RENEW_MS = 15_000;
/** How long money that may have been lost is sent again; the object keeps what it has recorded for as long. */
export const RESEND_WINDOW_MS = 600_000;

/** How long an isolate may use prefetched leases. */
export const PREFETCH_TTL_MS = 1000;
/** A prefetched lease without a reported use ends after this: time for the report, and for repeating it. */
export const UNSTARTED_TTL_MS = 10_000;

export interface Lease {
  readonly id: string;
  /** Fencing token: grows with each lease of the tenant. */
  readonly token: number;
  readonly expiresAt: number;
}

/** Prefetched leases: for requests still to come, with consecutive tokens, to be used within PREFETCH_TTL_MS. */
export interface LeaseGrant {
  readonly firstToken: number;
  readonly count: number;
  /** What each has reserved; absent where no limit counts it. */
  readonly maxTokens?: number;
  readonly maxMicroUsd?: number;
}

/** What every answer of the object carries. */
export interface ObjectState {
  readonly configVersion: number;
  /** One for each life of the object: a new one means that it was restarted and may have forgotten the last second. */
  readonly epoch: number;
  /** How often money was recorded, now and as of the last checkpoint, over all lives of the object; absent before any. */
  readonly ledger?: { readonly count: number; readonly saved: number };
  /** Targets that are cooling down; absent when there are none. */
  readonly cooldowns?: readonly Cooldown[];
  /** Targets that failed too often; absent when there are none. */
  readonly openCircuits?: readonly OpenCircuit[];
}

export interface Admitted extends ObjectState {
  readonly kind: "admitted";
  readonly lease: Lease;
  /** How long the caller must still sleep before it starts, where a rate limit held it. Included in `wait.waitMs`. */
  readonly goInMs: number;
  readonly wait: WaitRecord;
  readonly requests?: LimitWindow;
  readonly tokens?: LimitWindow;
  /** Of the tenant's and the key's budget the one that is used more. */
  readonly budget?: BudgetUse;
  /** Slots are plentiful and no request waits: the settlement may be piggybacked on the isolate's next call. */
  readonly canDeferSettle: boolean;
  readonly prefetched?: LeaseGrant;
  /** Admitted by the isolate itself, from a prefetched lease. */
  readonly isPrefetched?: true;
}

export interface Refused extends ObjectState {
  readonly kind: "refused";
  readonly code: "rate_limited" | "queue_full" | "budget_exceeded";
  readonly limit: { readonly name: LimitName; readonly value: number; readonly remaining: number };
  readonly retryAfterMs: number;
  /** Refused by the isolate itself, as the object would. */
  readonly isLocal?: true;
  readonly wait: WaitRecord;
  readonly requests?: LimitWindow;
  readonly tokens?: LimitWindow;
  readonly budget?: BudgetUse;
}

/** The caller sent `cancel` while its `admit` was open. */
export interface Cancelled extends ObjectState {
  readonly kind: "cancelled";
  readonly wait: WaitRecord;
}

export type AdmissionReply = Admitted | Refused | Cancelled;

export interface SettleReply extends ObjectState {
  /** Alerts of budgets since the last reply; absent when there are none. */
  readonly alerts?: readonly BudgetAlert[];
}

export interface RenewReply extends ObjectState {
  /** Leases that are no longer in force: their holder must stop. */
  readonly lost: readonly string[];
}

export interface ListedRequest {
  readonly requestId: string;
  readonly traceId: string;
  readonly keyId: string;
  readonly lane: Lane;
  readonly waitedMs: number;
}

/** `GET /admin/tenants/{tenant}/queue`: src/docs/admin-api.md. */
export interface QueueSnapshot {
  readonly depth: number;
  readonly leases: number;
  /** How many of the leases are prefetched and not used yet. */
  readonly batched: number;
  readonly oldestWaitMs: number;
  readonly waiting: readonly ListedRequest[];
  readonly holding: readonly ListedRequest[];
  readonly limits: Readonly<Record<string, LimitWindow>>;
  /** The ledger, in US dollars: settled in this day, week and month (UTC), and reserved by requests under way. */
  readonly spentUsd: SpentUsd;
  /** The operator's overrides in force; absent when there are none. */
  readonly orders?: Overrides;
  /** Targets whose calls have failed lately; absent when none has. */
  readonly circuits?: readonly (CircuitStatus & { readonly target: string })[];
}

/** Operators' temporary overrides; each ends by itself. Times are ms since the epoch. Stored: keep the field names. */
export interface Overrides {
  /** In force in place of the records' limits. */
  readonly raised?: { readonly limits: Partial<Limits>; readonly untilAt: number };
  /** New requests are refused. */
  readonly drained?: { readonly untilAt: number };
}

/** The methods of a tenant's queue object. */
export interface QueueRpc {
  admit(ask: AdmissionRequest): Promise<AdmissionReply>;
  settle(settlements: readonly Settlement[], updates?: IsolateUpdates): Promise<SettleReply>;
  /** Removes a waiting request, or ends the lease of one that was admitted after its caller had left. */
  cancel(requestId: string): Promise<void>;
  /**
   * Renews the leases of one isolate. Leases that expired meanwhile are adopted again, over the limits if need be; with
   * `isStrict` only while their slots are free, else they are `lost`.
   */
  renew(leaseIds: readonly string[], isStrict?: boolean): Promise<RenewReply>;
  snapshot(): Promise<QueueSnapshot>;
  /** Sent by the directory at each change of the tenant's records; older versions are ignored. */
  configChanged(version: number, limits: Limits): Promise<void>;
  configVersion(): Promise<number>;
  /** An answer that may have left something in a vendor's prompt cache; gives the answer before it. */
  notePrompt(turn: PromptTurn): Promise<EarlierTurn | undefined>;
  usage(ask: UsageAsk): Promise<readonly UsageRow[] | undefined>;
  /** Puts limits in force for a time, over the records'; 0 seconds ends it. */
  raiseLimits(limits: Partial<Limits>, forMs: number): Promise<QueueSnapshot>;
  /** Refuses new requests for a time; those that wait are admitted as usual (`finish`) or refused (`drop`). 0 ends it. */
  drain(forMs: number, waiting: "finish" | "drop"): Promise<QueueSnapshot>;
  /** The live view: a WebSocket upgrade. */
  fetch(request: Request): Promise<Response>;
}
