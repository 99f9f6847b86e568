/**
 * Every attribute name that a span may have, with its meaning. The type makes an unlisted name a compile error,
 * the export's allow-list drops it at run time, and SPANS.md is generated from here, as is attribute-names.ts: run code
 * imports that one, so that the meanings stay out of the Worker. Sources: GenAI semantic
 * conventions v1.41, HTTP, RPC and database semantic conventions v1.44; `gateway.*` is ours.
 */

import { ATTRIBUTE_NAMES } from "./attribute-names.ts";

export const ATTRIBUTES = {
  // GenAI semantic conventions v1.41 (inference spans; the model also on the root).
  "gen_ai.operation.name": "The operation: `chat`, `embeddings`, …",
  "gen_ai.provider.name": "The upstream's vendor, by its name in the conventions.",
  "gen_ai.request.model": "The model sent to the upstream; on the root, the model the client named.",
  "gen_ai.request.stream": "Present and true on a streamed call.",
  "gen_ai.request.max_tokens": "Limit on output tokens the client set.",
  "gen_ai.request.temperature": "Sampling temperature the client set.",
  "gen_ai.request.top_p": "Nucleus sampling bound the client set.",
  "gen_ai.request.frequency_penalty": "Frequency penalty the client set.",
  "gen_ai.request.presence_penalty": "Presence penalty the client set.",
  "gen_ai.request.seed": "Seed the client set.",
  "gen_ai.request.choice.count": "Number of choices requested, when not 1.",
  "gen_ai.conversation.id": "The client's `x-headgate-session`; absent without one.",
  "enduser.pseudo.id":
    "The client's end user: 16 hex digits of SHA-256 of the tenant and the name; absent without one.",
  "gen_ai.response.id": "The upstream's id of the answer.",
  "gen_ai.response.model": "The model that answered, by the upstream's name for it.",
  "gen_ai.response.finish_reasons": "One per choice; `error` where the stream ended before its final event.",
  "gen_ai.response.time_to_first_chunk": "Seconds from sending the call to the first chunk of its stream.",
  "gen_ai.usage.input_tokens": "Input tokens billed, cached ones included.",
  "gen_ai.usage.output_tokens": "Output tokens billed, reasoning included.",
  "gen_ai.usage.cache_read.input_tokens": "Input tokens read from the vendor's prompt cache.",
  "gen_ai.usage.cache_creation.input_tokens":
    "Input tokens written to the vendor's prompt cache (v1.41 name).",
  "gen_ai.usage.cache_write.input_tokens": "The same under its newer name.",
  "gen_ai.usage.reasoning.output_tokens": "Output tokens spent on reasoning.",

  // HTTP, server, RPC, database.
  "http.request.method": "Method of the client's request, or of the upstream call.",
  "http.route": "The route's template, never the raw path.",
  "http.response.status_code": "Status sent to the client, or received from the upstream.",
  "http.request.resend_count": "How often this call had already been sent to the same target.",
  "url.scheme": "`http` or `https`.",
  "url.path": "The route's template: the raw path may hold names.",
  "server.address": "Host of the gateway on the root, of the upstream on an inference span.",
  "server.port": "Its port.",
  "error.type": "A code of the error table, or the upstream's status; never a message.",
  "rpc.system.name": "`cloudflare.workers_rpc`.",
  "rpc.method": "`TenantQueue/admit`, for example.",
  "db.system.name": "`cloudflare.kv`.",
  "db.operation.name": "`get` or `put`.",

  // Identity and outcome.
  "gateway.tenant.id": "The tenant.",
  "gateway.key.id": "The gateway key's id; never the key or its hash.",
  "gateway.request.id": "The `x-request-id` of the response.",
  "gateway.outcome":
    "ok, cache_hit, coalesced, replayed, rejected, upstream_error, client_disconnected, gateway_error, abandoned.",
  "gateway.decision": "The error code the request was refused with.",
  "gateway.limit.name": "The limit that refused it.",
  "gateway.limit.value": "That limit's value.",
  "gateway.limit.remaining": "What was left of that limit.",
  "gateway.limit.reset_s": "Seconds until a retry can succeed.",
  "gateway.ttfb_ms": "Milliseconds from the request's arrival to the first byte of the answer's body.",
  "gateway.stream": "Whether the client asked for a stream.",
  "gateway.attempt.count": "Upstream calls made for this request.",
  "gateway.fallback.used": "Whether a target other than the first one answered.",
  "gateway.retry_after_ms": "The Retry-After sent to the client, in milliseconds.",

  // Decisions.
  "gateway.auth.result": "ok, or the error code.",
  "gateway.auth.source":
    "Where the key was looked up: memory, kv or directory; checksum when it was malformed and not looked up.",
  "gateway.config.source": "Where the tenant's records came from: memory, kv or directory.",
  "gateway.config.age_ms": "Age of the isolate's copy of the records.",
  "gateway.config.version": "Version of the tenant's records.",
  "gateway.route.id": "The route, or the bare `provider/model`.",
  "gateway.route.strategy": "fallback, weighted, least-latency, least-cost, or direct.",
  "gateway.route.candidates": "The route's targets, in the order they would be called.",
  "gateway.route.chosen": "The target called first.",
  "gateway.route.reason": "Why that target comes first.",
  "gateway.route.rejected": "`target: reason` for each target that was skipped.",
  "gateway.cache.status": "hit, miss, bypass, stale or error.",
  "gateway.cache.reason": "Why the cache was bypassed or missed, or why an answer was not stored.",
  "gateway.cache.source": "memory where the isolate already had the entry and KV was not read.",
  "gateway.cache.kind": "exact, or semantic where the stored prompt may be worded differently.",
  "gateway.cache.similarity":
    "Cosine similarity of the request's last user text and the nearest stored one; on a miss too.",
  "gateway.cache.threshold": "The route's minimum similarity for a semantic hit.",
  "gateway.cache.compared": "Number of stored texts that the request's text was compared with.",
  "gateway.cache.indexed": "Whether the stored answer was added to the semantic index.",
  "gateway.cache.embedding_cost_usd":
    "Cost of the embedding for the semantic lookup; a part of gateway.cost.usd.",
  "gateway.cache.age_s": "Age of the cache entry.",
  "gateway.cache.ttl_s": "Time to live of the cache entry.",
  "gateway.cache.bytes": "Size of the stored answer.",
  "gateway.cache.inputs":
    "Inputs of an embeddings request, each cached separately; on the store, the inputs stored.",
  "gateway.cache.inputs_found": "How many of the inputs were in the cache.",
  "gateway.cache.saved_usd": "Cost of the stored answer.",
  "gateway.cache.saved_ms": "Milliseconds the stored answer had taken.",
  "gateway.coalesce.status":
    "For a request that can share another's answer: lead, replacement, attached, failed, alone, left or unreachable.",
  "gateway.coalesce.reason": "Why it went on by itself: too_late, too_much or leader_refused.",
  "gateway.idempotency.status":
    "Result for the idempotency key: lead, attached, replayed, conflict, unanswered, failed, alone or unreachable.",

  // The queue.
  "gateway.admission.number":
    "Which admission of the request this is, from 2 on: it gave its slot back while it waited to retry.",
  "gateway.queue.outcome":
    "admitted, refused, cancelled, or open when the queue was unreachable and the request was let through.",
  "gateway.queue.wait_ms": "Milliseconds the request waited, by the queue object's clock.",
  "gateway.queue.position": "Position on arrival: 1 is the head, 0 means it did not wait.",
  "gateway.queue.depth": "Requests waiting when it arrived.",
  "gateway.queue.limit": "The limit it waited for.",
  "gateway.queue.lane": "interactive or batch.",
  "gateway.queue.admitted_by": "Trace id of the request whose end admitted this one.",
  "gateway.queue.leased": "Whether it was admitted by a lease its isolate had prefetched.",

  // Attempts and streams.
  "gateway.attempt.number": "1 for the first call of the request.",
  "gateway.attempt.reason": "initial, retry, fallback, hedge, or cache: the embedding for a semantic lookup.",
  "gateway.attempt.outcome": "ok, the error code, or hedge_lost where another call answered first.",
  "gateway.attempt.target": "`provider/model` by the tenant's names.",
  "gateway.attempt.left_for": "What followed: retry, fallback, give_up, or hedge.",
  "gateway.retry.refused":
    "Why the same target was not retried: budget; on the root, why a slow call was not hedged.",
  "gateway.circuit.state": "open or half_open, for a skipped target; half_open on the call that probes one.",
  "gateway.circuit.found_by": "Trace id of the call whose failure opened the circuit.",
  "gateway.timeout.kind": "The timeout that expired: first_byte, idle or total.",
  "gateway.hedge.after_ms": "Milliseconds without an answer after which a second target was called too.",
  "gateway.hedge.cost_usd": "Cost of the hedge's losing call; a part of gateway.cost.usd.",
  "gateway.attempt.cost_usd":
    "Cost of this call, failed ones included; absent when the model's price is unknown or the call is free.",
  "gateway.upstream.headers_ms": "Milliseconds from sending the call to its response headers.",
  "gateway.upstream.request_id": "The upstream's own id of the call, for its support team.",
  "gateway.upstream.reported.queue_ms":
    "Milliseconds the call waited at the upstream, loading of the model included, by its own clock.",
  "gateway.upstream.reported.prefill_ms": "Milliseconds the upstream spent on the prompt, by its own clock.",
  "gateway.upstream.reported.decode_ms": "Milliseconds the upstream spent on the answer, by its own clock.",
  "gateway.upstream.reported.total_ms":
    "Milliseconds of the whole call by the upstream's clock; of a stream, up to its head where a header says it.",
  "gateway.upstream.reported.doubtful":
    "True where those times don't fit into what was measured here; absent where they do.",
  "gateway.upstream.region": "The region that served the call, as the upstream says.",
  "gateway.upstream.colo": "The vendor's edge location the call entered by (`cf-ray`).",
  "gateway.upstream.replica": "The machine or deployment that served the call, as the upstream says.",
  "gateway.upstream.system_fingerprint": "The upstream's fingerprint of model and configuration.",
  "gateway.upstream.service_tier": "The tier the upstream served the call in.",
  "gateway.upstream.ratelimit.requests_limit": "The account's limit of requests at the upstream.",
  "gateway.upstream.ratelimit.requests_remaining": "Requests left of it.",
  "gateway.upstream.ratelimit.requests_reset_ms": "Milliseconds until it is whole again.",
  "gateway.upstream.ratelimit.tokens_limit": "The account's limit of tokens at the upstream.",
  "gateway.upstream.ratelimit.tokens_remaining": "Tokens left of it.",
  "gateway.upstream.ratelimit.tokens_reset_ms": "Milliseconds until it is whole again.",
  "gateway.stream.chunks": "Events the upstream sent.",
  "gateway.stream.bytes": "Bytes the upstream sent.",
  "gateway.stream.max_gap_ms":
    "Longest gap between two chunks, the last gap included; measured in steps of 250 ms.",
  "gateway.stream.outcome": "complete, cut, stalled, upstream_error or client_disconnected.",
  "gateway.backoff_ms": "Pause before the next attempt.",
  "gateway.retry_after_s": "The upstream's Retry-After, on the call that received it.",

  // Realtime sessions; they also have `gateway.stream.outcome` and `.chunks` (frames).
  "gateway.realtime.closed_by": "The side that ended the session first: client, upstream or gateway.",
  "gateway.realtime.close_code":
    "The WebSocket close code; 1005 where none was sent, 1006 where the connection broke.",
  "gateway.realtime.session_ms": "Milliseconds from the upstream's handshake to that end.",
  "gateway.realtime.responses": "Responses the upstream ended, successful or not.",
  "gateway.realtime.failed_responses": "Those of them that failed.",
  "gateway.realtime.errors":
    "Error events from the upstream, about the client's events and about its own faults.",
  "gateway.realtime.client_frames": "Frames the client sent.",

  // Wires.
  "gateway.dialect.client": "The client's wire format.",
  "gateway.dialect.upstream": "The upstream's wire format; absent for one that only upstreams use.",

  // Money.
  "gateway.cost.usd":
    "Cost of the request: the sum of gateway.attempt.cost_usd over its calls, and the semantic cache's embedding.",
  "gateway.cost.basis":
    "Whose prices: list or own; partial where a part has no price, estimate where a part of the usage is estimated.",
  "gateway.cost.missing": "What a partial cost leaves out: a model, a tier, or a tool without a price.",
  "gateway.budget.used":
    "Share of the budget that is spent, this request included: of the tenant's and the key's the higher one.",
  "gateway.budget.threshold": "On the alert's event: the share that was reached, 0.5, 0.8 or 1.",
  "gateway.budget.holder": "On the alert's event: whose budget, tenant or key.",
  "gateway.usage.source": "provider where the upstream reported it, else estimate.",
  "gateway.usage.refused":
    "True where the upstream's count can't be true (negative, a fraction, above any context): it was estimated instead.",
  "gateway.usage.input_audio_tokens":
    "Input tokens of audio, cached ones included; a part of the input tokens.",
  "gateway.usage.cache_read_audio_tokens": "Input tokens of audio read from the vendor's prompt cache.",
  "gateway.usage.output_audio_tokens": "Output tokens of audio; a part of the output tokens.",
  "gateway.usage.reserved_tokens": "Tokens reserved at admission.",
  "gateway.usage.estimate_error_tokens": "Actual minus reserved tokens.",

  // The vendor's prompt cache: on the root and on `gateway.prompt_cache`, for a conversation's second answer and on.
  "gateway.prompt_cache.share": "Share of the input tokens that came from the vendor's prompt cache.",
  "gateway.prompt_cache.earlier_share": "Share of the last request's input tokens that it left there.",
  "gateway.prompt_cache.cause":
    "Why less came from it than it held: target_changed, prefix_changed, expired, below_minimum or unknown; absent where it gave all.",
  "gateway.prompt_cache.changed_at": "The first part of the prompt that changed: `tools`, `messages[3]`.",
  "gateway.prompt_cache.earlier_target": "The target that answered the last request.",
  "gateway.prompt_cache.lost_tokens": "Input tokens that the cache held and that were read as new ones.",
  "gateway.prompt_cache.idle_s": "Seconds since the last answer.",
  "gateway.prompt_cache.wasted_usd": "What the lost tokens cost more than from the cache.",

  // About the spans themselves.
  "gateway.span.cpu_only": "True on steps without I/O, in which a Worker's clock does not advance.",
  "gateway.span.seq": "Order in which the request's spans started; equal times are common on Workers.",
  "gateway.span.truncated": "True on a span that was still open at export; its end time is the export time.",
  "gateway.span.dropped_count": "Spans dropped because the request had more than 128; on the root.",
  "gateway.link.type": "The link's meaning: queued_behind, admitted_by, cached_from, client_parent, …",
  "gateway.refusals.count": "Number of unauthenticated refusals this span counts.",
} as const;

