/**
 * An upstream's good head becomes the client's answer: whole, streamed, passed on or a session. The end comes back with
 * the answer; what the request makes of it is end.ts.
 */

import { type AnswerContext, claim, openFormat, readHeld, reportedOf } from "./answer-context.ts";
import { countUsage } from "./answer-summary.ts";
import { isEventStream, isJson, wholeFromEvents } from "./other-form.ts";
import { isResponse, keepResponse } from "./keep-response.ts";
import { passThrough } from "./pass-through.ts";
import { answerStream } from "./respond-stream.ts";
import { scrubAnswer } from "./scrubbed.ts";
import { openSession } from "./session.ts";
import { endAttempt } from "../attempts/attempt-span.ts";
import { billAnswer } from "../attempts/bill.ts";
import type { ChatExchange, CountExchange, EmbeddingExchange, ReadAnswer } from "../attempts/exchange.ts";
import type { Answered } from "../ended.ts";
import { GatewayError } from "../../errors.ts";
import type { ChatRequest } from "../../schema/chat.ts";
import type { UpstreamCall } from "../../upstream/call.ts";
import type { WholeBody } from "../../upstream/read-body.ts";
import { secretsOf } from "../../wires/scrub-credentials.ts";
import { parseJson } from "../../json/exact.ts";

const JSON_TYPE = "application/json";

/** `idleMs` is how long the answer's body may be silent. Throws a row of the error table. */
export function answerClient(
  context: AnswerContext,
  upstreamCall: UpstreamCall,
  idleMs: number,
): Promise<Answered> {
  const { account } = context.target;
  const answering = answer(context, upstreamCall, idleMs);
  if (account.scrubAnswers !== true) return answering;
  return answering.then((answered) => scrubAnswer(answered, secretsOf(account)));
}

function answer(context: AnswerContext, upstreamCall: UpstreamCall, idleMs: number): Promise<Answered> {
  const { exchange } = context;
  switch (exchange.kind) {
    case "realtime":
      return openSession(context, upstreamCall);
    case "forward":
    case "native":
      return passThrough(context, exchange, upstreamCall, idleMs);
    case "count":
      return readCount(context, exchange, upstreamCall, idleMs);
    case "embeddings":
      return answerWhole(context, exchange, upstreamCall, idleMs);
    case "chat":
      // Some upstreams answer with JSON where a stream was asked for: a whole answer, or an error with a 2xx status.
      return context.attempts.call.chat.stream && !isJson(upstreamCall)
        ? answerStream(context, exchange, upstreamCall, idleMs)
        : answerWhole(context, exchange, upstreamCall, idleMs);
  }
}

async function answerWhole(
  context: AnswerContext,
  exchange: ChatExchange | EmbeddingExchange,
  upstreamCall: UpstreamCall,
  idleMs: number,
): Promise<Answered> {
  const { attempts, turn, span, startedAt } = context;
  const { call, deps } = attempts;
  const received = await readHeld(context, upstreamCall, idleMs);
  const isEvents = isEventStream(upstreamCall);
  const { name } = upstreamCall;
  const { answer, choices = [], format } = read(context, received.text, exchange, name, isEvents);
  deps.content?.note(call, span.ref, () => choices);
  // Before the claim: an answer that comes too late costs as much.
  const bill = billAnswer(context, answer, countUsage(call.chat, answer, false), false);
  claim(context, upstreamCall);
  if (isResponse(exchange)) await keepResponse(context, answer.id);
  call.facts.firstByteAt = deps.now();
  endAttempt(span, {
    answer,
    bill,
    status: upstreamCall.response.status,
    reported: reportedOf(context),
  });
  const isAsReceived = exchange.isSameWire && !isEvents;
  const whole = isAsReceived ? received : { text: formatSpanned(context, format) };
  return {
    generation: toGeneration(whole, exchange, call.chat),
    ended: {
      kind: "whole",
      answer,
      bill,
      target: turn.target.label,
      span: span.ref,
      durationMs: deps.now() - startedAt,
      body: whole.text,
    },
  };
}

/** Throws `upstream_malformed`, or `upstream_error` for an error body with a 2xx status. */
function read(
  { attempts, report }: AnswerContext,
  received: string,
  exchange: ChatExchange | EmbeddingExchange,
  name: string,
  isEvents: boolean,
): ReadAnswer {
  if (exchange.kind === "embeddings" || !isEvents)
    return exchange.read(parseBody(received, exchange, name), report);
  const { answer, body } = wholeFromEvents(received, exchange, attempts.call.chat, name);
  return { answer, format: () => body };
}

/** The whole answer as the client asked for it. */
function toGeneration(
  { text, bytes }: WholeBody,
  exchange: ChatExchange | EmbeddingExchange,
  chat: ChatRequest,
): Answered["generation"] {
  if (exchange.kind !== "chat" || !chat.stream)
    return { contentType: JSON_TYPE, body: text, ...(bytes !== undefined && { bytes }) };
  const { clientWire } = exchange;
  return { contentType: clientWire.streamType(chat), body: clientWire.streamFromWhole(text, chat) };
}

function formatSpanned(context: AnswerContext, format: () => string): string {
  const span = openFormat(context).set({ "gateway.span.cpu_only": true });
  try {
    return format();
  } finally {
    span.end();
  }
}

/** The vendor's own count of a prompt's tokens: free, and its body is the client's where both speak one wire. */
async function readCount(
  context: AnswerContext,
  exchange: CountExchange,
  upstreamCall: UpstreamCall,
  idleMs: number,
): Promise<Answered> {
  const { text: body } = await readHeld(context, upstreamCall, idleMs);
  endAttempt(context.span, { status: upstreamCall.response.status });
  exchange.read(body);
  return { generation: { contentType: JSON_TYPE, body }, ended: { kind: "count" } };
}

/** Only what is written out again must keep the digits of its numbers. */
function parseBody(
  text: string,
  { kind, isSameWire }: ChatExchange | EmbeddingExchange,
  name: string,
): unknown {
  try {
    return kind === "chat" && !isSameWire ? parseJson(text) : JSON.parse(text);
  } catch {
    throw new GatewayError("upstream_malformed", `'${name}' sent a body that is not JSON.`);
  }
}
