/**
 * A Realtime session, from the upstream's 101 to the last close: the sockets joined, its responses' usage read beside
 * their way, its end judged and told to end.ts. Called by respond.ts.
 */

import type { Answering } from "./respond.ts";
import { endAttempt } from "../attempts/attempt-span.ts";
import { concludeSession } from "../end.ts";
import {
  createSessionReader,
  realtimeErrorEvent,
  type SessionSummary,
} from "../../wires/openai-realtime/events.ts";
import { GatewayError } from "../../errors.ts";
import type { Generation } from "../ports.ts";
import { BROKEN, CLOSE, isOrderly } from "../../upstream/socket-close.ts";
import { joinSockets, type SessionReport } from "../../upstream/socket-relay.ts";
import type { StreamOutcome } from "../../upstream/stream.ts";
import type { SpanAttributes } from "../../telemetry/trace/attributes.ts";
import { abortCauseOf, toUpstreamError, type UpstreamCall } from "../../upstream/call.ts";

/**
 * Throws `upstream_error` where the upstream answered with something else than a WebSocket. `claim` throws where another
 * target has opened the session already.
 */
export async function openSession(
  ctx: Answering,
  attempt: UpstreamCall,
  claim: () => void,
): Promise<Generation> {
  const { call, target, span, startedAt, deps } = ctx;
  const { name } = target.account;
  const { status, webSocket } = attempt.response;
  if (webSocket === null) {
    attempt.abort("total");
    attempt.release();
    throw new GatewayError("upstream_error", `'${name}' did not open a WebSocket.`, {
      upstreamStatus: status,
    });
  }
  claim();
  // The time limits were the handshake's: a session may be silent, and lasts as long as its two ends want.
  attempt.release();
  const openedAt = deps.now();
  const reader = createSessionReader();
  const { client, done } = joinSockets(webSocket, {
    now: deps.now,
    signal: call.signal(),
    stop: () => stopOf(call.signal(), name),
    onText: reader.read,
    lastEvent: (error) => realtimeErrorEvent(error, call.requestId),
    connectionError: () => toUpstreamError(undefined, undefined, name),
    abandon: () => attempt.abort("client"),
  });

  const finish = async (): Promise<boolean> => {
    const report = await done;
    const session = reader.summary();
    const { outcome, error } = judge(report, name);
    const { firstFrameAt } = report;
    if (firstFrameAt !== undefined) {
      call.facts.firstByteAt = firstFrameAt;
      span.event("gateway.stream.first_chunk", {}, firstFrameAt);
    }
    const about = describe(report, session, outcome, openedAt);
    span.set(about);
    call.trace.root.set(about);
    const answer = { ...session, finishReasons: [], hasToolCalls: false, isRefusal: false, outputChars: 0 };
    const counted = session.usage && { usage: session.usage, isEstimate: false };
    const fault = error && { error };
    const firstChunkMs = firstFrameAt === undefined ? {} : { firstChunkMs: firstFrameAt - startedAt };
    endAttempt(span, { answer, ...(counted && { counted }), status, ...firstChunkMs, ...fault });
    concludeSession(call, ctx.held.admission, { target, answer, counted, ...fault }, deps);
    const isUpstreams = error === undefined || error.canFallBack;
    if (isUpstreams) ctx.onEnd?.(error === undefined);
    return error === undefined;
  };
  const isComplete = finish();
  deps.defer(isComplete);
  return { contentType: "", body: "", socket: client, isComplete };
}

/** What a fired signal ends the session with: 1008 says that the caller may not go on, 1013 that he may come again. */
function stopOf(signal: AbortSignal, name: string): { error: GatewayError; code: number } | undefined {
  const cause = abortCauseOf(signal);
  if (cause === "client") return undefined;
  const code = cause === "revoked" ? CLOSE.policyViolation : CLOSE.tryAgainLater;
  return { error: toUpstreamError(undefined, cause, name), code };
}

interface Verdict {
  readonly outcome: StreamOutcome;
  readonly error?: GatewayError;
}

/** Either side may end a session at any time; only a broken connection, or an upstream's own complaint, is a fault. */
export function judge({ closedBy, closeCode, stopped }: SessionReport, name: string): Verdict {
  if (stopped !== undefined) return { outcome: "cut", error: stopped };
  if (closedBy === "client") {
    if (closeCode !== BROKEN) return { outcome: "complete" };
    return { outcome: "client_disconnected", error: toUpstreamError(undefined, "client", name) };
  }
  if (closeCode === BROKEN) return { outcome: "cut", error: toUpstreamError(undefined, undefined, name) };
  if (isOrderly(closeCode)) return { outcome: "complete" };
  const message = `'${name}' ended the session with the close code ${closeCode}.`;
  return { outcome: "upstream_error", error: new GatewayError("upstream_error", message) };
}

function describe(
  report: SessionReport,
  { responses, failedResponses, errors }: SessionSummary,
  outcome: StreamOutcome,
  openedAt: number,
): SpanAttributes {
  return {
    "gateway.stream.outcome": outcome,
    "gateway.stream.chunks": report.upstreamFrames,
    "gateway.realtime.closed_by": report.closedBy,
    "gateway.realtime.close_code": report.closeCode,
    "gateway.realtime.session_ms": report.closedAt - openedAt,
    "gateway.realtime.responses": responses,
    "gateway.realtime.failed_responses": failedResponses,
    "gateway.realtime.errors": errors,
    "gateway.realtime.client_frames": report.clientFrames,
  };
}
