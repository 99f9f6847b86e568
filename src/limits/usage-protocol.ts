/** A question about a tenant's usage and the answer of its object: plain data. */

/** Sums under a dimension and a value of it: usage/usage-cells.ts. */
export type UsageCell = readonly [cell: string, sums: readonly number[]];

export type UsageInterval = "hour" | "day" | "total";

export interface UsageAsk {
  readonly dimension: string;
  /** Ms since the epoch; from `fromAt` on and before `untilAt`. */
  readonly fromAt: number;
  readonly untilAt: number;
  readonly interval: UsageInterval;
}

export interface UsageRow {
  /** The start of its hour, day or month, ms since the epoch. */
  readonly at: number;
  /** The cells by their values, as JSON. */
  readonly text: string;
}
