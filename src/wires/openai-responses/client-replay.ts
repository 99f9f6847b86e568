/**
 * Stored Responses answers in the other form: a stream as the response it ended with, a whole response as the events
 * of a stream, all at once since nothing is left to wait for. Works on the wire's own objects, so that items we know
 * nothing of survive.
 */

import { GatewayError } from "../../errors.ts";
import { isRecord, listOf, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";
import type { ServerSentEvent } from "../../bytes/sse.ts";
import { createEmit } from "./client-encoder.ts";
import type { Emit } from "./client-items.ts";
import { parseJson, toJson } from "../../json/exact.ts";

const ENDS: ReadonlySet<unknown> = new Set(["response.completed", "response.incomplete"]);

/** The JSON text of the response; throws `upstream_malformed` where the events have no good end. */
export function responseFromStream(events: readonly ServerSentEvent[]): string {
  const last = events.findLast(({ event }) => ENDS.has(event));
  const response = last === undefined ? undefined : recordOf(parse(last.data))["response"];
  if (isRecord(response)) return toJson(response);
  throw new GatewayError("upstream_malformed", "The stream held no whole response.");
}

/** The stream's text; throws `upstream_malformed` where the body is not a response. */
export function streamFromResponse(bodyText: string): string {
  const whole = parse(bodyText);
  if (!isRecord(whole) || !Array.isArray(whole["output"])) {
    throw new GatewayError("upstream_malformed", "The stored response does not follow the Responses format.");
  }
  const emit = createEmit();
  const begun = { ...whole, status: "in_progress", output: [], usage: null, incomplete_details: null };
  // Events are numbered as they are made: in the order of the stream.
  const opening =
    emit("response.created", { response: begun }) + emit("response.in_progress", { response: begun });
  const items = whole["output"].map((item, index) => explodeItem(emit, recordOf(item), index)).join("");
  const end = whole["status"] === "incomplete" ? "response.incomplete" : "response.completed";
  return opening + items + emit(end, { response: whole });
}

function parse(text: string): unknown {
  try {
    return parseJson(text);
  } catch (cause) {
    throw new GatewayError("upstream_malformed", "The stored response is not valid JSON.", { cause });
  }
}

function explodeItem(emit: Emit, item: JsonRecord, index: number): string {
  const place = { item_id: item["id"], output_index: index };
  const added = (empty: JsonRecord): string =>
    emit("response.output_item.added", { output_index: index, item: { ...item, ...empty } });
  const done = (): string => emit("response.output_item.done", { output_index: index, item });
  switch (item["type"]) {
    case "message": {
      const opening = added({ status: "in_progress", content: [] });
      const parts = listOf(item["content"]).map((part, at) =>
        explodePart(emit, recordOf(part), { ...place, content_index: at }),
      );
      return opening + parts.join("") + done();
    }
    case "function_call": {
      const opening = added({ status: "in_progress", arguments: "" });
      const given = textOf(item["arguments"]) ?? "";
      return (
        opening +
        emit("response.function_call_arguments.delta", { ...place, delta: given }) +
        emit("response.function_call_arguments.done", { ...place, name: item["name"], arguments: given }) +
        done()
      );
    }
    case "reasoning": {
      const opening = added({ summary: [] });
      const parts = listOf(item["summary"]).map((part, at) =>
        explodeSummary(emit, recordOf(part), { ...place, summary_index: at }),
      );
      return opening + parts.join("") + done();
    }
    default:
      return added({}) + done();
  }
}

function explodePart(emit: Emit, part: JsonRecord, place: JsonRecord): string {
  const added = (empty: JsonRecord): string =>
    emit("response.content_part.added", { ...place, part: { ...part, ...empty } });
  const done = (): string => emit("response.content_part.done", { ...place, part });
  if (part["type"] === "refusal") {
    const refusal = textOf(part["refusal"]) ?? "";
    return (
      added({ refusal: "" }) +
      emit("response.refusal.delta", { ...place, delta: refusal }) +
      emit("response.refusal.done", { ...place, refusal }) +
      done()
    );
  }
  const text = textOf(part["text"]) ?? "";
  const logprobs = listOf(part["logprobs"]);
  const annotations = (): string =>
    listOf(part["annotations"])
      .map((annotation, at) =>
        emit("response.output_text.annotation.added", { ...place, annotation_index: at, annotation }),
      )
      .join("");
  return (
    added({ text: "", annotations: [], logprobs: [] }) +
    emit("response.output_text.delta", { ...place, delta: text, logprobs }) +
    annotations() +
    emit("response.output_text.done", { ...place, text, logprobs }) +
    done()
  );
}

function explodeSummary(emit: Emit, part: JsonRecord, place: JsonRecord): string {
  const text = textOf(part["text"]) ?? "";
  return (
    emit("response.reasoning_summary_part.added", { ...place, part: { ...part, text: "" } }) +
    emit("response.reasoning_summary_text.delta", { ...place, delta: text }) +
    emit("response.reasoning_summary_text.done", { ...place, text }) +
    emit("response.reasoning_summary_part.done", { ...place, part })
  );
}
