/**
 * A request's admission to its tenant's queue: the wait, what is done where the queue can't be called, and the lease that
 * the request holds from then on. The rules are src/limits/; the object's own record of the wait becomes a span here.
 */

import { reservationOf } from "./budget.ts";
import { GatewayError } from "../errors.ts";
import type { HeldLease } from "./held-lease.ts";
import type { BareCall, Deps } from "./ports.ts";
import { QueueUnreachable } from "../limits/isolate/queue-client.ts";
import type { AdmissionReply, AdmissionRequest, Lease, WaitRecord } from "../limits/protocol.ts";
import type { Plan } from "../routing/plan.ts";
import { toQueueLimits } from "../tenants/records/queue-limits.ts";
import { findValidKey, isUsableKey } from "../tenants/key-format.ts";
import type { KeyRecord, TenantBundle } from "../tenants/records/records.ts";
import { limitRefusal } from "./refusal.ts";
import { refusalAttributes } from "./request-facts.ts";
import type { Span } from "../telemetry/trace/trace.ts";

/**
 * Waits in the tenant's queue. Throws `rate_limited`, `queue_full`, `budget_exceeded`, `client_disconnected`, `overloaded` or
 * `unavailable`. `again` is for a request that has given its slot back: which admission it is, and what is left of its time.
 */
export async function admit(
  call: BareCall,
  deps: Deps,
  plan: Plan | undefined,
  again?: { readonly number: number; readonly leftMs: number },
): Promise<HeldLease> {
  const { bundle, key, options, facts, trace } = call;
  deps.unqueued.giveBack(call.holder, deps.now());
  const { store } = bundle.tenant.tracing;
  const { limits: ownLimits, budget, objectives } = bundle.tenant;
  const limits = toQueueLimits(ownLimits, budget, bundle.limitRulesId, objectives);
  const estimate = reservationOf(call, plan, deps);
  const span = trace.root.child("gateway.admission", {
    kind: "client",
    attributes: { "gateway.queue.lane": options.lane, "gateway.admission.number": again?.number },
  });
  const mostMs = Math.min(options.maxWaitMs ?? limits.maxWaitMs, limits.maxWaitMs) - (facts.queueMs ?? 0);
  // The queue knows an admission by its id: one that was given back is over.
  const requestId = again === undefined ? call.requestId : `${call.requestId}.${again.number}`;
  const request: AdmissionRequest = {
    requestId,
    traceId: trace.traceId,
    spanId: trace.root.ref.spanId,
    keyId: key.id,
    lane: options.lane,
    limits,
    configVersion: bundle.version,
    maxWaitMs: Math.max(0, Math.min(mostMs, again?.leftMs ?? Infinity)),
    estimate,
    settles: [],
    ...(store.enabled && { traces: store }),
    ...((key.limits !== undefined || key.budget !== undefined) && {
      keyLimits: toQueueLimits(key.limits ?? {}, key.budget),
    }),
  };
  const startedAt = deps.now();
  try {
    const answer = await deps.queue.admit(request, call.signal(), plan?.targets[0].label);
    deps.noteVersion(answer.configVersion);
    if (isPrefetched(answer)) span.set({ "gateway.queue.leased": true, "gateway.span.cpu_only": true });
    else if (isLocal(answer)) span.set({ "gateway.span.cpu_only": true });
    else recordWait(span.set(RPC_ATTRIBUTES), answer, startedAt, deps.now());
    facts.queueMs = (facts.queueMs ?? 0) + answer.wait.waitMs;
    facts.queueDepth ??= answer.wait.depth;
    if (answer.wait.heldBy !== undefined) facts.queueLimit = answer.wait.heldBy;
    if (answer.kind !== "cancelled") {
      if (answer.requests) facts.requests = answer.requests;
      if (answer.tokens) facts.tokens = answer.tokens;
      if (answer.budget) facts.budget = answer.budget;
    }
    return settleAnswer(answer, span, request, call, deps);
  } catch (thrown) {
    if (!(thrown instanceof QueueUnreachable)) throw thrown;
    span.fail("queue_unreachable").set(RPC_ATTRIBUTES);
    return withoutQueue(thrown, request, span, call, deps);
  } finally {
    span.end();
  }
}

/**
 * The queue can't be called. An overloaded one is never passed by; else the tenant's `onQueueError` decides, and the last
 * known rates hold. Throws `overloaded`, `unavailable`, or `rate_limited`.
 */
function withoutQueue(
  { reason, cause }: QueueUnreachable,
  request: AdmissionRequest,
  span: Span,
  call: BareCall,
  deps: Deps,
): HeldLease {
  if (reason === "overloaded") {
    span.set({ "gateway.queue.outcome": "refused" });
    // Spread out, so that those refused together don't come back together.
    const retryAfterMs = Math.ceil(OVERLOADED_RETRY_MS * (1 + deps.random()));
    const message =
      "This tenant sends more requests than its rate limiter can take. Retry after the Retry-After time.";
    throw new GatewayError("overloaded", message, { retryAfterMs, cause });
  }
  if (call.bundle.tenant.onQueueError !== "open") {
    span.set({ "gateway.queue.outcome": "refused" });
    const message =
      "The rate-limit queue is unavailable (`onQueueError: closed`). Try again in a few seconds.";
    throw new GatewayError("unavailable", message, { cause });
  }
  const refused = deps.queue.admitAlone(request);
  if (refused !== undefined) {
    const error = limitRefusal(refused);
    span.set({ "gateway.queue.outcome": "refused", ...refusalAttributes(error) });
    throw error;
  }
  span.set({ "gateway.queue.outcome": "open" });
  return withoutLease(call);
}