/** A listed name, or one of the client's own metadata keys. */
export type AttributeName = keyof typeof ATTRIBUTES | `gateway.metadata.${string}`;

export type AttributeValue = string | number | boolean | readonly string[];

/** Attributes of a span; `undefined` means the attribute is left out. */
export type SpanAttributes = { readonly [name in AttributeName]?: AttributeValue | undefined };

const METADATA_PREFIX = "gateway.metadata.";

/** A look-up in a set is faster than in an object of this size. */
const LISTED: ReadonlySet<string> = new Set(ATTRIBUTE_NAMES);

/** Whether the allow-list lets a name be exported. */
export function isListed(name: string): name is AttributeName {
  return LISTED.has(name) || name.startsWith(METADATA_PREFIX);
}

/**
 * Names whose values are fractions. They are encoded as doubles even when a value is whole: back ends give a
 * column one type and would refuse `0.5` after `1`.
 */
const DOUBLES: ReadonlySet<string> = new Set<AttributeName>([
  "gen_ai.request.temperature",
  "gen_ai.request.top_p",
  "gen_ai.request.frequency_penalty",
  "gen_ai.request.presence_penalty",
  "gen_ai.response.time_to_first_chunk",
  "gateway.cache.saved_usd",
  "gateway.cache.similarity",
  "gateway.cache.threshold",
  "gateway.cache.embedding_cost_usd",
  "gateway.cost.usd",
  "gateway.attempt.cost_usd",
  "gateway.hedge.cost_usd",
  "gateway.budget.used",
  "gateway.budget.threshold",
  "gateway.prompt_cache.share",
  "gateway.prompt_cache.earlier_share",
  "gateway.prompt_cache.wasted_usd",
  "gateway.upstream.reported.queue_ms",
  "gateway.upstream.reported.prefill_ms",
  "gateway.upstream.reported.decode_ms",
  "gateway.upstream.reported.total_ms",
  "gateway.upstream.ratelimit.requests_reset_ms",
  "gateway.upstream.ratelimit.tokens_reset_ms",
]);

