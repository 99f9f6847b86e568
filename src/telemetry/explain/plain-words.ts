/** The plain words for what spans write as codes: limits, failures, outcomes. For people; spans keep the codes. Pure. */

const LIMITS: Readonly<Record<string, string>> = {
  concurrency: "requests at a time",
  "key.concurrency": "the key’s requests at a time",
  requestsPerMinute: "requests a minute",
  "key.requestsPerMinute": "the key’s requests a minute",
  tokensPerMinute: "tokens a minute",
  "key.tokensPerMinute": "the key’s tokens a minute",
  budget: "the budget",
  "key.budget": "the key’s budget",
  "queue.maxDepth": "places in the queue",
};

/** `requests at a time`; a limit without words of its own keeps its name. */
export function limitInWords(name: string): string {
  return LIMITS[name] ?? name;
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
