/**
 * The one owner of a request's end: usage and cost are summed over its attempts, the lease goes back, the answer is
 * stored, the facts are complete. Called once for each admitted request, by `withLease` in lease.ts, where it was admitted.
 */

import { recordBills } from "./attempts/bill.ts";
import { billedMicroUsd } from "./bills.ts";
import { storeAnswer } from "./caching/cached.ts";
import type { CacheKey } from "../cache/key.ts";
import { type Ended, errorOf, isSound, type StreamEnd, type WholeEnd } from "./ended.ts";
import type { HeldLease } from "./held-lease.ts";
import type { BareCall, Deps } from "./ports.ts";
import { detectCacheFall } from "./prompt-cache/detect.ts";
import type { SettleOutcome } from "../limits/protocol.ts";
import { usageOf } from "./usage.ts";
import { alertAttributes, outcomeOf, type Outcome } from "./request-facts.ts";
import type { StreamReport } from "../upstream/stream.ts";

const WHOLE = { form: "json", contentType: "application/json" } as const;
const STREAMED = { form: "sse", contentType: "text/event-stream; charset=utf-8" } as const;

/** Ends a request. `cacheKey` is where its answer may be stored; absent where the cache is not used. */
export function end(
  call: BareCall,
  lease: HeldLease,
  ended: Ended,
  deps: Deps,
  cacheKey: CacheKey | undefined,
): void {
  const outcome = outcomeOfEnd(ended);
  recordBills(call);
  call.facts.outcome = outcome;
  settle(call, lease, settleOutcomeOf(outcome), deps);
  if (ended.kind === "whole" || ended.kind === "stream") store(call, cacheKey, ended, deps);
  detectCacheFall(call, ended, deps);
  if (ended.kind === "stream") describeStream(call, ended.report);
  endTrace(call, ended);
}

function outcomeOfEnd(ended: Ended): Outcome {
  if (isSound(ended)) return "ok";
  if ("report" in ended && ended.report?.outcome === "client_disconnected") return "client_disconnected";
  const error = errorOf(ended);
  // A refusal that was passed on is the upstream's answer, whatever its code: the gateway itself refused nothing.
  if (error === undefined || (ended.kind === "relay" && ended.refusal !== undefined)) return "upstream_error";
  return outcomeOf(error);
}

function settleOutcomeOf(outcome: Outcome): SettleOutcome {
  return outcome === "ok" || outcome === "client_disconnected" ? outcome : "error";
}

function store(
  call: BareCall,
  cacheKey: CacheKey | undefined,
  ended: WholeEnd | StreamEnd,
  deps: Deps,
): void {
  if (cacheKey === undefined) return;
  const { answer, bill, target, span, durationMs } = ended;
  const about = { answer, durationMs, costMicroUsd: bill?.costMicroUsd, trace: span, target };
  if (ended.kind === "whole") {
    const body = (): string => ended.body;
    storeAnswer(call, cacheKey, { ...about, ...WHOLE, body, isComplete: true }, deps);
  } else if (ended.sent) {
    storeAnswer(
      call,
      cacheKey,
      { ...about, ...STREAMED, body: ended.sent, isComplete: isSound(ended) },
      deps,
    );
  }
}

function describeStream(call: BareCall, report: StreamReport): void {
  call.trace.root.set({
    "gateway.stream.outcome": report.outcome,
    "gateway.stream.chunks": report.events,
    "gateway.stream.bytes": report.bytes,
    "gateway.stream.max_gap_ms": report.maxGapMs,
  });
}

/** What is still flowing when its head has left ends the request's trace; what is whole leaves that to the response. */
function endTrace(call: BareCall, ended: Ended): void {
  if (ended.kind === "session") {
    const { error } = ended;
    if (error !== undefined && error.code !== "client_disconnected") call.trace.root.fail(error.code);
    call.release();
  } else if ("report" in ended && ended.report !== undefined) {
    if (ended.report.error) call.trace.root.fail(ended.report.error.code);
    call.release();
  }
}

const CALLING = { "rpc.system.name": "cloudflare.workers_rpc", "rpc.method": "TenantQueue/settle" } as const;
/** It goes with the isolate's next call to the object: nothing is waited for here. */
const DEFERRED = { "gateway.span.cpu_only": true } as const;

function settle(call: BareCall, held: HeldLease, outcome: SettleOutcome, deps: Deps): void {
  held.stopRenewal();
  const { lease, canDeferSettle } = held;
  const { facts } = call;
  const costMicroUsd = billedMicroUsd((facts.bills ?? []).slice(facts.bookedBills));
  if (!lease) {
    // Let through without the queue's knowledge: what it cost is booked all the same, as soon as the queue is back.
    if (costMicroUsd > 0) {
      const usage = usageOf(facts);
      deps.queue.spend({ requestId: call.requestId, keyId: call.key.id, costMicroUsd, usage });
    }
    return;
  }
  // A batch is not counted among the tokens of the minute in which its results are fetched.
  const isBatch = facts.bills?.every(({ usage }) => usage.tier === "batch") === true;
  const { inputTokens = 0, outputTokens = 0 } = isBatch ? {} : (facts.usage ?? {});
  const span = call.trace.root.child("gateway.usage.record", {
    kind: "client",
    attributes: {
      ...(canDeferSettle ? DEFERRED : CALLING),
      "gateway.usage.reserved_tokens": held.reservedTokens,
      "gateway.usage.estimate_error_tokens": inputTokens + outputTokens - held.reservedTokens,
    },
  });
  const settlement = {
    requestId: held.requestId ?? call.requestId,
    keyId: call.key.id,
    leaseId: lease.id,
    outcome,
    inputTokens,
    outputTokens,
    costMicroUsd,
    usage: usageOf(facts),
    durationMs: deps.now() - facts.startedAt,
  };
  if (canDeferSettle) {
    void deps.queue.settle(settlement, true);
    span.end();
    return;
  }
  deps.defer(
    deps.queue.settle(settlement, false).then(
      (alerts) => {
        for (const alert of alerts) call.trace.addRootEvent("gateway.budget.alert", alertAttributes(alert));
        span.end();
      },
      // The lease's time limit gives the slot back; the span says that the usage was not recorded.
      () => span.fail("queue_unreachable").end(),
    ),
  );
}
