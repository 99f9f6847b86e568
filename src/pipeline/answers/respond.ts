/**
 * An upstream's good answer on its way to the client, whole or streamed, forwarded or translated; its end is told to
 * end.ts. Called by attempts.ts.
 */

import { type AnswerSummary, countRelayed, countUsage, createAnswerCollector } from "./answer-summary.ts";
import type { Held } from "../attempts/attempts.ts";
import { endAttempt } from "../attempts/attempt-span.ts";
import { concludeAnswer, concludeRelay, concludeStream } from "../end.ts";
import { GatewayError } from "../../errors.ts";
import type { ChatExchange, EmbeddingExchange, Exchange, ForwardExchange } from "../attempts/exchange.ts";
import type { BareCall, Deps, Generation } from "../ports.ts";
import { openSession } from "./session.ts";
import type { Target } from "../../providers/provider.ts";
import { createSseParser, formatEvent, type ServerSentEvent } from "../../bytes/sse.ts";
import { openStream, type StreamReport } from "../../upstream/stream.ts";
import { relayBody } from "../../upstream/stream-relay.ts";
import { openTranslated } from "../../upstream/stream-translate.ts";
import { type ChoiceCollector, createChoiceCollector } from "../../telemetry/content/content-choices.ts";
import type { Span } from "../../telemetry/trace/trace.ts";
import { readBody, type UpstreamCall } from "../../upstream/call.ts";

export interface Answering {
  readonly call: BareCall;
  readonly held: Held;
  readonly exchange: Exchange;
  readonly target: Target;
  readonly span: Span;
  readonly startedAt: number;
  readonly deps: Deps;
  /** A stream has ended by its upstream's doing: as it should, or not. */
  readonly onEnd?: (isSound: boolean) => void;
}

/** Stops here where another attempt's answer is the request's already. */
function claim({ held }: Answering, attempt: UpstreamCall): void {
  if (held.claim?.() !== false) return;
  attempt.abort("client");
  attempt.release();
  throw new GatewayError("client_disconnected", "Another target answered first.");
}

/** The client's answer from an upstream's good head; `idleMs` is how long its body may be silent. */
export function answerClient(ctx: Answering, attempt: UpstreamCall, idleMs: number): Promise<Generation> {
  const { exchange } = ctx;
  if (exchange.kind === "realtime") return openSession(ctx, attempt, () => claim(ctx, attempt));
  if (exchange.kind === "forward") return relay(ctx, exchange, attempt, idleMs);
  return exchange.kind === "chat" && ctx.call.chat.stream
    ? answerStream(ctx, exchange, attempt, idleMs)
    : answerWhole(ctx, exchange, attempt, idleMs);
}

async function answerWhole(
  ctx: Answering,
  exchange: ChatExchange | EmbeddingExchange,
  attempt: UpstreamCall,
  idleMs: number,
): Promise<Generation> {
  const { call, target, span, startedAt, deps } = ctx;
  const received = await readBody(attempt, idleMs);
  const { answer, choices = [], format } = exchange.read(parseBody(received, target.account.name));
  deps.content?.note(call, span.ref, () => choices);
  claim(ctx, attempt);
  call.facts.firstByteAt = deps.now();
  const counted = countUsage(call.chat, answer, false);
  endAttempt(span, { answer, counted, status: attempt.response.status });
  const body = exchange.isSameWire ? received : formatSpanned(ctx, format);
  const durationMs = deps.now() - startedAt;
  concludeAnswer(call, ctx.held, { answer, counted, target, span: span.ref, durationMs, body }, deps);
  return { contentType: "application/json", body };
}

function formatSpanned(ctx: Answering, format: () => string): string {
  const span = openFormat(ctx).set({ "gateway.span.cpu_only": true });
  try {
    return format();
  } finally {
    span.end();
  }
}

/** The span of a translation, whole or streamed. */
function openFormat({ call, exchange }: Answering): Span {
  return call.trace.root.child("gateway.response.format", {
    attributes: {
      "gateway.dialect.client": call.chat.dialect,
      "gateway.dialect.upstream": exchange.upstreamDialect,
    },
  });
}

/** A stream as it was opened, and what is known when it is over. */
interface Streaming {
  readonly opened: Awaited<ReturnType<typeof openStream>>;
  /** What the client was sent, to be stored; undefined where it is no server-sent events. */
  readonly sent: (() => string) | undefined;
  readonly summary: () => AnswerSummary;
}

