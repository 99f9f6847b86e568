/**
 * A finished trace in one line: the columns of the store and of `GET /admin/traces` (src/docs/admin-api.md).
 * Read off the root's attributes; only the upstream's name comes from the attempt that answered. Pure.
 */

import type { AttributeName, AttributeValue } from "./attributes.ts";
import type { FinishedSpan, FinishedTrace } from "./trace.ts";

/** Null where the request has no such value. Times are ms since the epoch. */
export interface TraceSummary {
  readonly traceId: string;
  readonly requestId: string;
  readonly startedAt: number;
  readonly durationMs: number;
  readonly tenant: string | null;
  readonly keyId: string | null;
  readonly route: string | null;
  readonly model: string | null;
  readonly provider: string | null;
  readonly status: number | null;
  readonly isError: boolean;
  readonly outcome: string | null;
  readonly ttfbMs: number | null;
  readonly queueMs: number | null;
  readonly attempts: number | null;
  readonly cache: string | null;
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  readonly costUsd: number | null;
  /** What the cost rests on: `partial` where it leaves out what has no price. */
  readonly costBasis: string | null;
  readonly session: string | null;
  /** Hashed. */
  readonly endUser: string | null;
  /** Neither an operator's own call nor a path that does not exist. */
  readonly isData: boolean;
}

const FIRST_ERROR_STATUS = 400;
const NOT_FOUND = 404;
const OPERATOR_ROUTE = /^\/(admin|jaeger)(\/|$)/;

/** The summary of a trace; the request id of one without (a summary span) is its root's span id. */
export function summarize({
  root,
  spans,
  traceId,
  tenantId,
}: Omit<FinishedTrace, "hasRemoteParent">): TraceSummary {
  const answering = spans.findLast(isAnswerAttempt);
  return {
    traceId,
    requestId: textAttribute(root, "gateway.request.id") ?? root.spanId,
    startedAt: root.startAt,
    durationMs: root.endAt - root.startAt,
    tenant: tenantId ?? textAttribute(root, "gateway.tenant.id"),
    keyId: textAttribute(root, "gateway.key.id"),
    route: textAttribute(root, "gateway.route.id"),
    model: textAttribute(answering, "gen_ai.request.model") ?? textAttribute(root, "gen_ai.request.model"),
    provider: textAttribute(answering, "gen_ai.provider.name") ?? textAttribute(root, "gen_ai.provider.name"),
    status: numberAttribute(root, "http.response.status_code"),
    isError: isFailed(root),
    outcome: textAttribute(root, "gateway.outcome"),
    ttfbMs: numberAttribute(root, "gateway.ttfb_ms"),
    queueMs: numberAttribute(root, "gateway.queue.wait_ms"),
    attempts: numberAttribute(root, "gateway.attempt.count"),
    cache: textAttribute(root, "gateway.cache.status"),
    inputTokens: numberAttribute(root, "gen_ai.usage.input_tokens"),
    outputTokens: numberAttribute(root, "gen_ai.usage.output_tokens"),
    costUsd: numberAttribute(root, "gateway.cost.usd"),
    costBasis: textAttribute(root, "gateway.cost.basis"),
    session: textAttribute(root, "gen_ai.conversation.id"),
    endUser: textAttribute(root, "enduser.pseudo.id"),
    isData: !isOperatorCall(root) && !isStray(root),
  };
}

/** Whether a request was for the admin plane: the operator's own requests are not traffic. */
export function isOperatorCall(root: FinishedSpan): boolean {
  return OPERATOR_ROUTE.test(textAttribute(root, "http.route") ?? "");
}

/** Whether a request without a known key was for a path that does not exist. */
function isStray({ attributes }: FinishedSpan): boolean {
  return (
    attributes["http.response.status_code"] === NOT_FOUND &&
    attributes["http.route"] === undefined &&
    attributes["gateway.key.id"] === undefined
  );
}

/**
 * Whether the client got an error: a status from 400 on, or a fault behind a 200 (a stream that was cut). Wider
 * than the root's span status, where 4xx is not an error. A client that disconnected is not a failure.
 */
export function isFailed(root: FinishedSpan): boolean {
  if (root.attributes["gateway.outcome"] === "client_disconnected") return false;
  return root.isError || (numberAttribute(root, "http.response.status_code") ?? 0) >= FIRST_ERROR_STATUS;
}

/** Whether a span is a call to an upstream. */
export function isAttempt(span: FinishedSpan): boolean {
  return span.attributes["gateway.attempt.number"] !== undefined;
}

/** Whether that call was made to answer the request, not to embed its text for the semantic cache. */
export function isAnswerAttempt(span: FinishedSpan): boolean {
  return isAttempt(span) && span.attributes["gateway.attempt.reason"] !== "cache";
}

/** A span's attribute when it is a number. */
export function numberAttribute(span: FinishedSpan | undefined, name: AttributeName): number | null {
  const value: AttributeValue | undefined = span?.attributes[name];
  return typeof value === "number" ? value : null;
}

/** A span's attribute when it is text. */
export function textAttribute(span: FinishedSpan | undefined, name: AttributeName): string | null {
  const value: AttributeValue | undefined = span?.attributes[name];
  return typeof value === "string" ? value : null;
}
