/** Cross-origin access for browsers, only where CORS_ORIGINS names the origin. Preflights are answered before any key. */

import type { MiddlewareHandler } from "hono";
import { cors as honoCors } from "hono/cors";
import type { AppEnv } from "../app-types.ts";

/** What a browser's script may read of a response; the rest of CORS is Hono's. */
const EXPOSED = [
  "x-request-id",
  "request-id",
  "x-trace-id",
  "traceresponse",
  "server-timing",
  "age",
  "retry-after",
  "retry-after-ms",
  "x-headgate-cache",
  "x-headgate-cache-similarity",
  "x-headgate-target",
  "x-headgate-attempts",
  "x-headgate-queue-ms",
  "x-headgate-cost-usd",
  "x-headgate-dropped",
  ...["limit", "remaining", "reset"].flatMap((part) => [
    `x-ratelimit-${part}-requests`,
    `x-ratelimit-${part}-tokens`,
  ]),
];

const PREFLIGHT_MAX_AGE_SECONDS = 600;

export const cors: MiddlewareHandler<AppEnv> = (c, next) => {
  const origins = c.get("settings").corsOrigins;
  if (origins.length === 0) return next();
  return honoCors({
    origin: origins.includes("*") ? "*" : [...origins],
    exposeHeaders: EXPOSED,
    maxAge: PREFLIGHT_MAX_AGE_SECONDS,
  })(c, next);
};
