/**
 * Single-flight: equal requests share one generation, those with one idempotency key (src/docs/http-api.md) and, opted in,
 * those that are equal and under way at once. The leader runs the pipeline and sends its progress to the object; followers
 * get the same bytes. The object is src/coalescing/.
 */

import { keyOf } from "../caching/cached.ts";
import { type CacheKey, requestDigest } from "../../cache/key.ts";
import { GatewayError } from "../../errors.ts";
import { unlessAborted } from "../../runtime/waits.ts";
import type { FlightHead, Joined } from "../../coalescing/protocol.ts";
import { failureText, leadFlight } from "./leading.ts";
import { type PassEnd, passOn } from "../answers/pass-on.ts";
import type { Call, Deps, Generation } from "../ports.ts";
import type { Plan } from "../../routing/plan.ts";
import { sha256Hex } from "../../bytes/digest.ts";
import type { StreamOutcome } from "../../upstream/stream.ts";
import type { Span } from "../../telemetry/trace/trace.ts";

export type Generate = (call: Call) => Promise<Generation>;

const MAX_KEY_CHARS = 255;

/** Throws `conflict` for a key that stands for another request. */
export async function oncePerKey(
  call: Call,
  name: string,
  deps: Deps,
  generate: Generate,
): Promise<Generation> {
  if (name === "" || name.length > MAX_KEY_CHARS) {
    throw new GatewayError("invalid_request", `idempotency-key must have 1 to ${MAX_KEY_CHARS} characters.`, {
      param: "idempotency-key",
    });
  }
  const span = call.trace.root.child("gateway.idempotency", { kind: "client", attributes: { ...RPC } });
  const [key, fingerprint] = await Promise.all([sha256Hex(ownedName(call, name)), requestDigest(call.chat)]);
  const joined = await join(call, `${key}/key`, fingerprint, true, span, deps);
  span.set({ "gateway.idempotency.status": STATUS[joined.kind] });
  if ("head" in joined) span.link(joined.head.trace, "retried_from");
  span.end();
  switch (joined.kind) {
    case "lead":
      return leadFlight(call, `${key}/key`, joined.flightId, deps, generate);
    case "stream":
    case "whole":
    case "replay":
      call.facts.isReplayed = true;
      return follow(call, `${key}/key`, joined, joined.kind === "replay" ? "replayed" : "coalesced", deps);
    case "conflict":
      throw new GatewayError(
        "conflict",
        "This idempotency-key was used for another request. Use a new one for each request.",
        { param: "idempotency-key" },
      );
    case "unanswered":
      throw new GatewayError("conflict", UNANSWERED[joined.why], { param: "idempotency-key" });
    case "failed":
      throw remake(joined);
    // A promise that can't be kept is refused, or the client's retry would be billed twice without its knowledge.
    case "alone":
    case "unreachable":
      throw new GatewayError(
        "unavailable",
        "Idempotency storage is unavailable. Retry with the same idempotency-key.",
        {
          param: "idempotency-key",
          retryAfterMs: 1000,
        },
      );
  }
}

const UNANSWERED = {
  begun:
    "A request with this idempotency-key was begun, and its answer was lost: it may have been carried out and billed. " +
    "Use a new idempotency-key to make the request again.",
  dropped:
    "The request with this idempotency-key was answered, and its answer is no longer kept. " +
    "Use a new idempotency-key to make the request again.",
} as const;

/** Idempotency keys are guessable: they belong to the gateway key that uses them, unless the tenant shares them. */
function ownedName({ bundle, key }: Call, name: string): string {
  return bundle.tenant.cache.share === "tenant" ? name : JSON.stringify([key.id, name]);
}

/** Whether the tenant has opted in to sharing equal requests under way, and the client has not opted out. */
export function isCoalesced({ bundle, cache: { mode, reason } }: Call): boolean {
  return bundle.tenant.cache.coalesce && (mode === "on" || reason === "tenant_off");
}

