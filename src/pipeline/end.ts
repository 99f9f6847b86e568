/**
 * The one owner of a request's end: the lease goes back, usage and cost are written, the answer is stored, the facts are
 * complete. Called once for each admitted request: at the end, on a fault, or when the client has left.
 */

import type { Admission } from "./lease.ts";
import type { AnswerSummary, CountedUsage } from "./answers/answer-summary.ts";
import type { Held } from "./attempts/attempts.ts";
import { storeAnswer } from "./caching/cached.ts";
import type { GatewayError } from "../errors.ts";
import type { BareCall, Deps } from "./ports.ts";
import type { SettleOutcome } from "../limits/protocol.ts";
import { costMicroUsd, usd } from "../pricing/cost.ts";
import type { Target } from "../providers/provider.ts";
import { outcomeOf, type Outcome } from "./request-facts.ts";
import { inTier, priceOfTarget } from "./target-price.ts";
import type { StreamReport } from "../upstream/stream.ts";
import type { SpanContextRef } from "../telemetry/trace/trace.ts";

interface Ended {
  readonly answer: AnswerSummary;
  /** Absent where nothing was generated that we know of. */
  readonly counted: CountedUsage | undefined;
  readonly target: Target;
  /** The inference span: what `cached_from` links of later hits will point at. */
  readonly span: SpanContextRef;
  readonly durationMs: number;
}

const WHOLE = { form: "json", contentType: "application/json" } as const;
const STREAMED = { form: "sse", contentType: "text/event-stream; charset=utf-8" } as const;

function entryOf({ answer, target, durationMs, span }: Ended, costMicroUsd: number | undefined) {
  return { answer, durationMs, costMicroUsd, trace: span, target: `${target.account.name}/${target.model}` };
}

/** A whole answer is ready to be sent. */
export function concludeAnswer(
  call: BareCall,
  held: Held,
  ended: Ended & { readonly body: string },
  deps: Deps,
): void {
  const costMicro = bookUsage(call, ended, false, deps);
  call.facts.outcome = "ok";
  settle(call, held.admission, "ok", costMicro, deps);
  storeAnswer(
    call,
    held.cacheKey,
    { ...entryOf(ended, costMicro), ...WHOLE, body: () => ended.body, isComplete: true },
    deps,
  );
}

/** A stream has ended, one way or another. */
export function concludeStream(
  call: BareCall,
  held: Held,
  ended: Ended & {
    readonly report: StreamReport;
    /** What the client was sent; undefined where it can't be stored. */
    readonly sent: (() => string) | undefined;
  },
  deps: Deps,
): void {
  const { outcome } = ended.report;
  const isComplete = outcome === "complete";
  const isLeft = outcome === "client_disconnected";
  const costMicro = bookUsage(call, ended, !isComplete, deps);
  call.facts.outcome = isComplete ? "ok" : isLeft ? "client_disconnected" : failedOutcome(ended.report);
  settle(call, held.admission, isComplete ? "ok" : isLeft ? "client_disconnected" : "error", costMicro, deps);
  const { sent } = ended;
  if (sent) {
    const entry = { ...entryOf(ended, costMicro), ...STREAMED, body: sent, isComplete };
    storeAnswer(call, held.cacheKey, entry, deps);
  }
  const { report } = ended;
  call.trace.root.set({
    "gateway.stream.outcome": report.outcome,
    "gateway.stream.chunks": report.events,
    "gateway.stream.bytes": report.bytes,
    "gateway.stream.max_gap_ms": report.maxGapMs,
  });
  if (report.error) call.trace.root.fail(report.error.code);
  call.release();
}

/** A stream may also fail because its key was switched off. */
function failedOutcome(report: StreamReport | undefined): Outcome {
  return report?.error === undefined ? "upstream_error" : outcomeOf(report.error);
}

/** No target answered, or the client left before one did. Nothing was generated, nothing is owed. */
export function concludeFailure(call: BareCall, admission: Admission, error: GatewayError, deps: Deps): void {
  call.facts.outcome = outcomeOf(error);
  settle(
    call,
    admission,
    error.code === "client_disconnected" ? "client_disconnected" : "error",
    undefined,
    deps,
  );
}

/**
 * An answer that was not understood has gone by: as a stream, where there is a report. What it used is counted where it
 * could be read, never guessed.
 */
