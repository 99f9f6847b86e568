/**
 * What an Anthropic refusal means, as rows of the error table: status and message as for the OpenAI wire, whose errors
 * are in the same place, and what only this API says. https://platform.claude.com/docs/en/api/errors (seen 2026-11)
 */

import { GatewayError } from "../../errors.ts";
import { recordOf } from "../../json/fields.ts";
import { readOpenAiError } from "../openai-chat/upstream-errors.ts";
import type { ReadUpstreamError } from "../upstream-wire.ts";

/** The account's fault whatever the status: an empty balance comes as 400 or 402. */
const ACCOUNT_FAULTS: ReadonlySet<unknown> = new Set([
  "authentication_error",
  "permission_error",
  "billing_error",
]);
/** How an empty balance was told before it had a type of its own. */
const NO_CREDIT = /credit balance is too low/i;
/** Each limit's remainder and the time at which it is whole again. */
const LIMITS = ["requests", "tokens", "input-tokens", "output-tokens"] as const;

export const readAnthropicError: ReadUpstreamError = (status, headers, body, context = {}) => {
  const { type, message } = recordOf(recordOf(body)["error"]);
  if (ACCOUNT_FAULTS.has(type) || (typeof message === "string" && NO_CREDIT.test(message))) {
    const said =
      "The upstream refused the credential of this provider account, or the account has no credit.";
    return new GatewayError("upstream_auth", said, { upstreamStatus: status });
  }
  const error = readOpenAiError(status, headers, body, context);
  if (error.code !== "upstream_rate_limited" || error.details.retryAfterMs !== undefined) return error;
  const retryAfterMs = readResetWait(headers, context.nowMs);
  if (retryAfterMs === undefined) return error;
  return new GatewayError(error.code, error.message, { ...error.details, retryAfterMs });
};

/** Milliseconds until every limit that is used up is whole again; undefined where none is named. */
function readResetWait(headers: Headers, nowMs: number | undefined): number | undefined {
  const since = Date.parse(headers.get("date") ?? "") || nowMs;
  if (since === undefined) return undefined;
  const waits = LIMITS.filter((name) => headers.get(`anthropic-ratelimit-${name}-remaining`) === "0")
    .map((name) => Date.parse(headers.get(`anthropic-ratelimit-${name}-reset`) ?? ""))
    .filter((at) => !Number.isNaN(at));
  return waits.length === 0 ? undefined : Math.max(0, Math.max(...waits) - since);
}
