/**
 * Asks the plan's targets in order until one answers: attempts, retries, fallback, each with its span and the reason it
 * was left. Nothing is tried again once a byte has reached the client.
 */

import type { Admission } from "./admission.ts";
import { type AnswerSummary, createAnswerCollector, summarise } from "./answer.ts";
import type { CacheKey } from "../cache/key.ts";
import { concludeAnswer, concludeStream } from "./conclusion.ts";
import { GatewayError, toGatewayError } from "../errors.ts";
import type { Call, Deps, Generation } from "./ports.ts";
import { endAttempt, openAttempt } from "./attempt-span.ts";
import type { Provider, Target } from "../providers/provider.ts";
import type { Plan, PlannedTarget } from "../routing/plan.ts";
import { type NextStep, nextStep } from "../routing/retry.ts";
import type { ServerSentEvent } from "../sse.ts";
import { openStream } from "../stream.ts";
import { createChoiceCollector } from "../telemetry/content-choices.ts";
import type { Span } from "../telemetry/trace.ts";
import { type Attempt, callUpstream, readBody } from "../upstream.ts";

export interface Held {
  readonly admission: Admission;
  /** Where the answer may be stored; absent when the cache is out of this request. */
  readonly cacheKey: CacheKey | undefined;
}

/** One attempt's place in the request. */
export interface AttemptFacts {
  readonly number: number;
  readonly reason: "initial" | "retry" | "fallback";
  /** Calls made to this target before. */
  readonly resends: number;
  readonly target: PlannedTarget;
}

/** The first target's answer that is one. Throws the last fault when none is left to ask. */
export async function firstSuccess(call: Call, plan: Plan, held: Held, deps: Deps): Promise<Generation> {
  const deadlineAt = deps.now() + plan.timeouts.totalMs;
  let number = 0;
  let reason: AttemptFacts["reason"] = "initial";
  let last: GatewayError | undefined;
  for (const [index, target] of plan.targets.entries()) {
    for (let resends = 0; ; resends++) {
      const facts = { number: ++number, reason, resends, target };
      const tried = await tryOnce(call, plan, held, facts, deadlineAt, deps);
      if (tried.answer) return tried.answer;
      last = tried.error;
      const next = nextStep({
        error: last,
        attemptsOfTarget: resends + 1,
        hasNextTarget: index + 1 < plan.targets.length,
        remainingMs: deadlineAt - deps.now(),
        rules: plan.retries,
        random: deps.random,
      });
      leaveAttempt(call, tried, next, plan.targets[index + 1]);
      if (next.kind === "give_up") throw last;
      reason = next.kind;
      if (next.kind === "fallback") break;
      await sleepUnlessGone(next.delayMs, call.signal, deps);
    }
  }
  throw last ?? new GatewayError("internal_error", "The plan had no target.");
}

interface Failed {
  readonly answer?: undefined;
  readonly error: GatewayError;
  /** Still open: what is done next belongs on it. Absent where there was no one to call. */
  readonly span: Span | undefined;
}

type Tried = { readonly answer: Generation } | Failed;

async function tryOnce(
  call: Call,
  plan: Plan,
  held: Held,
  facts: AttemptFacts,
  deadlineAt: number,
  deps: Deps,
): Promise<Tried> {
  const limits = {
    firstByteMs: call.options.firstByteMs ?? plan.timeouts.firstByteMs,
    idleMs: plan.timeouts.idleMs,
    deadlineAt,
  };
  const startedAt = deps.now();
  let span: Span | undefined;
  call.facts.attempts = facts.number;
  call.facts.usedFallback = facts.target !== plan.targets[0];
  try {
    const account = await deps.accountOf(call.bundle, facts.target.provider);
    const provider = deps.providerOf(account.kind);
    const { model, params } = facts.target;
    const target: Target = { account, model, ...(params === undefined ? {} : { params }) };
    span = openAttempt(call, provider, target, facts);
    deps.content?.note(call, span.ref);
    const traceparent = `00-${span.ref.traceId}-${span.ref.spanId}-01`;
    const client = { signal: call.signal, headers: call.headers, traceparent };
    const attempt = await callUpstream(call.chat, provider, target, limits, client, deps);
    const headersMs = deps.now() - startedAt;
    span.set({
      "gateway.upstream.headers_ms": headersMs,
      "gateway.upstream.request_id": attempt.response.headers.get("x-request-id") ?? undefined,
    });
    call.facts.target = facts.target.label;
    call.facts.provider = provider.semconvName;
    const ctx: Answering = { call, held, provider, target, span, startedAt, deps };
    const answer = call.chat.stream
      ? await stream(ctx, attempt, limits.idleMs)
      : await whole(ctx, attempt, limits.idleMs);
    const endedAt = deps.now();
    deps.latency.note(call.bundle.id, facts.target.label, endedAt - startedAt, endedAt);
    call.facts.upstreamMs = (call.facts.upstreamMs ?? 0) + (endedAt - startedAt);
    return { answer };
  } catch (thrown) {
    const error = toGatewayError(thrown);
    const endedAt = deps.now();
    // A fault may come fast; it counts as the longest wait allowed, or least-latency would seek out what is broken.
    if (error.canFallBack) {
      deps.latency.note(call.bundle.id, facts.target.label, plan.timeouts.firstByteMs, endedAt);
    }
    call.facts.upstreamMs = (call.facts.upstreamMs ?? 0) + (endedAt - startedAt);
    return { error, span };
  }
}

