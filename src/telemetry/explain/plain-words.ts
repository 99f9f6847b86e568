/** The plain words for what spans write as codes: limits, failures, outcomes. For people; spans keep the codes. Pure. */

import type { LimitName } from "../../limits/protocol.ts";

const LIMITS: Readonly<Record<LimitName | "unqueued_requests_per_minute", string>> = {
  concurrency: "requests at a time",
  requests_per_minute: "requests a minute",
  tokens_per_minute: "tokens a minute",
  unqueued_requests_per_minute: "requests a minute, cached ones included",
  queue_depth: "places in the queue",
  budget: "the budget",
};

/** `requests at a time`; a limit without words of its own keeps its name. */
export function limitInWords(name: string): string {
  return new Map(Object.entries(LIMITS)).get(name) ?? name;
}

const FAILURES: Readonly<Record<string, string>> = {
  upstream_overloaded: "overloaded",
  upstream_timeout: "no answer in time",
  upstream_rate_limited: "rate limited by the vendor",
  upstream_error: "failed",
  upstream_malformed: "sent an answer that can’t be read",
  upstream_auth: "refused the stored credential",
  upstream_rejected: "refused the request",
  rate_limited: "over a limit",
  queue_full: "the queue is full",
  budget_exceeded: "the budget is spent",
  overloaded: "the gateway is full",
  invalid_api_key: "no valid key",
  permission_denied: "the key may not do this",
  tenant_suspended: "the tenant is switched off",
  model_not_found: "no such model or route",
  not_found: "nothing at this address",
  invalid_request: "the request has a mistake",
  request_too_large: "the request is too large",
  unpriced: "no price is known",
  cache_miss: "not in the cache",
  client_disconnected: "the client left",
  conflict: "another request used the same idempotency key",
};

/** `overloaded`; a code without words of its own has its underscores taken out. */
export function failureInWords(code: string): string {
  return FAILURES[code] ?? code.replaceAll("_", " ");
}
