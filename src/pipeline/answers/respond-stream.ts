/** A chat stream on its way to the client: forwarded untouched where both sides speak one wire, else translated. */

import { type AnswerContext, claim, letRequestGo, openFormat, reportedOf } from "./answer-context.ts";
import { type AnswerSummary, countUsage, createAnswerCollector } from "./answer-summary.ts";
import { endAttempt } from "../attempts/attempt-span.ts";
import { billAnswer } from "../attempts/bill.ts";
import type { ChatExchange } from "../attempts/exchange.ts";
import type { Answered, StreamEnd } from "../ended.ts";
import { isResponse, keepResponse } from "./keep-response.ts";
import { createKeptText } from "./kept-text.ts";
import { createSseParser, formatEvent, type ServerSentEvent } from "../../bytes/sse.ts";
import { type ChoiceCollector, createChoiceCollector } from "../../telemetry/content/content-choices.ts";
import type { UpstreamCall } from "../../upstream/call.ts";
import { openStream } from "../../upstream/stream.ts";
import { openTranslated } from "../../upstream/stream-translate.ts";

/** A stream as it was opened, and what is known when it is over. */
interface Streaming {
  readonly opened: Awaited<ReturnType<typeof openStream>>;
  /** What the client was sent, to be stored; undefined where it isn't server-sent events. */
  readonly sent: (() => string | undefined) | undefined;
  readonly summary: () => AnswerSummary;
}

export async function answerStream(
  context: AnswerContext,
  exchange: ChatExchange,
  upstreamCall: UpstreamCall,
  idleMs: number,
): Promise<Answered> {
  const { attempts, turn, span, startedAt } = context;
  const { call, deps } = attempts;
  const open = exchange.isForwarded ? forward : translate;
  const { opened, sent, summary } = await open(context, exchange, upstreamCall, idleMs);
  claim(context, upstreamCall);
  if (isResponse(exchange)) await keepResponse(context, summary().id);
  letRequestGo(context);
  const firstChunkMs = opened.firstChunkAt - startedAt;
  call.facts.firstByteAt = opened.firstChunkAt;
  span.event("gateway.stream.first_chunk", {}, opened.firstChunkAt);
  const formatting = exchange.isForwarded ? undefined : openFormat(context);
  const { body, done } = opened.send({ errorEvent: exchange.clientWire.errorEvent });
  const filter = exchange.isForwarded ? exchange.clientWire.streamFilter?.(call.chat) : undefined;
  const finish = async (): Promise<StreamEnd> => {
    const report = await done;
    const answer = summary();
    const isCut = report.outcome !== "complete";
    const bill = billAnswer(context, answer, countUsage(call.chat, answer, isCut), isCut);
    const { error } = report;
    formatting?.end();
    const { status } = upstreamCall.response;
    endAttempt(span, {
      answer,
      bill,
      status,
      report,
      firstChunkMs,
      reported: reportedOf(context),
      ...(error !== undefined && { error }),
    });
    return {
      kind: "stream",
      answer,
      bill,
      target: turn.target.label,
      span: span.ref,
      durationMs: deps.now() - startedAt,
      report,
      sent,
    };
  };
  const contentType = exchange.clientWire.streamType(call.chat);
  return { generation: { contentType, body: filter ? body.pipeThrough(filter) : body }, ended: finish() };
}

/** Gathers a stream's text for the trace, where content is wanted there. */
function noteChoices({ attempts: { call, deps }, span }: AnswerContext): ChoiceCollector | undefined {
  if (!deps.content) return undefined;
  const choices = createChoiceCollector();
  deps.content.note(call, span.ref, choices.read);
  return choices;
}

async function forward(
  context: AnswerContext,
  { upstreamWire }: ChatExchange,
  upstreamCall: UpstreamCall,
  idleMs: number,
): Promise<Streaming> {
  const { attempts } = context;
  const collector = createAnswerCollector(noteChoices(context));
  const kept = createKeptText();
  const onEvents = (events: readonly ServerSentEvent[]): void => {
    for (const { data, event } of events)
      kept.add(formatEvent(data, event === "message" ? undefined : event));
  };
  const observer = { onChunks: collector.add, ...(attempts.isKept && { onEvents }) };
  const format = { parser: createSseParser(), decode: upstreamWire.decoder(context.report) };
  const opened = await openStream(upstreamCall, { format, observer, idleMs, now: attempts.deps.now });
  return { opened, sent: kept.read, summary: collector.summary };
}

async function translate(
  context: AnswerContext,
  { upstreamWire, clientWire }: ChatExchange,
  upstreamCall: UpstreamCall,
  idleMs: number,
): Promise<Streaming> {
  const { attempts } = context;
  const { chat } = attempts.call;
  const collector = createAnswerCollector(noteChoices(context));
  const kept = createKeptText();
  const isEvents = clientWire.streamType(chat).startsWith("text/event-stream");
  const observer = {
    onChunks: collector.add,
    ...(attempts.isKept && isEvents && { onText: kept.add }),
  };
  const format = {
    parser: upstreamWire.createParser?.() ?? createSseParser(),
    decode: upstreamWire.decoder(context.report),
  };
  const encoder = clientWire.encoder(chat);
  const { now } = attempts.deps;
  const opened = await openTranslated(upstreamCall, { format, encoder, observer, idleMs, now });
  return { opened, sent: isEvents ? kept.read : undefined, summary: collector.summary };
}
