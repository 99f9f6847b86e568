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
  phoenix: {
    "openinference.span.kind":
      "`CHAIN` on the root and on the gateway's own steps, so that tokens are counted once.",
    "input.value": "The messages of the call that answered, on the root, where the destination has content.",
    "input.mime_type": "`application/json`, beside `input.value`.",
    "output.value": "Its answer, likewise.",
    "output.mime_type": "`application/json`, beside `output.value`.",
  },
  mlflow: {
    "mlflow.spanType": "`CHAIN` on the root and on the gateway's own steps.",
    "mlflow.llm.cost":
      "The request's cost as JSON, on the root: MLflow's own prices don't know a route's name.",
  },
} as const;

/** What a preset adds. Langfuse, Phoenix and MLflow each count a span that has a model as a call to one: the root too. */
export type AttributeSet = keyof typeof PRESET_ATTRIBUTES;

type Extra = Record<string, AttributeValue>;

const MS_PER_SECOND = 1000;
const INPUT = "gen_ai.input.messages";
const OUTPUT = "gen_ai.output.messages";

/** `trace` with its content, where the destination gets any. */
export function withPresetAttributes(trace: FinishedTrace, set: AttributeSet): FinishedTrace {
  const answered = trace.spans.findLast((span) => span.attributes["gateway.attempt.outcome"] === "ok");
  const spans = trace.spans.map((span): FinishedSpan => {
    const extra =
      set === "langfuse"
        ? forLangfuse(trace, span, span === answered)
        : set === "phoenix"
          ? forPhoenix(trace, span, answered)
          : forMlflow(trace, span, answered);
    return { ...span, attributes: { ...span.attributes, ...extra } };
  });
  return { ...trace, root: spans[trace.spans.indexOf(trace.root)] ?? trace.root, spans };
}

function isInference({ attributes }: FinishedSpan): boolean {
  return attributes["gen_ai.operation.name"] !== undefined;
}

/** Content's names are not among those of a span that is recorded, so they are read as names of any kind. */
function messagesOf(span: FinishedSpan | undefined) {
  const attributes: Readonly<Record<string, AttributeValue | undefined>> = span?.attributes ?? {};
  return { input: attributes[INPUT], output: attributes[OUTPUT] };
}

/** Langfuse needs the session on every span. */
function forLangfuse({ root }: FinishedTrace, span: FinishedSpan, isAnswer: boolean): Extra {
  const session = root.attributes["gen_ai.conversation.id"];
  const cost = root.attributes["gateway.cost.usd"];
  const firstChunkS = span.attributes["gen_ai.response.time_to_first_chunk"];
  const firstChunkAt =
    typeof firstChunkS === "number" ? new Date(span.startAt + firstChunkS * MS_PER_SECOND) : undefined;
  return {
    "langfuse.observation.type": isInference(span) ? "generation" : "span",
    ...(firstChunkAt !== undefined && {
      "langfuse.observation.completion_start_time": firstChunkAt.toISOString(),
    }),
    ...(isAnswer && cost !== undefined && { "gen_ai.usage.cost": cost }),
    ...(session !== undefined && { "session.id": session }),
  };
}

/** Phoenix 20 lists a trace by its root's input and output. */
function forPhoenix({ root }: FinishedTrace, span: FinishedSpan, answered: FinishedSpan | undefined): Extra {
  if (span !== root) return isInference(span) ? {} : { "openinference.span.kind": "CHAIN" };
  const { input, output } = messagesOf(answered);
  return {
    "openinference.span.kind": "CHAIN",
    ...(input !== undefined && { "input.value": input, "input.mime_type": "application/json" }),
    ...(output !== undefined && { "output.value": output, "output.mime_type": "application/json" }),
  };
}

/** MLflow 3 makes a trace's previews from its root's messages. */
function forMlflow({ root }: FinishedTrace, span: FinishedSpan, answered: FinishedSpan | undefined): Extra {
  if (span !== root) return isInference(span) ? {} : { "mlflow.spanType": "CHAIN" };
  const { input, output } = messagesOf(answered);
  const cost = root.attributes["gateway.cost.usd"];
  return {
    "mlflow.spanType": "CHAIN",
    ...(cost !== undefined && { "mlflow.llm.cost": `{"total_cost":${String(cost)}}` }),
    ...(input !== undefined && { [INPUT]: input }),
    ...(output !== undefined && { [OUTPUT]: output }),
  };
}
