/**
 * The one error type and the one table. A fault is thrown as a GatewayError; only middleware/on-error.ts turns it into
 * bytes (and, after the first byte, the wire's error event), in the form of the client's wire: its client-errors.ts.
 * Imports nothing of ours.
 */

interface ErrorRule {
  readonly status: number;
  /** Whether the next target of the plan may be tried: the upstream's fault, not the caller's. */
  readonly fallback: boolean;
}

/** Every way a request can fail: src/docs/errors.md. */
const RULES = {
  invalid_request: { status: 400, fallback: false },
  invalid_api_key: { status: 401, fallback: false },
  permission_denied: { status: 403, fallback: false },
  tenant_suspended: { status: 403, fallback: false },
  model_not_found: { status: 404, fallback: false },
  not_found: { status: 404, fallback: false },
  method_not_allowed: { status: 405, fallback: false },
  request_timeout: { status: 408, fallback: false },
  conflict: { status: 409, fallback: false },
  unpriced: { status: 400, fallback: false },
  precondition_failed: { status: 412, fallback: false },
  upgrade_required: { status: 426, fallback: false },
  request_too_large: { status: 413, fallback: false },
  unsupported_encoding: { status: 415, fallback: false },
  rate_limited: { status: 429, fallback: false },
  queue_full: { status: 429, fallback: false },
  budget_exceeded: { status: 429, fallback: false },
  guardrail_blocked: { status: 400, fallback: false },
  cache_miss: { status: 504, fallback: false },
  client_disconnected: { status: 499, fallback: false },
  upstream_rejected: { status: 400, fallback: false },
  upstream_auth: { status: 502, fallback: true },
  upstream_rate_limited: { status: 429, fallback: true },
  upstream_error: { status: 502, fallback: true },
  upstream_malformed: { status: 502, fallback: true },
  upstream_overloaded: { status: 503, fallback: true },
  upstream_timeout: { status: 504, fallback: true },
  overloaded: { status: 503, fallback: false },
  unavailable: { status: 503, fallback: false },
  internal_error: { status: 500, fallback: false },
} as const satisfies Record<string, ErrorRule>;

export type ErrorCode = keyof typeof RULES;

/** The limit that refused a request; headers, body and span show the same numbers. */
export interface LimitFacts {
  /** `requests_per_minute`, `concurrency`, `queue_depth`, … */
  readonly name: string;
  readonly value: number;
  readonly remaining: number;
}

export interface ErrorDetails {
  /** The field, header or setting at fault. */
  readonly param?: string;
  /** In place of the table's status: only `upstream_rejected` passes the upstream's own on. */
  readonly status?: number;
  readonly retryAfterMs?: number;
  readonly limit?: LimitFacts;
  /** The upstream's status, for spans and retry rules. */
  readonly upstreamStatus?: number;
  /** Which time limit an `upstream_timeout` ran into. */
  readonly timeout?: "first_byte" | "idle" | "total";
  /** Response headers this error must carry (`allow` of a 405). */
  readonly headers?: Readonly<Record<string, string>>;
  /** Never sent: for the stack in local logs only. */
  readonly cause?: unknown;
}

/** Overload passes in seconds; a retry after one does no harm. */
const DEFAULT_RETRY_AFTER_MS = 1000;

/** A fault with a row in the table. Its message is for the client: no secret, no upstream credential, no stack. */
export class GatewayError extends Error {
  override readonly name = "GatewayError";
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.details = details;
  }

  get status(): number {
    return this.details.status ?? RULES[this.code].status;
  }

  /** When to retry, in ms: every 429 and 503 has one, a default where nothing better is known. */
  get retryAfterMs(): number | undefined {
    const isPassing = this.status === 429 || this.status === 503;
    return this.details.retryAfterMs ?? (isPassing ? DEFAULT_RETRY_AFTER_MS : undefined);
  }

  /** Whether another target may be tried instead (src/docs/errors.md). */
  get canFallBack(): boolean {
    return RULES[this.code].fallback;
  }
}

const INTERNAL_MESSAGE =
  "The gateway failed while handling this request. Quote the request id when you report it.";

/** Whatever was thrown, as a row of the table; an unknown fault becomes `internal_error` with a fixed sentence. */
export function toGatewayError(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  return new GatewayError("internal_error", INTERNAL_MESSAGE, { cause: thrown });
}

export interface ProblemBody {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
  readonly param?: string;
  readonly requestId: string;
}

/** RFC 9457 problem details, for the admin plane. `type` is `about:blank`: the meaning is in `code`. */
export function problemBody(error: GatewayError, requestId: string): ProblemBody {
  return {
    type: "about:blank",
    title: error.code.replaceAll("_", " "),
    status: error.status,
    detail: error.message,
    code: error.code,
    ...(error.details.param !== undefined && { param: error.details.param }),
    requestId,
  };
}

const MS_PER_SECOND = 1000;

/** Of the headers an error carries, those that a browser's script may read. */
export const RETRY_HEADERS = ["retry-after", "retry-after-ms"] as const;

/** The headers an error carries in every wire: `retry-after` (whole seconds, rounded up) and `retry-after-ms`. */
export function errorHeaders(error: GatewayError): Record<string, string> {
  const { retryAfterMs } = error;
  const { headers } = error.details;
  if (retryAfterMs === undefined) return { ...headers };
  const waitMs = Math.max(0, Math.ceil(retryAfterMs));
  const retry: Record<(typeof RETRY_HEADERS)[number], string> = {
    "retry-after": String(Math.ceil(waitMs / MS_PER_SECOND)),
    "retry-after-ms": String(waitMs),
  };
  return { ...headers, ...retry };
}
