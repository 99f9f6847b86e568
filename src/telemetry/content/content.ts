/**
 * Prompts and answers, kept beside the trace and never on its spans, so that no code that handles spans can
 * leak them. Only kept when a tenant wants them; added as the last step of an export (content-render.ts), where
 * allowed. Shapes: GenAI semantic conventions v1.41, JSON schemas of messages.
 */

import type { ChatChoice, ChatRequest } from "../../schema/chat.ts";
import {
  readArguments,
  type ContentMessage,
  type ContentPart,
  type RequestContent,
} from "../../schema/request-content.ts";
import type { RequestTrace, SpanContextRef } from "../trace/trace.ts";

/** How much of the content a destination or the store gets. */
export type ContentMode = "off" | "redacted" | "full";

/** Attributes that hold content: one JSON string each. Not on the allow-list: a span can't bring them along. */
export const CONTENT_ATTRIBUTES = {
  "gen_ai.system_instructions": "The system and developer messages before the conversation.",
  "gen_ai.input.messages": "The conversation as the client sent it.",
  "gen_ai.output.messages": "What the model answered, one message per choice.",
  "gen_ai.tool.definitions": "The tools the model could call.",
} as const;
export type ContentAttribute = keyof typeof CONTENT_ATTRIBUTES;

export interface SpanContent extends RequestContent {
  readonly output: readonly ContentMessage[];
}

/** Content by the id of the inference span it belongs to; read only when it is sent somewhere. */
export type TraceContent = ReadonlyMap<string, () => SpanContent>;

const RANK: Readonly<Record<ContentMode, number>> = { off: 0, redacted: 1, full: 2 };

/** Whether `wanted` shows no more than `allowed` does. */
export function isModeWithin(wanted: ContentMode, allowed: ContentMode): boolean {
  return RANK[wanted] <= RANK[allowed];
}

/** The mode that shows less: a destination never gets more than its tenant allows. */
export function lesserMode(left: ContentMode, right: ContentMode): ContentMode {
  return isModeWithin(left, right) ? left : right;
}

/** Where the pipeline records a call's content. */
export interface ContentSink {
  /** A later call for the same span replaces the earlier one: first the request, then request and answer. */
  note(
    call: { readonly trace: RequestTrace; readonly chat: ChatRequest },
    span: SpanContextRef,
    choices?: () => readonly ChatChoice[],
  ): void;
}

export interface ContentRecorder extends ContentSink {
  /** The content of a trace; undefined when there is none. */
  of(trace: RequestTrace): TraceContent | undefined;
}

/** The content of an isolate's requests, each kept only as long as its trace is in memory. */
export function createContentRecorder(): ContentRecorder {
  const byTrace = new WeakMap<RequestTrace, Map<string, () => SpanContent>>();
  return {
    note({ trace, chat }, { spanId }, choices = () => []) {
      let bySpan = byTrace.get(trace);
      if (bySpan === undefined) byTrace.set(trace, (bySpan = new Map()));
      bySpan.set(spanId, () => ({ ...chat.wire.readContent(chat), output: choices().map(messageOf) }));
    },
    of: (trace) => byTrace.get(trace),
  };
}

/** The conventions' values where they differ from ours. */
const FINISH_REASONS: Readonly<Record<string, string>> = { tool_calls: "tool_call", unknown: "stop" };

function messageOf({
  text,
  reasoning = "",
  refusal = "",
  toolCalls,
  finishReason,
}: ChatChoice): ContentMessage {
  const parts: ContentPart[] = [];
  if (reasoning !== "") parts.push({ type: "reasoning", content: reasoning });
  if (text !== "") parts.push({ type: "text", content: text });
  if (refusal !== "") parts.push({ type: "refusal", content: refusal });
  for (const { id, name, argumentsJson } of toolCalls) {
    parts.push({ type: "tool_call", id, name, arguments: readArguments(argumentsJson) });
  }
  const reason = finishReason === undefined ? "error" : (FINISH_REASONS[finishReason] ?? finishReason);
  return { role: "assistant", parts, finish_reason: reason };
}
