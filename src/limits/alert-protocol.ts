/** Alerts that are not a budget's, and the objectives that some of them are about. Plain data. */

import type { BudgetAlert } from "./budget-protocol.ts";

/** Something that the tenant's webhook hears of once, when it begins. Stored: keep the field names. */
export interface Incident {
  /** Idempotency key, unique within the tenant. */
  readonly id: string;
  readonly type: "circuit.opened" | "objective.missed";
  /** What the audit says of it. */
  readonly subject: string;
  readonly at: number;
  /** The request that brought it about, and its trace. */
  readonly requestId?: string;
  readonly traceId?: string;
  /** What the message says besides. */
  readonly data: Readonly<Record<string, string | number | null>>;
}

export type TenantAlert = BudgetAlert | Incident;

/** What a tenant expects of a route, or of all its requests. */
export interface Objective {
  /** Absent: all requests. */
  readonly route?: string;
  /** The share of requests that may fail, or that may take longer than `slowerThanMs` where that is set. */
  readonly allowedShare: number;
  readonly slowerThanMs?: number;
}
