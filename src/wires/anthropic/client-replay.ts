/**
 * A Messages stream as the one message it adds up to, and a message as the stream of one. Works on the wire's own
 * fields, so that a field or a block we know nothing of survives.
 */

import { GatewayError } from "../../errors.ts";
import { isPresent, isRecord, listOf, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";
import { formatEvent, type ServerSentEvent } from "../../bytes/sse.ts";
import { parseJson, toJson } from "../../json/exact.ts";
import { largerCounts } from "../read-upstream.ts";

/** Which member of its block a delta's text belongs to. */
const TEXT_OF_DELTA: Readonly<Record<string, string>> = {
  text_delta: "text",
  thinking_delta: "thinking",
  signature_delta: "signature",
};

/** The JSON text of the message; throws `upstream_malformed` where the events don't add up to one. */
export function messageFromStream(events: readonly ServerSentEvent[]): string {
  let message: JsonRecord | undefined;
  const blocks = new Map<number, JsonRecord>();
  const inputs = new Map<number, string>();
  let isStopped = false;
  for (const { data } of events) {
    if (data === "") continue;
    const event = parse(data, "an event");
    const index = typeof event["index"] === "number" ? event["index"] : 0;
    switch (event["type"]) {
      case "message_start":
        message = recordOf(event["message"]);
        break;
      case "content_block_start":
        blocks.set(index, recordOf(event["content_block"]));
        break;
      case "content_block_delta":
        addDelta(blocks, inputs, index, recordOf(event["delta"]));
        break;
      case "message_delta": {
        const usage = largerCounts(recordOf(message?.["usage"]), present(recordOf(event["usage"])));
        message = { ...message, ...recordOf(event["delta"]), usage };
        break;
      }
      case "message_stop":
        isStopped = true;
        break;
      case "error":
        throw malformed("The stream held an error.");
    }
  }
  if (message === undefined || !isStopped) throw malformed("The stream held no whole message.");
  for (const [index, json] of inputs) blocks.set(index, { ...blocks.get(index), input: parseInput(json) });
  const content = [...blocks].toSorted(([left], [right]) => left - right).map(([, block]) => block);
  return toJson({ ...message, content });
}

function addDelta(
  blocks: Map<number, JsonRecord>,
  inputs: Map<number, string>,
  index: number,
  delta: JsonRecord,
): void {
  const block = blocks.get(index) ?? {};
  const kind = textOf(delta["type"]) ?? "";
  const member = TEXT_OF_DELTA[kind];
  if (member !== undefined) {
    blocks.set(index, { ...block, [member]: (textOf(block[member]) ?? "") + (textOf(delta[member]) ?? "") });
  } else if (kind === "input_json_delta") {
    inputs.set(index, (inputs.get(index) ?? "") + (textOf(delta["partial_json"]) ?? ""));
  } else if (kind === "citations_delta") {
    blocks.set(index, { ...block, citations: [...listOf(block["citations"]), delta["citation"]] });
  }
}

/** What a client of the stream would have read; broken arguments stay the text they are. */
function parseInput(json: string): unknown {
  if (json.trim() === "") return {};
  try {
    return parseJson(json);
  } catch {
    return json;
  }
}

/** The stream's text; throws `upstream_malformed` where the body is not a message. */
export function streamFromMessage(bodyText: string): string {
  const body = parse(bodyText, "the stored answer");
  if (body["type"] !== "message" || !Array.isArray(body["content"])) {
    throw malformed("The stored response is not a message.");
  }
  const { content, stop_reason = null, stop_sequence = null, usage, ...head } = body;
  const { stop_details: details, ...rest } = head;
  const events: string[] = [];
  const send = (type: string, fields: JsonRecord): void => {
    events.push(formatEvent(toJson({ type, ...fields }), type));
  };
  const opening = { ...rest, content: [], stop_reason: null, stop_sequence: null };
  send("message_start", { message: { ...opening, usage: { ...recordOf(usage), output_tokens: 0 } } });
  listOf(content).forEach((entry, index) => {
    const { start, deltas } = explodeBlock(recordOf(entry));
    send("content_block_start", { index, content_block: start });
    for (const delta of deltas) send("content_block_delta", { index, delta });
    send("content_block_stop", { index });
  });
  const stop = { stop_reason, stop_sequence, ...(isPresent(details) && { stop_details: details }) };
  send("message_delta", { delta: stop, usage: recordOf(usage) });
  send("message_stop", {});
  return events.join("");
}

/** The parts of a block that a stream brings in deltas; a block of any other kind comes whole with its start. */
function explodeBlock(block: JsonRecord): {
  readonly start: JsonRecord;
  readonly deltas: readonly JsonRecord[];
} {
  switch (block["type"]) {
    case "text": {
      const { text, citations } = block;
      const cited = listOf(citations).map((citation) => ({ type: "citations_delta", citation }));
      const start = { ...block, text: "", ...(cited.length > 0 && { citations: [] }) };
      return { start, deltas: [...cited, { type: "text_delta", text }] };
    }
    case "thinking": {
      const { thinking, signature } = block;
      const signed = textOf(signature) === undefined ? [] : [{ type: "signature_delta", signature }];
      const start = { ...block, thinking: "", signature: "" };
      return { start, deltas: [{ type: "thinking_delta", thinking }, ...signed] };
    }
    case "tool_use":
    case "server_tool_use": {
      const { input = {} } = block;
      const json = typeof input === "string" ? input : toJson(input);
      return { start: { ...block, input: {} }, deltas: [{ type: "input_json_delta", partial_json: json }] };
    }
    default:
      return { start: block, deltas: [] };
  }
}

function present(record: JsonRecord): JsonRecord {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => isPresent(value)));
}

function parse(text: string, what: string): JsonRecord {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (cause) {
    throw malformed(`${what} is not valid JSON.`, cause);
  }
  if (isRecord(value)) return value;
  throw malformed(`${what} is not a JSON object.`);
}

function malformed(message: string, cause?: unknown): GatewayError {
  return new GatewayError("upstream_malformed", message, { cause });
}
