/**
 * A Realtime session, from the upstream's 101 to the last close: the sockets joined, its responses' usage read while
 * they pass, its end classified.
 */

import { type AnswerContext, claim } from "./answer-context.ts";
import { starSecrets } from "../../bytes/secret-filter.ts";
import { secretsOf } from "../../wires/scrub-credentials.ts";
import { endAttempt } from "../attempts/attempt-span.ts";
import { billAnswer } from "../attempts/bill.ts";
import type { Answered, SessionEnd } from "../ended.ts";
import {
  createSessionReader,
  realtimeErrorEvent,
  type SessionSummary,
} from "../../wires/openai-realtime/events.ts";
import { GatewayError } from "../../errors.ts";
import { BROKEN, CLOSE, isOrderly } from "../../upstream/socket-close.ts";
import { joinSockets, type SessionReport } from "../../upstream/socket-relay.ts";
import type { StreamOutcome } from "../../upstream/stream.ts";
import type { SpanAttributes } from "../../telemetry/trace/attributes.ts";
import { type UpstreamCall, abortCauseOf, toUpstreamError } from "../../upstream/call.ts";

/** Throws `upstream_error` where the upstream did not answer with a WebSocket. */
export async function openSession(context: AnswerContext, upstreamCall: UpstreamCall): Promise<Answered> {
  const { attempts, target, span, startedAt } = context;
  const { call, deps } = attempts;
  const { name } = target.account;
  const { status, webSocket } = upstreamCall.response;
  if (webSocket === null) {
    upstreamCall.abort("total");
    upstreamCall.release();
    throw new GatewayError("upstream_error", `'${name}' did not open a WebSocket.`, {
      upstreamStatus: status,
    });
  }
  claim(context, upstreamCall);
  // The time limits were the handshake's: a session may be silent, and lasts as long as its two ends want.
  upstreamCall.release();
  const openedAt = deps.now();
  const reader = createSessionReader();
  const secrets = target.account.scrubAnswers === true ? secretsOf(target.account) : [];
  const { client, done } = joinSockets(webSocket, {
    now: deps.now,
    signal: call.signal(),
    stop: () => stopOf(call.signal(), name),
    scrub: (text) => starSecrets(text, secrets),
    onText: reader.read,
    lastEvent: (error) => realtimeErrorEvent(error, call.requestId),
    connectionError: () => toUpstreamError(undefined, undefined, name),
    abandon: () => upstreamCall.abort("client"),
  });

  const finish = async (): Promise<SessionEnd> => {
    const report = await done;
    const session = reader.summary();
    const { outcome, error } = classifySessionEnd(report, name);
    const { firstFrameAt } = report;
    if (firstFrameAt !== undefined) {
      call.facts.firstByteAt = firstFrameAt;
      span.event("gateway.stream.first_chunk", {}, firstFrameAt);
    }
    const about = sessionAttributes(report, session, outcome, openedAt);
    span.set(about);
    call.trace.root.set(about);
    const answer = { ...session, finishReasons: [], hasToolCalls: false, isRefusal: false, writtenTokens: 0 };
    // Many answers in one: the length of one can't be learned from it.
    const { usage } = session;
    const bill = usage && billAnswer(context, answer, { usage, isEstimate: false }, true);
    endAttempt(span, {
      answer,
      bill,
      status,
      ...(firstFrameAt !== undefined && { firstChunkMs: firstFrameAt - startedAt }),
      ...(error !== undefined && { error }),
    });
    return { kind: "session", ...(error !== undefined && { error }) };
  };
  return { generation: { contentType: "", body: "", socket: client }, ended: finish() };
}

/** What a fired signal ends the session with: 1008 says that the caller may not go on, 1013 that it may try again. */
function stopOf(signal: AbortSignal, name: string): { error: GatewayError; code: number } | undefined {
  const cause = abortCauseOf(signal);
  if (cause === "client") return undefined;
  const code = cause === "revoked" ? CLOSE.policyViolation : CLOSE.tryAgainLater;
  return { error: toUpstreamError(undefined, cause, name), code };
}

interface SessionVerdict {
  readonly outcome: StreamOutcome;
  readonly error?: GatewayError;
}

/** Either side may end a session at any time; only a broken connection, or an upstream's own complaint, is a fault. */
export function classifySessionEnd(
  { closedBy, closeCode, stopped }: SessionReport,
  name: string,
): SessionVerdict {
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

function sessionAttributes(
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
