/**
 * Asks the tenant's queue for a place and writes down what it answered: the gateway's side of queue.md. The rules are
 * src/limits/; the object's own record of the wait becomes a span of its own here.
 */

import { estimateTokens } from "./answer.ts";
import { GatewayError } from "../errors.ts";
import type { BareCall, Deps } from "./ports.ts";
import { QueueUnreachable } from "../limits/client.ts";
import type { AdmissionAnswer, Lease, Refused, WaitRecord } from "../limits/protocol.ts";
import { toQueueLimits } from "../tenants/queue-limits.ts";
import { refusalAttributes } from "./request-facts.ts";
import type { Span } from "../telemetry/trace.ts";

/** A place in the tenant's limits: given back exactly once, by conclusion.ts. */
export interface Admission {
  /** Absent when the queue could not be asked and the tenant's records say to let the request through. */
  readonly lease?: Lease;
  readonly reservedTokens: number;
  /** Stops the lease's renewal. */
  stopRenewal(): void;
}

/** Waits in the tenant's queue. Throws `rate_limited`, `queue_full`, `client_disconnected`, or `unavailable`. */
export async function admit(call: BareCall, deps: Deps): Promise<Admission> {
  const { bundle, key, options, facts, trace, requestId } = call;
  const limits = toQueueLimits(bundle.tenant.limits);
  const estimate = estimateTokens(call.chat);
  const span = trace.root.child("gateway.admission", {
    kind: "client",
    attributes: {
      "rpc.system.name": "cloudflare.workers_rpc",
      "rpc.method": "TenantQueue/admit",
      "gateway.queue.lane": options.lane,
    },
  });
  const startedAt = deps.now();
  try {
    const answer = await deps.queue.admit(
      {
        requestId,
        traceId: trace.traceId,
        spanId: trace.root.ref.spanId,
        keyId: key.id,
        lane: options.lane,
        limits,
        configVersion: bundle.version,
        maxWaitMs: Math.min(options.maxWaitMs ?? limits.maxWaitMs, limits.maxWaitMs),
        estimate,
        settles: [],
        ...(key.limits === undefined ? {} : { keyLimits: toQueueLimits(key.limits) }),
      },
      call.signal,
    );
    deps.noteVersion(answer.configVersion);
    recordWait(span, answer, startedAt, deps.now());
    facts.queueMs = answer.wait.waitMs;
    facts.queueDepth = answer.wait.depth;
    if (answer.wait.heldBy !== undefined) facts.queueLimit = answer.wait.heldBy;
    if (answer.kind !== "cancelled") {
      if (answer.requests) facts.requests = answer.requests;
      if (answer.tokens) facts.tokens = answer.tokens;
    }
    return settleAnswer(answer, span, estimate.inputTokens + estimate.outputTokens, deps);
  } catch (thrown) {
    if (!(thrown instanceof QueueUnreachable)) throw thrown;
    const isOpen = bundle.tenant.onQueueError === "open";
    span.fail("queue_unreachable").set({ "gateway.queue.outcome": isOpen ? "open" : "refused" });
    if (isOpen) return { reservedTokens: 0, stopRenewal: () => {} };
    throw new GatewayError(
      "unavailable",
      "The tenant's queue can't be reached, and its records say to refuse then.",
      {
        cause: thrown,
      },
    );
  } finally {
    span.end();
  }
}

function settleAnswer(answer: AdmissionAnswer, span: Span, reservedTokens: number, deps: Deps): Admission {
  switch (answer.kind) {
    case "admitted": {
      span.set({ "gateway.queue.outcome": "admitted" });
      return { lease: answer.lease, reservedTokens, stopRenewal: deps.queue.keepAlive(answer.lease) };
    }
    case "cancelled":
      span.set({ "gateway.queue.outcome": "cancelled" });
      throw new GatewayError("client_disconnected", "The client left while its request was waiting.");
    case "refused": {
      const error = refusal(answer);
      span.set({ "gateway.queue.outcome": "refused", ...refusalAttributes(error) });
      throw error;
    }
  }
}

const LIMIT_WORDS: Readonly<Record<Refused["limit"]["name"], string>> = {
  requests_per_minute: "requests per minute",
  tokens_per_minute: "tokens per minute",
  concurrency: "requests at a time",
  queue_depth: "requests waiting",
  budget: "micro-dollars of budget",
};

function refusal({ code, limit, retryAfterMs, wait }: Refused): GatewayError {
  const waited = wait.waitMs > 0 ? ` It waited ${wait.waitMs} ms.` : "";
  return new GatewayError(
    code,
    `The limit of ${limit.value} ${LIMIT_WORDS[limit.name]} is reached.${waited} Try again in ${retryAfterMs} ms.`,
    { limit, retryAfterMs },
  );
}

/** The object's own record, put inside the call that brought it: its clock is not ours, so only lengths are kept. */
function recordWait(admission: Span, answer: AdmissionAnswer, startedAt: number, endedAt: number): void {
  const { wait } = answer;
  const slackMs = Math.max(0, endedAt - startedAt - wait.waitMs);
  const startAt = startedAt + Math.floor(slackMs / 2);
  const span = admission.child("gateway.queue.wait", {
    kind: "server",
    startAt,
    attributes: {
      "rpc.system.name": "cloudflare.workers_rpc",
      "rpc.method": "TenantQueue/admit",
      ...waitAttributes(answer, wait),
    },
  });
  for (const holder of wait.queuedBehind) span.link(holder, "queued_behind");
  if (wait.admittedBy) span.link(wait.admittedBy, "admitted_by");
  span.end(Math.min(endedAt, startAt + wait.waitMs));
}

function waitAttributes(answer: AdmissionAnswer, wait: WaitRecord) {
  return {
    "gateway.queue.outcome": answer.kind,
    "gateway.queue.wait_ms": wait.waitMs,
    "gateway.queue.position": wait.position,
    "gateway.queue.depth": wait.depth,
    "gateway.queue.limit": wait.heldBy,
    "gateway.queue.admitted_by": wait.admittedBy?.traceId,
  };
}