/** Whether a number under this name is encoded as a double. */
export function isDouble(name: string): boolean {
  return DOUBLES.has(name);
}

/** Event names; events carry listed attributes only. */
export const EVENTS = {
  "gateway.retry": "The same target is called again.",
  "gateway.fallback": "The next target is called.",
  "gateway.circuit_open": "A target was skipped because its circuit was open.",
  "gateway.gate_closed": "The last target was not called: its Retry-After is too long for the request.",
  "gateway.hedge": "A second target is called because the first one is slow.",
  "gateway.stream.first_chunk": "The first chunk of the stream arrived.",
  "gateway.budget.alert":
    "This request's cost brought a budget to half, four fifths or all of it; on the root, also after its end.",
  "gateway.stream.stall": "The upstream sent nothing from here on for two seconds or more, or at all.",
} as const;

export type EventName = keyof typeof EVENTS;

/** What a link between two requests of one tenant means. */
export const LINKS = {
  queued_behind: "Held a slot when this request was queued.",
  admitted_by: "Its end admitted this request.",
  cached_from: "Produced the cache entry that answered this request.",
  near_to: "Produced the most similar stored answer, which was not similar enough.",
  coalesced_into: "The identical request in progress whose answer this one shared.",
  retried_from: "The earlier request with the same idempotency key, whose answer was replayed.",
  created_by: "Made the file, batch or stored response that this request is about, or the batch's input.",
  client_parent: "The caller's span, where it is not the parent.",
} as const;

export type LinkType = keyof typeof LINKS;
