/**
 * The error body that OpenAI's SDKs read, for all wires of OpenAI's.
 * https://platform.openai.com/docs/guides/error-codes (seen 2026-11)
 */

import type { ErrorCode, GatewayError } from "../../errors.ts";
import type { ClientErrors } from "../client-wire.ts";

export interface OpenAiErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string;
  };
}

/** SDKs choose their class by status alone; people and agents read `type`. */
const TYPES: ReadonlyMap<ErrorCode, string> = new Map<ErrorCode, string>([
  ["invalid_api_key", "authentication_error"],
  ["permission_denied", "permission_error"],
  ["tenant_suspended", "permission_error"],
  ["rate_limited", "rate_limit_error"],
  ["queue_full", "rate_limit_error"],
  ["upstream_rate_limited", "rate_limit_error"],
  ["budget_exceeded", "insufficient_quota"],
  ["client_disconnected", "api_error"],
]);
const FIRST_SERVER_ERROR = 500;

export function openAiErrorBody(error: GatewayError): OpenAiErrorBody {
  const { code, message, status, details } = error;
  const type = TYPES.get(code) ?? (status >= FIRST_SERVER_ERROR ? "api_error" : "invalid_request_error");
  return { error: { message, type, param: details.param ?? null, code } };
}

export const openAiErrors: ClientErrors = {
  contentType: "application/json",
  status: (error) => error.status,
  body: openAiErrorBody,
};