/** What a request holds that goes without the queue, or has given its slot back. */
export function withoutLease(call: BareCall): HeldLease {
  return { reservedTokens: 0, canDeferSettle: false, signal: call.signal(), stopRenewal: () => {} };
}

const OVERLOADED_RETRY_MS = 1000;

const RPC_ATTRIBUTES = {
  "rpc.system.name": "cloudflare.workers_rpc",
  "rpc.method": "TenantQueue/admit",
} as const;

/** Refused by what the isolate knows, without a call. */
function isLocal(answer: AdmissionReply): boolean {
  return answer.kind === "refused" && answer.isLocal === true;
}

function isPrefetched(answer: AdmissionReply): boolean {
  return answer.kind === "admitted" && answer.isPrefetched === true;
}

/** Renews the lease, and ends the request when its key is revoked, its tenant suspended or its slot lost. */
function hold(lease: Lease, call: BareCall, deps: Deps): Pick<HeldLease, "signal" | "stopRenewal"> {
  const stop = new AbortController();
  let checked = call.bundle.version;
  const stopRenewal = deps.queue.keepAlive(lease, {
    // Without it a slot that was given away meanwhile is taken back, over the limits if need be.
    ...(call.bundle.tenant.onQueueError === "closed" && { onLost: () => stop.abort("lease_lost") }),
    onVersion(version) {
      deps.noteVersion(version);
      if (version <= checked) return;
      checked = version;
      deps.defer(
        deps.reload().then(
          (bundle) => {
            if (!isAllowed(bundle, call.key, deps.now())) stop.abort("revoked");
          },
          // Without the newest records, those that admitted it hold until the next renewal.
          () => (checked = call.bundle.version),
        ),
      );
    },
  });
  // One controller and one listener cost half of what AbortSignal.any does.
  const client = call.signal();
  const leave = (): void => stop.abort(client.reason);
  if (client.aborted) leave();
  else client.addEventListener("abort", leave);
  return {
    signal: stop.signal,
    stopRenewal() {
      stopRenewal();
      // A listener that stays keeps the request in memory until a full collection.
      client.removeEventListener("abort", leave);
    },
  };
}

/** Whether the very key that was presented is still good: a rotated one ends what it began, as a deleted one does. */
function isAllowed(bundle: TenantBundle | undefined, { id, hash }: KeyRecord, now: number): boolean {
  return bundle?.tenant.status === "active" && isUsableKey(findValidKey(bundle.keys, id, hash, now));
}

function settleAnswer(
  answer: AdmissionReply,
  span: Span,
  { requestId, estimate }: AdmissionRequest,
  call: BareCall,
  deps: Deps,
): HeldLease {
  switch (answer.kind) {
    case "admitted": {
      span.set({ "gateway.queue.outcome": "admitted" });
      const { lease, canDeferSettle } = answer;
      const reservedTokens = estimate.inputTokens + estimate.outputTokens;
      return { lease, requestId, canDeferSettle, reservedTokens, ...hold(lease, call, deps) };
    }
    case "cancelled":
      span.set({ "gateway.queue.outcome": "cancelled" });
      throw new GatewayError(
        "client_disconnected",
        "The client disconnected while its request was waiting in the queue.",
      );
    case "refused": {
      const error = limitRefusal(answer);
      span.set({ "gateway.queue.outcome": "refused", ...refusalAttributes(error) });
      throw error;
    }
  }
}

/** The object's own record, put inside the call that brought it: its clock is not ours, so only lengths are kept. */
function recordWait(admission: Span, answer: AdmissionReply, startedAt: number, endedAt: number): void {
  const { wait } = answer;
  const slackMs = Math.max(0, endedAt - startedAt - wait.waitMs);
  const startAt = startedAt + Math.floor(slackMs / 2);
  const span = admission.child("gateway.queue.wait", {
    kind: "server",
    startAt,
    attributes: { ...RPC_ATTRIBUTES, ...waitAttributes(answer, wait) },
  });
  for (const holder of wait.queuedBehind) span.link(holder, "queued_behind");
  if (wait.admittedBy) span.link(wait.admittedBy, "admitted_by");
  span.end(Math.min(endedAt, startAt + wait.waitMs));
}

function waitAttributes(answer: AdmissionReply, wait: WaitRecord) {
  return {
    "gateway.queue.outcome": answer.kind,
    "gateway.queue.wait_ms": wait.waitMs,
    "gateway.queue.position": wait.position,
    "gateway.queue.depth": wait.depth,
    "gateway.queue.limit": wait.heldBy,
    "gateway.queue.admitted_by": wait.admittedBy?.traceId,
  };
}
