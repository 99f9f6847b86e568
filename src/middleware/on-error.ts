/** The only place where a fault becomes bytes: the table's status, the dialect's body. */

import type { ErrorHandler } from "hono";
import type { AppEnv } from "../app.ts";
import { errorHeaders, openAiErrorBody, problemBody, toGatewayError } from "../errors.ts";

const ADMIN_PLANE = /^\/(admin|metrics|jaeger)(\/|$)/;

export const onError: ErrorHandler<AppEnv> = (thrown, c) => {
  const error = toGatewayError(thrown);
  // The one log line of the gateway: an unforeseen fault's kind, never its message, which may quote the request.
  if (error.code === "internal_error") {
    console.error(`internal_error request=${c.var.requestId} ${faultName(error.details.cause)}`);
  }
  const isAdmin = ADMIN_PLANE.test(c.req.path);
  const body = isAdmin ? problemBody(error, c.var.requestId) : openAiErrorBody(error);
  return new Response(JSON.stringify(body), {
    status: error.status,
    headers: {
      "content-type": isAdmin ? "application/problem+json" : "application/json",
      ...errorHeaders(error),
    },
  });
};

/** The error's class and where it was thrown, without its message. */
function faultName(cause: unknown): string {
  if (!(cause instanceof Error)) return typeof cause;
  const frame = cause.stack?.split("\n").find((line) => line.trimStart().startsWith("at "));
  return `${cause.name} ${frame?.trim() ?? ""}`;
}
