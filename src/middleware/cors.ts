/**
 * Cross-origin access to the data plane for browsers, only for the origins in CORS_ORIGINS. Preflights need no key. The
 * admin plane has none: no web page elsewhere may use it.
 */

import type { MiddlewareHandler } from "hono";
import { cors as honoCors } from "hono/cors";
import type { AppEnv } from "../app-types.ts";
import { RETRY_HEADERS } from "../errors.ts";
import { FACT_HEADERS } from "../pipeline/request-facts.ts";
import { SCOPE_HEADERS } from "./request-scope.ts";
import { TOKEN_COUNT_HEADER } from "../http/token-count.ts";

/** What a browser's script may read of a response: every header that the gateway adds. The rest of CORS is Hono's. */
const EXPOSED: string[] = [...SCOPE_HEADERS, ...FACT_HEADERS, ...RETRY_HEADERS, TOKEN_COUNT_HEADER];

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