export function concludeRelay(
  call: BareCall,
  admission: Admission,
  ended: {
    readonly target: Target;
    readonly report?: StreamReport;
    readonly answer?: AnswerSummary;
    readonly counted?: CountedUsage | undefined;
    /** The answer is a refusal, passed on as it is. */
    readonly isRefusal?: boolean;
  },
  deps: Deps,
): void {
  const { target, report, answer, counted, isRefusal = false } = ended;
  const isLeft = report?.outcome === "client_disconnected";
  const isGood = !isRefusal && (report === undefined || report.outcome === "complete");
  const costMicro = answer && bookUsage(call, { answer, counted, target }, !isGood, deps);
  call.facts.outcome = isGood ? "ok" : isLeft ? "client_disconnected" : failedOutcome(report);
  settle(call, admission, isGood ? "ok" : isLeft ? "client_disconnected" : "error", costMicro, deps);
  if (report?.error) call.trace.root.fail(report.error.code);
  if (report) call.release();
}

/** A session has ended: by whom and how well, its caller says. What it used is what its responses told, never guessed. */
export function concludeSession(
  call: BareCall,
  admission: Admission,
  ended: Pick<Ended, "answer" | "counted" | "target"> & { readonly error?: GatewayError },
  deps: Deps,
): void {
  const { target, answer, counted, error } = ended;
  // Many answers in one: the length of one can't be learned from it.
  const costMicro = bookUsage(call, { answer, counted, target }, true, deps);
  const outcome = error === undefined ? "ok" : outcomeOf(error);
  call.facts.outcome = outcome;
  const isLeft = outcome === "client_disconnected";
  settle(call, admission, isLeft || outcome === "ok" ? outcome : "error", costMicro, deps);
  if (error !== undefined && !isLeft) call.trace.root.fail(error.code);
  call.release();
}

/** Tokens were counted: nothing was generated, nothing is owed. */
export function concludeCount(call: BareCall, admission: Admission, deps: Deps): void {
  call.facts.outcome = "ok";
  settle(call, admission, "ok", undefined, deps);
}

/** Usage and cost onto the facts, with a span that says who counted. Gives the cost in micro-dollars, if it is known. */
function bookUsage(
  call: BareCall,
  { answer, counted, target }: Pick<Ended, "answer" | "counted" | "target">,
  mayBeCut: boolean,
  deps: Deps,
): number | undefined {
  if (counted === undefined) return undefined;
  const { facts } = call;
  const { usage, isEstimate } = counted;
  // A cut answer's length says nothing of how long a whole one gets.
  if (!isEstimate && !mayBeCut) {
    const each = Math.ceil(usage.outputTokens / (call.chat.params.choiceCount ?? 1));
    deps.targets.outputLengths.note(call.bundle.id, `${target.account.name}/${target.model}`, each);
  }
  const { account, model } = target;
  const price = priceOfTarget(call.bundle, { provider: account.name, model }, deps, answer.model);
  const costMicro = costMicroUsd(inTier(price, deps.providerOf(account.kind), usage), usage);
  facts.usage = usage;
  facts.usageIsEstimate = isEstimate;
  if (costMicro === undefined) delete facts.costUsd;
  else facts.costUsd = usd(costMicro + (facts.hedgeMicroUsd ?? 0) + (facts.embeddingMicroUsd ?? 0));
  call.trace.root
    .child("gateway.usage.count", {
      attributes: {
        "gateway.span.cpu_only": true,
        "gateway.usage.source": isEstimate ? "estimate" : "provider",
        "gateway.cost.usd": facts.costUsd,
      },
    })
    .end();
  return costMicro;
}

const CALLING = { "rpc.system.name": "cloudflare.workers_rpc", "rpc.method": "TenantQueue/settle" } as const;
/** It goes with the isolate's next call to the object: nothing is waited for here. */
const RIDING = { "gateway.span.cpu_only": true } as const;

function settle(
  call: BareCall,
  admission: Admission,
  outcome: SettleOutcome,
  costMicro: number | undefined,
  deps: Deps,
): void {
  admission.stopRenewal();
  const { lease, canDeferSettle } = admission;
  if (!lease) return;
  const { usage } = call.facts;
  const inputTokens = usage?.inputTokens ?? 0;
  const outputTokens = usage?.outputTokens ?? 0;
  const span = call.trace.root.child("gateway.usage.record", {
    kind: "client",
    attributes: {
      ...(canDeferSettle ? RIDING : CALLING),
      "gateway.usage.reserved_tokens": admission.reservedTokens,
      "gateway.usage.estimate_error_tokens": inputTokens + outputTokens - admission.reservedTokens,
    },
  });
  const settlement = {
    requestId: call.requestId,
    keyId: call.key.id,
    leaseId: lease.id,
    outcome,
    inputTokens,
    outputTokens,
    costMicroUsd: (costMicro ?? 0) + (call.facts.hedgeMicroUsd ?? 0),
  };
  deps.defer(
    deps.queue.settle(settlement, canDeferSettle).then(
      () => span.end(),
      // The lease's time limit gives the slot back; the span says that nobody heard of the usage.
      () => span.fail("queue_unreachable").end(),
    ),
  );
}
