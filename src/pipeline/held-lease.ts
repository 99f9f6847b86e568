/** The lease that an admitted request holds until its end. Types only: admission.ts takes it, end.ts gives it back. */

import type { Lease } from "../limits/protocol.ts";

/** A place in the tenant's limits: given back exactly once, by end.ts. */
export interface HeldLease {
  /** Absent where the queue is unavailable and the tenant's records let requests through then. */
  readonly lease?: Lease;
  /** The id by which the queue knows the admission; present with a lease. */
  readonly requestId?: string;
  readonly reservedTokens: number;
  readonly canDeferSettle: boolean;
  /**
   * Aborts when the client leaves; with the reason `revoked` when the key is revoked or its tenant suspended, `lease_lost`
   * when the slot was given to another request and the tenant's `onQueueError` is `closed`.
   */
  readonly signal: AbortSignal;
  /** Stops the lease's renewal. */
  stopRenewal(): void;
}
