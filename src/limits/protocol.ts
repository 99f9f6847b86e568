/**
 * What the gateway and a tenant's queue object say to each other: plain data, so that it crosses RPC as it is.
 * Every call is idempotent by request id, since the runtime may repeat one. The rules are in queue.md's invariants.
 */

/** A request's place in the tenant's queue; `batch` yields to `interactive`. */
export type Lane = "interactive" | "batch";

/** What a tenant (or a key) may use; absent means unlimited. */
export interface Limits {
  readonly requestsPerMinute?: number;
  /** Requests that may come at once; default ten seconds' worth, at least 1. */
  readonly burst?: number;
  readonly tokensPerMinute?: number;
  readonly concurrency?: number;
  readonly maxDepth: number;
  readonly maxWaitMs: number;
}

/** Points at a span of another request of the same tenant. */
export interface SpanRef {
  readonly requestId: string;
  readonly traceId: string;
  readonly spanId: string;
}

export interface AdmissionAsk {
  readonly requestId: string;
  readonly traceId: string;
  /** The root span: what `queued_behind` links of others will point at. */
  readonly spanId: string;
  readonly keyId: string;
  readonly lane: Lane;
  /** As the asking isolate knows them; the object uses the newest version it was told of. */
  readonly limits: Limits;
  readonly configVersion: number;
  /** The key's own limits, nested in the tenant's: both must pass. */
  readonly keyLimits?: Limits;
  /** How long this request may wait, already the lower of header and tenant; 0 means never wait. */
  readonly maxWaitMs: number;
  readonly estimate: { readonly inputTokens: number; readonly outputTokens: number };
  /** Settlements of earlier requests that ride along. */
  readonly settles: readonly Settlement[];
}

export type SettleOutcome = "ok" | "error" | "client_disconnected";

/** The end of a lease, with what was really used. A second one for the same lease is a no-op. */
export interface Settlement {
  readonly requestId: string;
  readonly leaseId: string;
  readonly outcome: SettleOutcome;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly costMicroUsd: number;
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
  /** The one whose end let it in. */
  readonly admittedBy?: SpanRef;
}

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

export interface Lease {
  readonly id: string;
  /** Fencing token: grows with each lease of the tenant. */
  readonly token: number;
  readonly expiresAt: number;
}

export interface Admitted {
  readonly kind: "admitted";
  readonly lease: Lease;
  /** Where only time was in the way: how long the caller must still sleep before it goes. Counted in `wait.waitMs`. */
  readonly goInMs: number;
  readonly wait: WaitRecord;
  readonly requests?: LimitWindow;
  readonly tokens?: LimitWindow;
  readonly configVersion: number;
}

export interface Refused {
  readonly kind: "refused";
  readonly code: "rate_limited" | "queue_full" | "budget_exceeded";
  readonly limit: { readonly name: LimitName; readonly value: number; readonly remaining: number };
  readonly retryAfterMs: number;
  readonly wait: WaitRecord;
  readonly requests?: LimitWindow;
  readonly tokens?: LimitWindow;
  readonly configVersion: number;
}

/** The caller said `cancel` while its `admit` was open. */
export interface Cancelled {
  readonly kind: "cancelled";
  readonly wait: WaitRecord;
  readonly configVersion: number;
}

export type AdmissionAnswer = Admitted | Refused | Cancelled;

export interface RenewAnswer {
  /** Leases that are no longer in force: their holder must stop. */
  readonly lost: readonly string[];
  readonly configVersion: number;
}

export interface QueueEntry {
  readonly requestId: string;
  readonly traceId: string;
  readonly keyId: string;
  readonly lane: Lane;
  readonly waitedMs: number;
}

/** `GET /admin/tenants/{tenant}/queue`: api.md §4. */
export interface QueueSnapshot {
  readonly depth: number;
  readonly leases: number;
  readonly oldestWaitMs: number;
  readonly waiting: readonly QueueEntry[];
  readonly holding: readonly QueueEntry[];
  readonly limits: Readonly<Record<string, LimitWindow>>;
}

/** The methods of a tenant's queue object. */
export interface QueueRpc {
  admit(ask: AdmissionAsk): Promise<AdmissionAnswer>;
  settle(settlements: readonly Settlement[]): Promise<void>;
  /** Takes a waiting request out, or ends the lease of one that was admitted too late for its caller to know. */
  cancel(requestId: string): Promise<void>;
  renew(leaseIds: readonly string[]): Promise<RenewAnswer>;
  snapshot(): Promise<QueueSnapshot>;
  /** Told by the directory at each change of the tenant's records; older versions are ignored. */
  configChanged(version: number, limits: Limits): Promise<void>;
  configVersion(): Promise<number>;
}