/** Joins equal requests under way; `generate` is called by one of them at a time. */
export async function coalesced(
  call: Call,
  plan: Plan,
  cacheKey: CacheKey | undefined,
  deps: Deps,
  generate: Generate,
): Promise<Generation> {
  const { digest } = cacheKey ?? (await keyOf(call, plan));
  const key = `${digest}/${formOf(call)}`;
  const span = call.trace.root.child("gateway.coalesce.wait", { attributes: { ...RPC } });
  const joined = await join(call, key, "", false, span, deps);
  span.set({
    "gateway.coalesce.status":
      joined.kind === "lead" && joined.isReplacement ? "replacement" : STATUS[joined.kind],
    "gateway.coalesce.reason": joined.kind === "alone" ? joined.reason : undefined,
  });
  const leader = "head" in joined ? joined.head.trace : joined.kind === "failed" ? joined.leader : undefined;
  if (leader !== undefined) span.link(leader, "coalesced_into");
  span.end();
  switch (joined.kind) {
    case "lead":
      return leadFlight(call, key, joined.flightId, deps, generate);
    case "stream":
    case "whole":
    case "replay":
      call.facts.cache = "COALESCED";
      return follow(call, key, joined, "coalesced", deps);
    case "failed":
      throw remake(joined);
    case "conflict":
    case "unanswered":
    case "alone":
    case "unreachable":
      return generate(call);
  }
}

const RPC = { "rpc.system.name": "cloudflare.workers_rpc", "rpc.method": "Inflight/join" } as const;

type JoinOutcome = Joined | { readonly kind: "unreachable" };

/** What the spans call it. */
const STATUS: Readonly<Record<JoinOutcome["kind"], string>> = {
  lead: "lead",
  stream: "attached",
  whole: "attached",
  replay: "replayed",
  conflict: "conflict",
  unanswered: "unanswered",
  failed: "failed",
  alone: "alone",
  unreachable: "unreachable",
};

/** Throws `client_disconnected` when the client leaves while it waits. */
async function join(
  call: Call,
  key: string,
  fingerprint: string,
  keeps: boolean,
  span: Span,
  deps: Deps,
): Promise<JoinOutcome> {
  const { requestId } = call;
  try {
    const answer = deps.flights.join({ key, fingerprint, requestId, keeps, failureText: failureText(call) });
    const joined = await unlessAborted(answer, call.signal());
    if (joined !== undefined) return joined;
    deps.defer(deps.flights.leave(key, requestId).catch(() => {}));
  } catch {
    span.fail("inflight_unreachable");
    return { kind: "unreachable" };
  }
  span.set({ "gateway.coalesce.status": "left" }).end();
  throw new GatewayError(
    "client_disconnected",
    "The client disconnected while it waited for the answer of an equal request.",
  );
}

type Shared = Extract<Joined, { readonly head: FlightHead }>;

/** The leader's answer: no attempt of this request's own, no cost, no place in the queue. */
function follow(
  call: Call,
  key: string,
  shared: Shared,
  outcome: "coalesced" | "replayed",
  deps: Deps,
): Generation {
  const { facts, requestId } = call;
  const { head } = shared;
  facts.outcome = outcome;
  facts.attempts = 0;
  facts.costUsd = 0;
  facts.firstByteAt = deps.now();
  if (head.target !== undefined) facts.target = head.target;
  if (head.vendor !== undefined) facts.vendor = head.vendor;
  const { contentType } = head;
  if (shared.kind !== "stream") return { contentType, body: shared.text };
  const { flightId } = shared;
  const { body, end } = passOn(shared.body, failureText(call), () =>
    deps.flights.hasFailed(key, flightId, requestId),
  );
  const isComplete = end.then((how) => {
    call.trace.root.set({ "gateway.stream.outcome": STREAM_OUTCOMES[how] });
    if (how === "left") facts.outcome = "client_disconnected";
    if (how === "failed") {
      facts.outcome = "upstream_error";
      call.trace.root.fail("upstream_error");
    }
    call.release();
    return how === "complete";
  });
  deps.defer(isComplete);
  return { contentType, body, isComplete };
}

/** As the span of an upstream's stream says it: what this client got of the shared one. */
const STREAM_OUTCOMES = {
  complete: "complete",
  failed: "upstream_error",
  left: "client_disconnected",
} as const satisfies Readonly<Record<PassEnd, StreamOutcome>>;

function remake({ fault }: Extract<Joined, { readonly kind: "failed" }>): GatewayError {
  const { code, message, concerns: _, ...details } = fault;
  return new GatewayError(code, message, details);
}

/** What the cache takes for the same may be delivered in another form, and followers get the leader's very bytes. */
function formOf({ chat, clientWire }: Call): string {
  if (!chat.stream || "operation" in clientWire) return "json";
  return `${clientWire.streamType(chat)} ${JSON.stringify(chat.body["stream_options"] ?? null)}`;
}
