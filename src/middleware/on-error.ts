/** The only place where a fault becomes bytes: the table's status, the wire's body. */

import type { ErrorHandler } from "hono";
import type { AppEnv } from "../app-types.ts";
import { errorHeaders, toGatewayError } from "../errors.ts";
import { errorForm } from "./error-form.ts";

export const onError: ErrorHandler<AppEnv> = (thrown, c) => {
  const error = toGatewayError(thrown);
  // The one log line of the gateway: an unforeseen fault's kind, never its message, which may quote the request.
  if (error.code === "internal_error") {
    console.error(`internal_error request=${c.var.requestId} ${faultName(error.details.cause)}`);
  }
  const form = errorForm(c.req.path, c.req.raw.headers);
  return new Response(JSON.stringify(form.body(error, c.var.requestId)), {
    status: form.status(error),
    headers: { "content-type": form.contentType, ...errorHeaders(error) },
  });
};

/** The error's class and where it was thrown, without its message. */
function faultName(cause: unknown): string {
  if (!(cause instanceof Error)) return typeof cause;
  const frame = cause.stack?.split("\n").find((line) => line.trimStart().startsWith("at "));
  return `${cause.name} ${frame?.trim() ?? ""}`;
}