interface Answering {
  readonly call: Call;
  readonly held: Held;
  readonly provider: Provider;
  readonly target: Target;
  readonly span: Span;
  readonly startedAt: number;
  readonly deps: Deps;
}

async function whole(ctx: Answering, attempt: Attempt, idleMs: number): Promise<Generation> {
  const { call, provider, target, span, startedAt, deps } = ctx;
  const body = await readBody(attempt, target.account.name, idleMs);
  const response = provider.toResponse(parseBody(body, target.account.name));
  deps.content?.note(call, span.ref, () => response.choices);
  const answer = summarise(response);
  call.facts.firstByteAt = deps.now();
  endAttempt(span, { answer, status: attempt.response.status });
  concludeAnswer(
    call,
    ctx.held,
    { answer, target, span: span.ref, durationMs: deps.now() - startedAt, body },
    deps,
  );
  return { contentType: "application/json", body };
}

async function stream(ctx: Answering, attempt: Attempt, idleMs: number): Promise<Generation> {
  const { call, provider, target, span, startedAt, deps } = ctx;
  const choices = deps.content && createChoiceCollector();
  if (choices) deps.content?.note(call, span.ref, choices.read);
  const collector = createAnswerCollector(choices);
  const kept: ServerSentEvent[] = [];
  const observer = {
    onChunks: collector.add,
    ...(ctx.held.cacheKey === undefined
      ? {}
      : { onEvents: (events: readonly ServerSentEvent[]) => void kept.push(...events) }),
  };
  const name = target.account.name;
  const opened = await openStream(attempt, name, provider.decoder(), observer, { idleMs }, deps.now);
  const firstChunkMs = opened.firstChunkAt - startedAt;
  call.facts.firstByteAt = opened.firstChunkAt;
  span.event("gateway.stream.first_chunk", {}, opened.firstChunkAt);
  const { body, done } = opened.send({ errorEvent: call.codec.errorEvent });
  const finish = async (): Promise<void> => {
    const report = await done;
    const answer: AnswerSummary = collector.summary();
    const { status } = attempt.response;
    endAttempt(span, {
      answer,
      status,
      report,
      firstChunkMs,
      ...(report.error === undefined ? {} : { error: report.error }),
    });
    concludeStream(
      call,
      ctx.held,
      { answer, target, span: span.ref, durationMs: deps.now() - startedAt, report, events: kept },
      deps,
    );
  };
  deps.defer(finish());
  return { contentType: "text/event-stream; charset=utf-8", body };
}

function parseBody(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new GatewayError("upstream_malformed", `'${name}' sent a body that is not JSON.`);
  }
}

/** Ends a failed attempt's span with what is done instead, and says the same on the request's own. */
function leaveAttempt(
  call: Call,
  { span, error }: Failed,
  next: NextStep,
  nextTarget: PlannedTarget | undefined,
): void {
  if (span) endAttempt(span.set({ "gateway.attempt.left_for": next.kind }), { error });
  const why = { "error.type": error.code, "http.response.status_code": error.details.upstreamStatus };
  if (next.kind === "retry") {
    call.trace.root.event("gateway.retry", { ...why, "gateway.backoff_ms": next.delayMs });
  } else if (next.kind === "fallback") {
    call.trace.root.event("gateway.fallback", { ...why, "gateway.attempt.target": nextTarget?.label });
  }
}

async function sleepUnlessGone(ms: number, signal: AbortSignal, deps: Deps): Promise<void> {
  if (ms > 0 && !signal.aborted) {
    const gone = Promise.withResolvers<void>();
    const leave = (): void => gone.resolve();
    signal.addEventListener("abort", leave);
    await Promise.race([deps.sleep(ms), gone.promise]);
    signal.removeEventListener("abort", leave);
  }
  if (signal.aborted) {
    throw new GatewayError("client_disconnected", "The client left between two attempts.");
  }
}
