/**
 * What an upstream's refusal means, from its status, headers and body: rows of the error table (src/docs/errors.md). The only
 * words of an upstream that a client ever reads come from here, scrubbed, and only for the caller's own faults.
 */

import { GatewayError, type ErrorDetails } from "../../errors.ts";
import { isRecord, recordOf, textOf } from "../../json/fields.ts";
import { parseRetryAfter } from "../../runtime/retry-after.ts";
import type { ErrorContext, ReadUpstreamError } from "../upstream-wire.ts";
import { scrubCredentials, secretsOf } from "../scrub-credentials.ts";

/** The caller's fault: the same request fails at any target. */
const REJECTED: ReadonlySet<number> = new Set([400, 404, 409, 413, 422]);
const FIRST_CLIENT_ERROR = 400;
/** Enough for any vendor's sentence; a page of HTML or an echo of the prompt is cut. */
const MAX_MESSAGE_CHARS = 2000;
/** `messages.[0].content.[1].image_url` and the like. */
const MAX_PARAM_CHARS = 200;

/** An OpenAI-style refusal as a row of the table. */
export const readOpenAiError: ReadUpstreamError = (status, headers, body, context = {}) => {
  const facts: ErrorDetails = { upstreamStatus: status };
  if (status === 401 || status === 403) {
    const message = "The upstream refused the credential of this provider account.";
    return new GatewayError("upstream_auth", message, facts);
  }
  if (REJECTED.has(status)) return readRejection(status, body, context);
  if (status < FIRST_CLIENT_ERROR) {
    const message = `The upstream answered with a redirect (${status}), which is not followed.`;
    return new GatewayError("upstream_error", message, facts);
  }

  const retryAfterMs = parseRetryAfter(headers, context.nowMs);
  const details = retryAfterMs === undefined ? facts : { ...facts, retryAfterMs };
  switch (status) {
    case 429:
      return new GatewayError("upstream_rate_limited", "The upstream is limiting its rate.", details);
    case 408:
    case 504:
      return new GatewayError("upstream_timeout", "The upstream did not answer in time.", details);
    case 503:
    case 529:
      return new GatewayError("upstream_overloaded", "The upstream is overloaded.", details);
    default:
      return new GatewayError("upstream_error", `The upstream failed with status ${status}.`, details);
  }
};

function readRejection(status: number, body: unknown, context: ErrorContext): GatewayError {
  const said = readMessage(body);
  const message =
    said === undefined
      ? `The upstream rejected the request with status ${status}.`
      : scrubCredentials(said, secretsOf(context.account)).slice(0, MAX_MESSAGE_CHARS);
  const param = textOf(recordOf(recordOf(body)["error"])["param"]);
  return new GatewayError("upstream_rejected", message, {
    status,
    upstreamStatus: status,
    ...(param !== undefined && {
      param: scrubCredentials(param, secretsOf(context.account)).slice(0, MAX_PARAM_CHARS),
    }),
  });
}

/** OpenAI's `error.message`, or what others use: `error`, `message`, `detail` (FastAPI servers), `errors` (Cloudflare). */
function readMessage(body: unknown): string | undefined {
  if (!isRecord(body)) return undefined;
  const { error, message, detail, errors } = body;
  const first = Array.isArray(errors) ? recordOf(errors[0])["message"] : undefined;
  return (
    textOf(recordOf(error)["message"]) ?? textOf(error) ?? textOf(message) ?? textOf(detail) ?? textOf(first)
  );
}
