/**
 * The error body that Google's SDKs read. https://ai.google.dev/gemini-api/docs/troubleshooting (seen 2026-11)
 */

import type { GatewayError } from "../../errors.ts";
import type { ClientErrors } from "../client-wire.ts";

/** Names of google.rpc.Code by HTTP status; whatever is not here is `INVALID_ARGUMENT` or `INTERNAL`. */
const GOOGLE_STATUSES: ReadonlyMap<number, string> = new Map([
  [401, "UNAUTHENTICATED"],
  [403, "PERMISSION_DENIED"],
  [404, "NOT_FOUND"],
  [405, "UNIMPLEMENTED"],
  [409, "ABORTED"],
  [412, "FAILED_PRECONDITION"],
  [429, "RESOURCE_EXHAUSTED"],
  [499, "CANCELLED"],
  [503, "UNAVAILABLE"],
  [504, "DEADLINE_EXCEEDED"],
]);

export interface GeminiErrorBody {
  readonly error: { readonly code: number; readonly message: string; readonly status: string };
}

export function geminiErrorBody(error: GatewayError): GeminiErrorBody {
  const { status: code, message } = error;
  const status = GOOGLE_STATUSES.get(code) ?? (code >= 500 ? "INTERNAL" : "INVALID_ARGUMENT");
  return { error: { code, message, status } };
}

export const geminiErrors: ClientErrors = {
  contentType: "application/json",
  status: (error) => error.status,
  body: geminiErrorBody,
};
