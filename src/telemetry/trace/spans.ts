/**
 * Every span name of the gateway, with its kind and meaning. Names have low cardinality: nothing of a tenant is
 * in one, except the model in an inference span's, as the conventions want. SPANS.md is generated from here.
 */

import type { SpanKind } from "./trace.ts";

interface SpanDescription {
  readonly kind: SpanKind;
  readonly meaning: string;
}

/**
 * The gateway's own spans, in the order of a request. An attempt is named by the GenAI conventions instead:
 * `{gen_ai.operation.name} {gen_ai.request.model}`, CLIENT (v1.41, inference span).
 */
export const SPANS = {
  "gateway.auth": { kind: "internal", meaning: "The gateway key was checked." },
  "gateway.config.load": { kind: "client", meaning: "The tenant's records were looked up." },
  "gateway.route": { kind: "internal", meaning: "The targets were put in order." },
  "gateway.idempotency": {
    kind: "client",
    meaning: "Looked for an earlier request with the same idempotency key.",
  },
  "gateway.cache.lookup": { kind: "client", meaning: "The response cache was read, or bypassed." },
  // A route with the semantic cache has a second one, whose child is the embedding's call.
  "gateway.coalesce.wait": {
    kind: "internal",
    meaning: "Looked for an identical request in progress, and waited for its answer.",
  },
  "gateway.admission": { kind: "client", meaning: "Call to the tenant's queue object for a slot." },
  "gateway.queue.wait": { kind: "server", meaning: "The wait in the queue, by that object's own clock." },
  "gateway.usage.count": { kind: "internal", meaning: "Tokens were read from the answer, or estimated." },
  "gateway.response.format": {
    kind: "internal",
    meaning: "The answer was translated to the client's wire; absent where both use the same.",
  },
  "gateway.cache.store": { kind: "client", meaning: "The answer was stored; may end after the root." },
  "gateway.usage.record": {
    kind: "client",
    meaning: "The lease was settled with the actual usage; may end after the root.",
  },
  "gateway.prompt_cache": {
    kind: "client",
    meaning:
      "Compared with the conversation's last answer: what came from the vendor's prompt cache; may end after the root.",
  },
  "gateway.destination.test": {
    kind: "internal",
    meaning: "Root of its own trace: the test span an operator sent to a destination.",
  },
  "gateway.abandoned": {
    kind: "server",
    meaning:
      "Root of a request whose Worker died: written by the queue object when the lease expired unsettled. Its cost is what a budget had reserved.",
  },
  "gateway.refusals": {
    kind: "internal",
    meaning:
      "Root of its own trace: counts the unauthenticated refusals of one second that got no trace each.",
  },
} as const satisfies Record<string, SpanDescription>;

type SpanName = keyof typeof SPANS;

/** Spans that belong to a request but may end after its response did. */
export const AFTER_RESPONSE: ReadonlySet<string> = new Set<SpanName>([
  "gateway.cache.store",
  "gateway.usage.record",
  "gateway.prompt_cache",
]);

/** Root name of a request: `{method} {http.route}`, never the raw path (HTTP conventions v1.44). */
export function rootSpanName(method: string, route: string): string {
  return `${method} ${route}`;
}
