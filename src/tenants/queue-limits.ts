/**
 * A record's limits as the queue object takes them, with the queue's defaults filled in. Pure; called by the directory
 * when it tells a queue object of a change, and by the gateway for each ask.
 */

import type { Limits } from "../limits/protocol.ts";
import type { LimitsRecord } from "./records.ts";

/** api.md §6: what holds where a tenant says nothing. */
const DEFAULT_MAX_DEPTH = 100;
const DEFAULT_MAX_WAIT_MS = 30_000;

/** `maxBodyBytes` stays behind: the gateway checks it, not the queue. */
export function toQueueLimits(record: LimitsRecord): Limits {
  const { requestsPerMinute, burst, tokensPerMinute, concurrency, queue } = record;
  return {
    ...(requestsPerMinute === undefined ? {} : { requestsPerMinute }),
    ...(burst === undefined ? {} : { burst }),
    ...(tokensPerMinute === undefined ? {} : { tokensPerMinute }),
    ...(concurrency === undefined ? {} : { concurrency }),
    maxDepth: queue?.maxDepth ?? DEFAULT_MAX_DEPTH,
    maxWaitMs: queue?.maxWaitMs ?? DEFAULT_MAX_WAIT_MS,
  };
}
