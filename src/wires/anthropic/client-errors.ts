/**
 * The error body and stream event that Anthropic's SDKs read.
 * https://platform.claude.com/docs/en/api/errors (seen 2026-11)
 */

import type { GatewayError } from "../../errors.ts";
import type { ClientErrors } from "../client-wire.ts";

/** What Anthropic calls an overload; SDKs of other vendors know no 529. */
const OVERLOADED_STATUS = 529;

/** The status of an error as a client of Anthropic's wire gets it: an overload is its 529. */
export function anthropicStatus(error: GatewayError): number {
  return error.code === "upstream_overloaded" ? OVERLOADED_STATUS : error.status;
}

const ANTHROPIC_TYPES: ReadonlyMap<number, string> = new Map([
  [401, "authentication_error"],
  [402, "billing_error"],
  [403, "permission_error"],
  [404, "not_found_error"],
  [413, "request_too_large"],
  [429, "rate_limit_error"],
  [504, "timeout_error"],
  [OVERLOADED_STATUS, "overloaded_error"],
]);

export interface AnthropicErrorBody {
  readonly type: "error";
  readonly error: { readonly type: string; readonly message: string };
  readonly request_id?: string;
}

export function anthropicErrorBody(error: GatewayError, requestId?: string): AnthropicErrorBody {
  const status = anthropicStatus(error);
  const type = ANTHROPIC_TYPES.get(status) ?? (status >= 500 ? "api_error" : "invalid_request_error");
  return {
    type: "error",
    error: { type, message: error.message },
    ...(requestId !== undefined && { request_id: requestId }),
  };
}

export const anthropicErrors: ClientErrors = {
  contentType: "application/json",
  status: anthropicStatus,
  body: anthropicErrorBody,
};
