/**
 * The one error type, the one table, and the bodies made of it. A fault is thrown as a GatewayError; only
 * middleware/on-error.ts turns it into bytes (and, after the first byte, the wire's error event). Imports nothing of
 * ours.
 */

interface ErrorRule {
  readonly status: number;
  /** `error.type` of an OpenAI body: for people, since SDKs choose their error class by status. */
  readonly openaiType: string;
  /** Whether the next target of the plan may be tried: the upstream's fault, not the caller's. */
  readonly fallback: boolean;
}

const CALLER = { openaiType: "invalid_request_error", fallback: false } as const;
const UPSTREAM = { openaiType: "api_error", fallback: true } as const;

/** Every way a request can fail: src/docs/errors.md. */
const RULES = {
  invalid_request: { status: 400, ...CALLER },
  invalid_api_key: { status: 401, openaiType: "authentication_error", fallback: false },
  permission_denied: { status: 403, openaiType: "permission_error", fallback: false },
  tenant_suspended: { status: 403, openaiType: "permission_error", fallback: false },
  model_not_found: { status: 404, ...CALLER },
  not_found: { status: 404, ...CALLER },
  method_not_allowed: { status: 405, ...CALLER },
  conflict: { status: 409, ...CALLER },
  precondition_failed: { status: 412, ...CALLER },
  upgrade_required: { status: 426, ...CALLER },
  request_too_large: { status: 413, ...CALLER },
  rate_limited: { status: 429, openaiType: "rate_limit_error", fallback: false },
  queue_full: { status: 429, openaiType: "rate_limit_error", fallback: false },
  budget_exceeded: { status: 429, openaiType: "insufficient_quota", fallback: false },
  guardrail_blocked: { status: 400, ...CALLER },
  cache_miss: { status: 504, openaiType: "api_error", fallback: false },
  client_disconnected: { status: 499, openaiType: "api_error", fallback: false },
  upstream_rejected: { status: 400, ...CALLER },
  upstream_auth: { status: 502, ...UPSTREAM },
  upstream_rate_limited: { status: 429, openaiType: "rate_limit_error", fallback: true },
  upstream_error: { status: 502, ...UPSTREAM },
  upstream_malformed: { status: 502, ...UPSTREAM },
  upstream_overloaded: { status: 503, ...UPSTREAM },
  upstream_timeout: { status: 504, ...UPSTREAM },
  unavailable: { status: 503, openaiType: "api_error", fallback: false },
  internal_error: { status: 500, openaiType: "api_error", fallback: false },
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

export interface OpenAiErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string;
  };
}

/** The body OpenAI's SDKs read: https://platform.openai.com/docs/guides/error-codes (seen 2026-11). */
export function openAiErrorBody(error: GatewayError): OpenAiErrorBody {
  return {
    error: {
      message: error.message,
      type: RULES[error.code].openaiType,
      param: error.details.param ?? null,
      code: error.code,
    },
  };
}

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

/** The body and stream event Anthropic's SDKs read: https://docs.anthropic.com/en/api/errors (seen 2026-11). */
export function anthropicErrorBody(error: GatewayError, requestId?: string): AnthropicErrorBody {
  const status = anthropicStatus(error);
  const type = ANTHROPIC_TYPES.get(status) ?? (status >= 500 ? "api_error" : "invalid_request_error");
  return {
    type: "error",
    error: { type, message: error.message },
    ...(requestId !== undefined && { request_id: requestId }),
  };
}

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

/** The body Google's SDKs read: https://ai.google.dev/gemini-api/docs/troubleshooting (seen 2026-11). */
export function geminiErrorBody(error: GatewayError): GeminiErrorBody {
  const { status: code, message } = error;
  const status = GOOGLE_STATUSES.get(code) ?? (code >= 500 ? "INTERNAL" : "INVALID_ARGUMENT");
  return { error: { code, message, status } };
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
