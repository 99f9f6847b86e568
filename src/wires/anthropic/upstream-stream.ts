/**
 * The Messages stream, event by event, read into our chunks: beside the forwarded bytes for a client of the same
 * wire, in between for any other. https://platform.claude.com/docs/en/build-with-claude/streaming (seen 2026-11)
 */

import type { ChatChunk } from "../../schema/chat.ts";
import { isPresent, isRecord, listOf, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";
import { readAnthropicCitation, readRefusal, readAnthropicUsage } from "./upstream-answer.ts";
import type { Decoder } from "../upstream-wire.ts";
import { largerCounts, parseEvent } from "../read-upstream.ts";
import { toJson } from "../../json/exact.ts";
import { finishChunks } from "../finish-words.ts";
import { takeAnthropicReport } from "../reported/reported.ts";
import type { UpstreamReport } from "../../schema/upstream-report.ts";

/** An error's class as spans may carry it: a short word, so that a message in its place is never passed on. */
const ERROR_CLASS = /^[\w.-]{1,64}$/;
/** The wire has one choice. */
const INDEX = 0;

/** What is remembered of the open block. */
interface Block {
  readonly type: string;
  /** Of a tool call: its position among the calls. */
  readonly call: number;
  hasArguments: boolean;
  /** Where its text begins in the answer's. */
  readonly textStart: number;
  readonly citations: JsonRecord[];
}

/** A decoder for one stream. Throws `upstream_malformed` on an event that is not JSON object. */
export function createAnthropicDecoder(report?: UpstreamReport): Decoder {
  let usage: JsonRecord = {};
  let callCount = 0;
  let textLength = 0;
  const blocks = new Map<number, Block>();

  function readStart(event: JsonRecord): readonly ChatChunk[] {
    const message = recordOf(event["message"]);
    const id = textOf(message["id"]);
    const model = textOf(message["model"]);
    return [
      { type: "start", ...(id !== undefined && { id }), ...(model !== undefined && { model }) },
      ...takeUsage(message["usage"]),
    ];
  }

  /** Later counts are of the whole message so far; what they leave out, or say a smaller number of, stays as it was. */
  function takeUsage(said: unknown): readonly ChatChunk[] {
    if (report !== undefined) takeAnthropicReport(recordOf(said), report);
    const counts = Object.entries(recordOf(said)).filter(([, value]) => isPresent(value));
    usage = largerCounts(usage, Object.fromEntries(counts));
    const read = counts.length === 0 ? undefined : readAnthropicUsage(usage);
    return read === undefined ? [] : [{ type: "usage", usage: read }];
  }

  function openBlock(event: JsonRecord): readonly ChatChunk[] {
    const content = recordOf(event["content_block"]);
    const type = textOf(content["type"]) ?? "";
    const call = type === "tool_use" ? callCount++ : -1;
    const citations = listOf(content["citations"]).map(recordOf);
    const block: Block = { type, call, hasArguments: false, textStart: textLength, citations };
    blocks.set(indexOf(event), block);
    switch (type) {
      case "text":
        return takeText(content["text"]);
      case "thinking":
        return takeReasoning(content);
      case "redacted_thinking":
        return [{ type: "encrypted_reasoning", index: INDEX, data: textOf(content["data"]) ?? "" }];
      case "tool_use": {
        const { input } = content;
        const isGiven = isRecord(input) && Object.keys(input).length > 0;
        block.hasArguments = isGiven;
        const id = textOf(content["id"]);
        const name = textOf(content["name"]);
        return [
          {
            type: "tool_call",
            index: INDEX,
            call,
            ...(id !== undefined && { id }),
            ...(name !== undefined && { name }),
            argumentsFragment: isGiven ? toJson(input) : "",
          },
        ];
      }
      default:
        return [];
    }
  }

  function takeText(value: unknown): readonly ChatChunk[] {
    const text = textOf(value);
    if (text === undefined) return [];
    textLength += text.length;
    return [{ type: "text", index: INDEX, text }];
  }

  function takeReasoning({ thinking, signature }: JsonRecord): readonly ChatChunk[] {
    const text = textOf(thinking);
    const signed = textOf(signature);
    return [
      ...(text === undefined ? [] : [{ type: "reasoning", index: INDEX, text } as const]),
      ...(signed === undefined
        ? []
        : [{ type: "reasoning_signature", index: INDEX, signature: signed } as const]),
    ];
  }

  function takeDelta(event: JsonRecord): readonly ChatChunk[] {
    const delta = recordOf(event["delta"]);
    const block = blocks.get(indexOf(event));
    switch (delta["type"]) {
      case "text_delta":
        return takeText(delta["text"]);
      case "thinking_delta":
      case "signature_delta":
        return takeReasoning(delta);
      case "citations_delta":
        block?.citations.push(recordOf(delta["citation"]));
        return [];
      case "input_json_delta": {
        const json = textOf(delta["partial_json"]);
        if (block?.type !== "tool_use" || json === undefined) return [];
        block.hasArguments = true;
        return [{ type: "tool_call", index: INDEX, call: block.call, argumentsFragment: json }];
      }
      default:
        return [];
    }
  }

  function closeBlock(event: JsonRecord): readonly ChatChunk[] {
    const at = indexOf(event);
    const block = blocks.get(at);
    blocks.delete(at);
    if (block === undefined) return [];
    // A call without arguments is the empty object: other wires' clients parse what they are given.
    if (block.type === "tool_use" && !block.hasArguments) {
      return [{ type: "tool_call", index: INDEX, call: block.call, argumentsFragment: "{}" }];
    }
    // Only now is it known how far the cited text goes.
    return block.citations.map((citation) => ({
      type: "citation",
      index: INDEX,
      citation: readAnthropicCitation(citation, block.textStart, textLength),
    }));
  }

  function readEnd(event: JsonRecord): readonly ChatChunk[] {
    const delta = recordOf(event["delta"]);
    const refusal = readRefusal(delta);
    return [
      ...(refusal === undefined ? [] : [{ type: "refusal", index: INDEX, text: refusal } as const]),
      ...finishChunks(delta["stop_reason"], INDEX, { stopSequence: textOf(delta["stop_sequence"]) }),
      ...takeUsage(event["usage"]),
    ];
  }

  return ({ event: name, data }) => {
    if (name === "ping" || data === "") return [];
    const event = parseEvent(data);
    switch (event["type"]) {
      case "message_start":
        return readStart(event);
      case "content_block_start":
        return openBlock(event);
      case "content_block_delta":
        return takeDelta(event);
      case "content_block_stop":
        return closeBlock(event);
      case "message_delta":
        return readEnd(event);
      case "message_stop":
        return [{ type: "done" }];
      case "error":
        return [{ type: "error", errorType: readErrorClass(event["error"]) }];
      default:
        // The API's own promise: new kinds of events may come, and are to be passed over.
        return name === "error" ? [{ type: "error", errorType: readErrorClass(event["error"]) }] : [];
    }
  };
}

function indexOf(event: JsonRecord): number {
  const { index } = event;
  return typeof index === "number" ? index : 0;
}

function readErrorClass(error: unknown): string {
  const word = textOf(recordOf(error)["type"]);
  return word !== undefined && ERROR_CLASS.test(word) ? word : "error";
}
