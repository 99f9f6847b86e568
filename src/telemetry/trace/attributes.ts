/**
 * Every attribute name a span of ours may carry, with what it means. The type makes an unlisted name a compile error,
 * the export's allow-list drops it at run time, and SPANS.md is generated from here.
 * Sources: GenAI semantic conventions v1.41, HTTP, RPC and database semantic conventions v1.44; `gateway.*` is ours.
 */

export const ATTRIBUTES = {
  // GenAI semantic conventions v1.41 (inference spans; the model also on the root).
  "gen_ai.operation.name": "What was asked for: `chat`, `embeddings`, …",
  "gen_ai.provider.name": "The upstream's vendor, in the conventions' words.",
  "gen_ai.request.model": "The model asked of the upstream; on the root, as the client named it.",
  "gen_ai.request.stream": "Present and true on a streamed call.",
  "gen_ai.request.max_tokens": "Upper bound of output tokens the client set.",
  "gen_ai.request.temperature": "Sampling temperature the client set.",
  "gen_ai.request.top_p": "Nucleus sampling bound the client set.",
  "gen_ai.request.frequency_penalty": "Frequency penalty the client set.",
  "gen_ai.request.presence_penalty": "Presence penalty the client set.",
  "gen_ai.request.seed": "Seed the client set.",
  "gen_ai.request.choice.count": "Number of choices asked for, when not 1.",
  "gen_ai.conversation.id": "The client's `x-headgate-session`; never made up.",
  "gen_ai.response.id": "The upstream's id of the answer.",
  "gen_ai.response.model": "The model that answered, as the upstream names it.",
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
  "http.response.status_code": "Status sent to the client, or got from the upstream.",
  "http.request.resend_count": "How often this call was sent before to the same target.",
  "url.scheme": "`http` or `https`.",
  "url.path": "The route's template: the raw path may hold names.",
  "server.address": "Host of the gateway on the root, of the upstream on an inference span.",
  "server.port": "Its port.",
  "error.type": "A row of the error table, or the upstream's status; never a message.",
  "rpc.system.name": "`cloudflare.workers_rpc`.",
  "rpc.method": "`TenantQueue/admit` and the like.",
  "db.system.name": "`cloudflare.kv`.",
  "db.operation.name": "`get` or `put`.",

  // Identity and outcome.
  "gateway.tenant.id": "The tenant.",
  "gateway.key.id": "The gateway key's id; never the key or its hash.",
  "gateway.request.id": "The `x-request-id` of the response.",
  "gateway.outcome":
    "ok, cache_hit, coalesced, replayed, rejected, upstream_error, client_disconnected, gateway_error, abandoned.",
  "gateway.decision": "The error table's row that refused the request.",
  "gateway.limit.name": "The limit that refused it.",
  "gateway.limit.value": "That limit's value.",
  "gateway.limit.remaining": "What was left of it.",
  "gateway.limit.reset_s": "Seconds until a retry can succeed.",
  "gateway.ttfb_ms": "Milliseconds from the request's arrival to the first byte of the answer's body.",
  "gateway.stream": "Whether the client asked for a stream.",
  "gateway.attempt.count": "Upstream calls made for this request.",
  "gateway.fallback.used": "Whether another target than the first one answered.",
  "gateway.retry_after_ms": "The Retry-After the client was given, in milliseconds.",

  // Decisions.
  "gateway.auth.result": "ok, or the error table's row.",
  "gateway.auth.source":
    "Where the key was looked up: memory, kv, directory, or checksum when it was refused unread.",
  "gateway.config.source": "Where the tenant's records came from: memory, kv or directory.",
  "gateway.config.age_ms": "Age of the isolate's copy.",
  "gateway.config.version": "Version of the tenant's records.",
  "gateway.route.id": "The route, or the bare `provider/model`.",
  "gateway.route.strategy": "fallback, weighted, least-latency, least-cost, or direct.",
  "gateway.route.candidates": "The plan's targets in the order they would be asked.",
  "gateway.route.chosen": "The target asked first.",
  "gateway.route.reason": "Why that target comes first.",
  "gateway.route.rejected": "`target: reason` for each target that was passed over.",
  "gateway.cache.status": "hit, miss, bypass, stale or error.",
  "gateway.cache.reason": "Why the cache was bypassed, missed, or an answer was not stored.",
  "gateway.cache.source": "memory where the isolate had the entry at hand, and KV was not read.",
  "gateway.cache.kind": "exact, or semantic where the prompt may differ in its wording.",
  "gateway.cache.similarity":
    "Cosine between the request's last user text and the nearest one that was answered before; on a miss too.",
  "gateway.cache.threshold": "The similarity from which on the route counts two texts as the same.",
  "gateway.cache.compared": "Stored texts that the request's was compared with.",
  "gateway.cache.indexed": "Whether the stored answer can be found by meaning too.",
  "gateway.cache.embedding_cost_usd":
    "What the embedding cost that the cache was asked by; a part of gateway.cost.usd.",
  "gateway.cache.age_s": "Age of the entry.",
  "gateway.cache.ttl_s": "Time to live the entry is, or was, stored with.",
  "gateway.cache.bytes": "Size of the stored answer.",
  "gateway.cache.inputs": "Texts of an embeddings request, each cached apart; of those stored, on the store.",
  "gateway.cache.inputs_found": "How many of them were there.",
  "gateway.cache.saved_usd": "What the stored answer had cost.",
  "gateway.cache.saved_ms": "How long the stored answer had taken.",
  "gateway.coalesce.status":
    "Of a request that may share another's answer: lead, replacement, attached, failed, alone, left or unreachable.",
  "gateway.coalesce.reason": "Why it went on alone: too_late, too_much or leader_refused.",
  "gateway.idempotency.status":
    "What became of the idempotency key: lead, attached, replayed, conflict, failed, alone or unreachable.",

  // The queue.
  "gateway.queue.outcome": "admitted, refused, cancelled, or open when the object could not be asked.",
  "gateway.queue.wait_ms": "How long the request waited, by the queue object's clock.",
  "gateway.queue.position": "Its place on arrival, 1 for the head; 0 when it did not wait.",
  "gateway.queue.depth": "Requests waiting when it arrived.",
  "gateway.queue.limit": "The limit that held it.",
  "gateway.queue.lane": "interactive or batch.",
  "gateway.queue.admitted_by": "Trace id of the request whose end let it in.",
  "gateway.queue.leased": "Whether it was admitted from a batch lease of its isolate.",

  // Attempts and streams.
  "gateway.attempt.number": "1 for the first call of the request.",
  "gateway.attempt.reason":
    "initial, retry, fallback, hedge, or cache: the embedding that the cache is asked by.",
  "gateway.attempt.outcome": "ok, the error table's row, or hedge_lost where another call answered first.",
  "gateway.attempt.target": "`provider/model` by the tenant's names.",
  "gateway.attempt.left_for": "What was done instead: retry, fallback, give_up, or hedge.",
  "gateway.retry.refused": "Why another try of the same target was not made: budget.",
  "gateway.circuit.state":
    "open or half_open: of a target passed over; half_open of the call that probes one.",
  "gateway.circuit.found_by": "Trace id of the call whose failure opened the circuit.",
  "gateway.timeout.kind": "The time limit that was reached: first_byte, idle or total.",
  "gateway.hedge.after_ms": "How long the first target was waited for before a second one was asked too.",
  "gateway.hedge.cost_usd":
    "What the call cost that lost to another; an estimate, and a part of gateway.cost.usd.",
  "gateway.upstream.headers_ms": "Milliseconds from sending the call to its response headers.",
  "gateway.upstream.request_id": "The upstream's own id of the call, for its support.",
  "gateway.stream.chunks": "Events the upstream sent.",
  "gateway.stream.bytes": "Bytes the upstream sent.",
  "gateway.stream.max_gap_ms":
    "Longest silence of the upstream within the stream, its last one included; seen to the grain of 250 ms.",
  "gateway.stream.outcome": "complete, cut, stalled, upstream_error or client_disconnected.",
  "gateway.backoff_ms": "Pause before the next attempt.",
  "gateway.retry_after_s": "The upstream's Retry-After, on the call that got it.",

  // Realtime sessions; `gateway.stream.outcome` and `.chunks` (frames) stand beside them.
  "gateway.realtime.closed_by": "Who was the first to end the session: client, upstream or gateway.",
  "gateway.realtime.close_code":
    "The WebSocket code it ended with; 1005 where none was given, 1006 where the connection broke.",
  "gateway.realtime.session_ms": "Milliseconds from the upstream's handshake to that end.",
  "gateway.realtime.responses": "Responses that the upstream brought to an end, of whatever kind.",
  "gateway.realtime.failed_responses": "Of those, the ones that it could not finish.",
  "gateway.realtime.errors":
    "Error events the upstream sent: about the client's events as well as its own faults.",
  "gateway.realtime.client_frames": "Frames the client sent.",

  // Wires.
  "gateway.dialect.client": "The wire the client speaks.",
  "gateway.dialect.upstream": "The wire its upstream speaks; absent for one that no client does.",

  // Money.
  "gateway.cost.usd":
    "What the request cost, from the price table; absent when the model's price is unknown.",
  "gateway.usage.source": "provider, or estimate.",
  "gateway.usage.input_audio_tokens":
    "Input tokens of audio, cached ones included; a part of the input tokens.",
  "gateway.usage.cache_read_audio_tokens": "Input tokens of audio read from the vendor's prompt cache.",
  "gateway.usage.output_audio_tokens": "Output tokens of audio; a part of the output tokens.",
  "gateway.usage.reserved_tokens": "Tokens reserved at admission.",
  "gateway.usage.estimate_error_tokens": "Actual minus reserved tokens.",

  // About the spans themselves.
  "gateway.span.cpu_only": "True on steps that do no I/O: a Worker's clock stands still in them.",
  "gateway.span.seq": "Order in which the request's spans began; equal times are common on Workers.",
  "gateway.span.truncated": "True on a span that had not ended when the trace had to leave.",
  "gateway.span.dropped_count": "Spans left out because the request had too many; on the root.",
  "gateway.link.type": "What the link means: queued_behind, admitted_by, cached_from, client_parent, …",
  "gateway.refusals.count": "Unauthenticated refusals that this span stands for.",
} as const;

