/**
 * Output items of a Responses stream while they grow: the events that open them, add to them and close them. Used by
 * client-encoder.ts for translated streams and by client-replay.ts for stored answers.
 * https://platform.openai.com/docs/api-reference/responses-streaming (seen 2026-11)
 */

import type { Citation, TokenLogprob, ToolCall } from "../../schema/chat.ts";
import type { JsonRecord } from "../../json/fields.ts";
import {
  formatCall,
  formatFreeformItem,
  formatResponsesCitation,
  formatLogprob,
  formatMessageItem,
  formatRefusal,
  formatText,
  formatReasoningItem,
} from "./client-answer.ts";

/** Writes one event; counts them. */
export type Emit = (type: string, fields: JsonRecord) => string;

/** One item of the output, open until `close`. */
export interface OpenItem {
  /** The events that end it. */
  close(): string;
  /** The item as it stands now. */
  format(): JsonRecord;
}

export interface OpenReasoning extends OpenItem {
  readonly kind: "reasoning";
  add(text: string): string;
  sign(signature: string): void;
}

export function openReasoning(emit: Emit, id: string, outputIndex: number): [string, OpenReasoning] {
  const place = { item_id: id, output_index: outputIndex, summary_index: 0 };
  let text = "";
  let signature: string | undefined;
  const format = (): JsonRecord => formatReasoningItem(id, text, signature);
  const item: OpenReasoning = {
    kind: "reasoning",
    format,
    sign(given) {
      signature = given;
    },
    add(more) {
      const part = { type: "summary_text", text: "" };
      const opening = text === "" ? emit("response.reasoning_summary_part.added", { ...place, part }) : "";
      text += more;
      return opening + emit("response.reasoning_summary_text.delta", { ...place, delta: more });
    },
    close() {
      const part = { type: "summary_text", text };
      const closing =
        text === ""
          ? ""
          : emit("response.reasoning_summary_text.done", { ...place, text }) +
            emit("response.reasoning_summary_part.done", { ...place, part });
      return closing + emit("response.output_item.done", { output_index: outputIndex, item: format() });
    },
  };
  return [emit("response.output_item.added", { output_index: outputIndex, item: format() }), item];
}

export interface OpenMessage extends OpenItem {
  readonly kind: "message";
  addText(text: string): string;
  addRefusal(text: string): string;
  cite(citation: Citation): string;
  addLogprobs(logprobs: readonly TokenLogprob[]): string;
}

interface OpenPart {
  readonly kind: "text" | "refusal";
  text: string;
  readonly citations: Citation[];
  readonly logprobs: TokenLogprob[];
}

function formatPart({ kind, text, citations, logprobs }: OpenPart): JsonRecord {
  return kind === "text" ? formatText(text, citations, logprobs) : formatRefusal(text);
}

