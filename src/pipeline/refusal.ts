/** The error of a request that the tenant's limits refused: the limit, how long the request waited, when to try again. */

import { GatewayError } from "../errors.ts";
import type { Refused } from "../limits/protocol.ts";
import { usd } from "../pricing/cost.ts";

const MS_PER_SECOND = 1000;

export function limitRefusal({ code, limit, retryAfterMs, wait }: Refused): GatewayError {
  const waited = wait.waitMs > 0 ? ` The request waited ${seconds(wait.waitMs)}.` : "";
  const message = `${LIMIT_SENTENCES[limit.name](limit.value)}${waited} Try again in ${seconds(retryAfterMs)}.`;
  return new GatewayError(code, message, { limit, retryAfterMs });
}

const LIMIT_SENTENCES: Readonly<Record<Refused["limit"]["name"], (value: number) => string>> = {
  requests_per_minute: (value) => `Request limit (${value} per minute) reached.`,
  tokens_per_minute: (value) => `Token limit (${value} per minute) reached.`,
  concurrency: (value) => `Concurrency limit (${value}) reached.`,
  // A drained queue, or one with `maxDepth` 0.
  queue_depth: (value) =>
    value === 0
      ? "No request can wait in the queue now."
      : `The queue is full (${value} requests are waiting).`,
  budget: (value) => `Budget of $${formatDollars(usd(value))} used up.`,
};

/** `5.00`, and every digit of an amount below a cent. */
function formatDollars(dollars: number): string {
  return Number.isInteger(dollars * 100) ? dollars.toFixed(2) : String(dollars);
}

function seconds(ms: number): string {
  return `${Math.round(ms) / MS_PER_SECOND} s`;
}