/** A listed name, or one of the client's own metadata keys. */
export type AttributeName = keyof typeof ATTRIBUTES | `gateway.metadata.${string}`;

export type AttributeValue = string | number | boolean | readonly string[];

/** Attributes of a span; `undefined` means the attribute is left out. */
export type SpanAttributes = { readonly [name in AttributeName]?: AttributeValue | undefined };

const METADATA_PREFIX = "gateway.metadata.";

/** Whether the allow-list lets a name leave the gateway. */
export function isListed(name: string): name is AttributeName {
  return Object.hasOwn(ATTRIBUTES, name) || name.startsWith(METADATA_PREFIX);
}

/**
 * Names whose values are fractions by nature. They travel as doubles even when a value happens to be whole: back ends
 * give a column one type, and `0.5` after `1` would be refused.
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
  "gateway.hedge.cost_usd",
]);

/** Whether a number under this name is a double on the wire. */
export function isDouble(name: string): boolean {
  return DOUBLES.has(name);
}

/** Event names; events carry listed attributes only. */
export const EVENTS = {
  "gateway.retry": "The same target is asked again.",
  "gateway.fallback": "The next target is asked.",
  "gateway.circuit_open": "A target was passed over: it had failed too often.",
  "gateway.gate_closed":
    "The last target was not asked: its upstream wants to be left alone for longer than the request may take.",
  "gateway.hedge": "Another target is asked beside the one that is slow to answer.",
  "gateway.stream.first_chunk": "The first chunk of the stream arrived.",
  "gateway.stream.stall": "The stream fell silent here, for two seconds or more, or for good.",
} as const;

export type EventName = keyof typeof EVENTS;

/** What a link between two requests of one tenant means. */
export const LINKS = {
  queued_behind: "Held a slot when this request was queued.",
  admitted_by: "Its end let this request in.",
  cached_from: "Produced the cache entry that answered this request.",
  near_to: "Produced the stored answer that came nearest in meaning, and was not near enough.",
  coalesced_into: "The equal request under way whose answer this one got.",
  retried_from: "The earlier request with the same idempotency key, whose answer this one got.",
  client_parent: "The caller's span, where it is not the parent.",
} as const;

export type LinkType = keyof typeof LINKS;
