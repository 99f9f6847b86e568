/**
 * What an upstream says of its own work on one call: how long each part took by its clock, and what served it. Filled in while
 * the answer's head and body are read; a later word replaces an earlier one. Where each comes from: wires/reported/reported.ts.
 */
export interface UpstreamReport {
  /** Milliseconds, not rounded. */
  queueMs?: number;
  prefillMs?: number;
  decodeMs?: number;
  totalMs?: number;
  region?: string;
  /** Where the vendor's edge was entered, as an airport's code. */
  colo?: string;
  /** The machine or deployment behind the vendor's door. */
  replica?: string;
  systemFingerprint?: string;
  serviceTier?: string;
}
