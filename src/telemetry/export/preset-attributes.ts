/**
 * Attributes that a back end's own views need besides the conventions', added to a finished trace for that back
 * end only. Pure.
 */

import type { AttributeValue } from "../trace/attributes.ts";
import type { FinishedSpan, FinishedTrace } from "../trace/trace.ts";

/** Names that only destinations of that preset get; SPANS.md lists them. */
export const PRESET_ATTRIBUTES = {
  langfuse: {
    "langfuse.observation.type":
      "`generation` on inference spans, else `span`, so that tokens are counted once.",
    "langfuse.observation.completion_start_time": "When the first chunk came, ISO 8601.",
    "gen_ai.usage.cost": "The request's cost, on the call that answered.",
    "session.id": "The client's session, on every span.",
  },
} as const;

const MS_PER_SECOND = 1000;

/** Langfuse counts each span with a model as a generation, the root too, and needs the session on every span. */
export function toLangfuse(trace: FinishedTrace): FinishedTrace {
  const session = trace.root.attributes["gen_ai.conversation.id"];
  const answered = trace.spans.findLast((span) => span.attributes["gateway.attempt.outcome"] === "ok");
  const cost = trace.root.attributes["gateway.cost.usd"];
  const spans = trace.spans.map((span): FinishedSpan => {
    const isInference = span.attributes["gen_ai.operation.name"] !== undefined;
    const firstChunkS = span.attributes["gen_ai.response.time_to_first_chunk"];
    const extra: Record<string, AttributeValue> = {
      "langfuse.observation.type": isInference ? "generation" : "span",
    };
    if (typeof firstChunkS === "number") {
      const at = new Date(span.startAt + firstChunkS * MS_PER_SECOND);
      extra["langfuse.observation.completion_start_time"] = at.toISOString();
    }
    if (span === answered && cost !== undefined) extra["gen_ai.usage.cost"] = cost;
    if (session !== undefined) extra["session.id"] = session;
    return { ...span, attributes: { ...span.attributes, ...extra } };
  });
  return { ...trace, root: spans[trace.spans.indexOf(trace.root)] ?? trace.root, spans };
}
