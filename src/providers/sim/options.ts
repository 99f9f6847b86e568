/** What a `sim` account's `options` may set, with the defaults of a pleasant demo. */

import type { SimFault } from "./faults.ts";

export interface SimOptions {
  /** Before the first event of a stream, and before a refusal. */
  readonly firstChunkMs: number;
  /** Between the events the model "works" on. */
  readonly paceMs: number;
  /** At most this many pieces of a choice's text; option `chunks`. */
  readonly maxChunks: number;
  /** Refusals answer with this status instead of their own (529 of some vendors). */
  readonly refusalStatus: number | undefined;
  /** Option `cut: "clean"`: `cut` ends the body as if it were whole, instead of breaking the connection. */
  readonly cutsCleanly: boolean;
}

/** As a brisk hosted model. */
const DEFAULT_FIRST_CHUNK_MS = 120;
const DEFAULT_PACE_MS = 20;
/** So that an echoed book doesn't take minutes. */
const DEFAULT_MAX_CHUNKS = 40;
const FIRST_ERROR_STATUS = 400;
const LAST_STATUS = 599;

/** The options in force for a model with this fault; a value that makes no sense reads as absent. */
export function readOptions(
  given: Readonly<Record<string, unknown>>,
  fault: SimFault | undefined,
): SimOptions {
  const factor = fault?.type === "slow" ? fault.factor : 1;
  const status = given["refusalStatus"];
  return {
    firstChunkMs: numberOr(given["firstChunkMs"], DEFAULT_FIRST_CHUNK_MS) * factor,
    paceMs: numberOr(given["paceMs"], DEFAULT_PACE_MS) * factor,
    maxChunks: Math.max(1, Math.floor(numberOr(given["chunks"], DEFAULT_MAX_CHUNKS))),
    refusalStatus: isErrorStatus(status) ? status : undefined,
    cutsCleanly: given["cut"] === "clean",
  };
}

function numberOr(value: unknown, otherwise: number): number {
  return typeof value === "number" && value >= 0 ? value : otherwise;
}

function isErrorStatus(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= FIRST_ERROR_STATUS && Number(value) <= LAST_STATUS;
}
