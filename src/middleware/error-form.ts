/**
 * Which vendor's error shape a response uses, from path and headers alone: problem details on the admin plane, else the
 * error form of the client's wire. Pure.
 */

import { problemBody } from "../errors.ts";
import type { ClientErrors } from "../wires/client-wire.ts";
import { clientWireFor } from "../wires/registry.ts";

const ADMIN_PLANE = /^\/(admin|metrics|jaeger)(\/|$)/;

/** RFC 9457. */
export const PROBLEM_ERRORS: ClientErrors = {
  contentType: "application/problem+json",
  status: (error) => error.status,
  body: (error, requestId = "") => problemBody(error, requestId),
};

/** `path` as the client sent it, without its query. */
export function errorForm(path: string, headers: Headers): ClientErrors {
  return ADMIN_PLANE.test(path) ? PROBLEM_ERRORS : clientWireFor(path, headers).errors;
}