export function openMessage(emit: Emit, id: string, outputIndex: number): [string, OpenMessage] {
  const parts: OpenPart[] = [];
  let isClosed = false;
  const place = (): JsonRecord => ({
    item_id: id,
    output_index: outputIndex,
    content_index: Math.max(0, parts.length - 1),
  });
  const format = (): JsonRecord =>
    formatMessageItem(id, parts.map(formatPart), isClosed ? "completed" : "in_progress");

  function closePart(): string {
    const part = parts.at(-1);
    if (part === undefined) return "";
    const { kind, text, logprobs } = part;
    const done =
      kind === "text"
        ? emit("response.output_text.done", { ...place(), text, logprobs: logprobs.map(formatLogprob) })
        : emit("response.refusal.done", { ...place(), refusal: text });
    return done + emit("response.content_part.done", { ...place(), part: formatPart(part) });
  }

  function openPart(kind: OpenPart["kind"]): [string, OpenPart] {
    const last = parts.at(-1);
    if (last?.kind === kind) return ["", last];
    const closing = closePart();
    const part: OpenPart = { kind, text: "", citations: [], logprobs: [] };
    parts.push(part);
    return [closing + emit("response.content_part.added", { ...place(), part: formatPart(part) }), part];
  }

  const item: OpenMessage = {
    kind: "message",
    format,
    addText(text) {
      const [opening, part] = openPart("text");
      part.text += text;
      return opening + emit("response.output_text.delta", { ...place(), delta: text, logprobs: [] });
    },
    addRefusal(text) {
      const [opening, part] = openPart("refusal");
      part.text += text;
      return opening + emit("response.refusal.delta", { ...place(), delta: text });
    },
    cite(citation) {
      const [opening, part] = openPart("text");
      const [annotation] = formatResponsesCitation(citation);
      if (annotation === undefined) return opening;
      const index = part.citations.length;
      part.citations.push(citation);
      const fields = { ...place(), annotation_index: index, annotation };
      return opening + emit("response.output_text.annotation.added", fields);
    },
    addLogprobs(logprobs) {
      const [opening, part] = openPart("text");
      part.logprobs.push(...logprobs);
      const fields = { ...place(), delta: "", logprobs: logprobs.map(formatLogprob) };
      return opening + emit("response.output_text.delta", fields);
    },
    close() {
      const closing = closePart();
      isClosed = true;
      return closing + emit("response.output_item.done", { output_index: outputIndex, item: format() });
    },
  };
  return [emit("response.output_item.added", { output_index: outputIndex, item: format() }), item];
}

export interface OpenFunctionCall extends OpenItem {
  readonly kind: "call";
  add(fragment: Partial<ToolCall>): string;
}

/** What a function's call and one of a tool that takes free text have each in its own way. */
interface CallForm {
  readonly formatItem: typeof formatCall;
  /** The event of a fragment of the arguments; empty where the input is known only once they are whole. */
  addFragment(place: JsonRecord, fragment: string): string;
  /** The events of the whole arguments. */
  end(place: JsonRecord, call: ToolCall, item: JsonRecord): string;
}

export function openFunctionCall(
  emit: Emit,
  id: string,
  outputIndex: number,
  begun: Partial<ToolCall>,
): [string, OpenFunctionCall] {
  return openToolCall(emit, id, outputIndex, begun, {
    formatItem: formatCall,
    addFragment: (place, delta) =>
      delta === "" ? "" : emit("response.function_call_arguments.delta", { ...place, delta }),
    end: (place, { name, argumentsJson }) =>
      emit("response.function_call_arguments.done", { ...place, name, arguments: argumentsJson }),
  });
}

/** A call of a tool that takes free text. */
export function openFreeformCall(
  emit: Emit,
  id: string,
  outputIndex: number,
  begun: Partial<ToolCall>,
): [string, OpenFunctionCall] {
  return openToolCall(emit, id, outputIndex, begun, {
    formatItem: formatFreeformItem,
    addFragment: () => "",
    end: (place, _, { input }) =>
      emit("response.custom_tool_call_input.delta", { ...place, delta: input }) +
      emit("response.custom_tool_call_input.done", { ...place, input }),
  });
}

function openToolCall(
  emit: Emit,
  id: string,
  outputIndex: number,
  begun: Partial<ToolCall>,
  form: CallForm,
): [string, OpenFunctionCall] {
  let call: ToolCall = { id: begun.id ?? id, name: begun.name ?? "", argumentsJson: "" };
  let isClosed = false;
  const place = { item_id: id, output_index: outputIndex };
  const format = (): JsonRecord => form.formatItem(id, call, isClosed ? "completed" : "in_progress");
  const item: OpenFunctionCall = {
    kind: "call",
    format,
    add({ argumentsJson = "", ...others }) {
      call = { ...call, ...others, argumentsJson: call.argumentsJson + argumentsJson };
      return form.addFragment(place, argumentsJson);
    },
    close() {
      isClosed = true;
      return (
        form.end(place, call, format()) +
        emit("response.output_item.done", { output_index: outputIndex, item: format() })
      );
    },
  };
  return [emit("response.output_item.added", { output_index: outputIndex, item: format() }), item];
}
