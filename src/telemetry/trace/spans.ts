/**
 * Every span name a trace of ours may hold, with its kind and meaning. Low-cardinality: nothing of a tenant is in a name,
 * except the model of an inference span, where the conventions want it. SPANS.md is generated from here.
 */

import type { SpanKind } from "./trace.ts";

interface SpanDescription {
  readonly kind: SpanKind;
  readonly meaning: string;
}

/**
 * The spans of our own, in the order in which a request meets them. An attempt is named by the GenAI conventions instead:
 * `{gen_ai.operation.name} {gen_ai.request.model}`, CLIENT (v1.41, inference span).
 */
export const SPANS = {
  "gateway.auth": { kind: "internal", meaning: "The gateway key was checked." },
  "gateway.config.load": { kind: "client", meaning: "The tenant's records were looked up." },
  "gateway.route": { kind: "internal", meaning: "The targets were put in order, and why so." },
  "gateway.idempotency": {
    kind: "client",
    meaning: "An earlier request with the same idempotency key was looked for.",
  },
  "gateway.cache.lookup": { kind: "client", meaning: "The response cache was asked, or why it was not." },
  // A route with the semantic cache has a second one, with the embedding's call under it.
  "gateway.coalesce.wait": {
    kind: "internal",
    meaning: "An equal request under way was looked for, and its answer waited for.",
  },
  "gateway.admission": { kind: "client", meaning: "The tenant's queue object was asked for a slot." },
  "gateway.queue.wait": { kind: "server", meaning: "The wait, as that object saw it by its own clock." },
  "gateway.usage.count": { kind: "internal", meaning: "Tokens were read from the answer, or estimated." },
  "gateway.response.format": {
    kind: "internal",
    meaning: "The answer was put into the client's wire format; absent where both speak the same.",
  },
  "gateway.cache.store": { kind: "client", meaning: "The answer was stored; may outlive the root." },
  "gateway.usage.record": {
    kind: "client",
    meaning: "The lease was settled with what was really used; may outlive the root.",
  },
  "gateway.destination.test": {
    kind: "internal",
    meaning: "A root of its own: the span an operator sent to try a destination.",
  },
  "gateway.abandoned": {
    kind: "server",
    meaning:
      "The root of a request whose Worker died: written by the queue object when its lease ran out without a settlement.",
  },
  "gateway.refusals": {
    kind: "internal",
    meaning: "A root of its own: unauthenticated refusals of one second that left no trace each.",
  },
} as const satisfies Record<string, SpanDescription>;

type SpanName = keyof typeof SPANS;

/** Spans that belong to a request but may end after its response did. */
export const AFTER_RESPONSE: ReadonlySet<string> = new Set<SpanName>([
  "gateway.cache.store",
  "gateway.usage.record",
]);

/** Root name of a request: `{method} {http.route}`, never the raw path (HTTP conventions v1.44). */
export function rootSpanName(method: string, route: string): string {
  return `${method} ${route}`;
}