async function answerStream(
  ctx: Answering,
  exchange: ChatExchange,
  attempt: UpstreamCall,
  idleMs: number,
): Promise<Generation> {
  const { call, target, span, startedAt, deps } = ctx;
  const { opened, sent, summary } = await (exchange.isForwarded ? forward : translate)(
    ctx,
    exchange,
    attempt,
    idleMs,
  );
  claim(ctx, attempt);
  const firstChunkMs = opened.firstChunkAt - startedAt;
  call.facts.firstByteAt = opened.firstChunkAt;
  span.event("gateway.stream.first_chunk", {}, opened.firstChunkAt);
  const formatting = exchange.isForwarded ? undefined : openFormat(ctx);
  const { body, done } = opened.send({ errorEvent: exchange.codec.errorEvent });
  const finish = async (): Promise<boolean> => {
    const report = await done;
    const answer = summary();
    const counted = countUsage(call.chat, answer, report.outcome !== "complete");
    const { status } = attempt.response;
    formatting?.end();
    endAttempt(span, {
      answer,
      counted,
      status,
      report,
      firstChunkMs,
      ...(report.error === undefined ? {} : { error: report.error }),
    });
    const durationMs = deps.now() - startedAt;
    concludeStream(
      call,
      ctx.held,
      { answer, counted, target, span: span.ref, durationMs, report, sent },
      deps,
    );
    // What the gateway itself has ended says nothing of the target.
    const isOurs = report.error?.canFallBack === false;
    if (report.outcome !== "client_disconnected" && !isOurs) ctx.onEnd?.(report.outcome === "complete");
    return report.outcome === "complete";
  };
  const isComplete = finish();
  deps.defer(isComplete);
  return { contentType: exchange.codec.streamType(call.chat), body, isComplete };
}

/** Gathers a stream's text for the trace, where somebody wants it there. */
function noteChoices({ call, span, deps }: Answering): ChoiceCollector | undefined {
  if (!deps.content) return undefined;
  const choices = createChoiceCollector();
  deps.content.note(call, span.ref, choices.read);
  return choices;
}

async function forward(
  ctx: Answering,
  { wire }: ChatExchange,
  attempt: UpstreamCall,
  idleMs: number,
): Promise<Streaming> {
  const { held, deps } = ctx;
  const collector = createAnswerCollector(noteChoices(ctx));
  const kept: ServerSentEvent[] = [];
  const observer = {
    onChunks: collector.add,
    ...(held.cacheKey !== undefined && {
      onEvents: (events: readonly ServerSentEvent[]) => void kept.push(...events),
    }),
  };
  const format = { parser: createSseParser(), decode: wire.decoder() };
  const opened = await openStream(attempt, { format, observer, idleMs, now: deps.now });
  const sent = (): string =>
    kept.map(({ data, event }) => formatEvent(data, event === "message" ? undefined : event)).join("");
  return { opened, sent, summary: collector.summary };
}

async function translate(
  ctx: Answering,
  { wire, codec }: ChatExchange,
  attempt: UpstreamCall,
  idleMs: number,
): Promise<Streaming> {
  const { call, held, deps } = ctx;
  const collector = createAnswerCollector(noteChoices(ctx));
  const kept: string[] = [];
  const isEvents = codec.streamType(call.chat).startsWith("text/event-stream");
  const observer = {
    onChunks: collector.add,
    ...(held.cacheKey !== undefined && isEvents && { onText: (text: string) => void kept.push(text) }),
  };
  const format = { parser: wire.createParser?.() ?? createSseParser(), decode: wire.decoder() };
  const encoder = codec.encoder(call.chat);
  const opened = await openTranslated(attempt, { format, encoder, observer, idleMs, now: deps.now });
  return { opened, sent: isEvents ? () => kept.join("") : undefined, summary: collector.summary };
}

/** Bytes that are not understood, passed on as they come; a JSON answer as a whole, so that its headers can name its cost. */
async function relay(
  ctx: Answering,
  exchange: ForwardExchange,
  attempt: UpstreamCall,
  idleMs: number,
): Promise<Generation> {
  const { call, held, target, span, deps } = ctx;
  const { status, headers } = attempt.response;
  const contentType = headers.get("content-type") ?? "application/octet-stream";
  const inspector = exchange.inspect(contentType);
  claim(ctx, attempt);
  const end = (report?: StreamReport): void => {
    const answer = inspector?.summary();
    const error = report?.error;
    const counted = countRelayed(call.chat, answer, report !== undefined && report.outcome !== "complete");
    endAttempt(span, {
      status,
      counted,
      ...(answer && { answer }),
      ...(report && { report }),
      ...(error && { error }),
    });
    concludeRelay(
      call,
      held.admission,
      { target, counted, ...(answer && { answer }), ...(report && { report }) },
      deps,
    );
  };
  if (contentType.startsWith("application/json")) {
    const body = await readBody(attempt, idleMs);
    call.facts.firstByteAt = deps.now();
    inspector?.push(new TextEncoder().encode(body));
    end();
    return { contentType, body };
  }
  call.facts.firstByteAt = deps.now();
  const onBytes = inspector && { onBytes: inspector.push };
  const { body, done } = relayBody(attempt, { idleMs, now: deps.now, ...onBytes });
  deps.defer(done.then(end));
  return { contentType, body };
}

function parseBody(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new GatewayError("upstream_malformed", `'${name}' sent a body that is not JSON.`);
  }
}
