/**
 * Bedrock's ConverseStream, event by event, read into our chunks. The framing is src/bytes/aws-event-stream.ts.
 * https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html (seen 2026-11)
 */

import type { ChatChunk } from "../../schema/chat.ts";
import { FAULT_PREFIX } from "../../bytes/aws-event-stream.ts";
import { isRecord, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";
import { readConverseCitation, readConverseUsage } from "./upstream-answer.ts";
import type { Decoder } from "../upstream-wire.ts";
import { parseEvent } from "../read-upstream.ts";
import { finishChunks } from "../finish-words.ts";
import { takeConverseReport } from "../reported/reported.ts";
import type { UpstreamReport } from "../../schema/upstream-report.ts";

/** The wire has one choice. */
const INDEX = 0;
/** A fault's name as spans may carry it. */
const ERROR_CLASS = /^[\w.-]{1,64}$/;

/** What is remembered of the open block. */
interface Block {
  /** Of a tool call: its position among the calls. */
  readonly call: number | undefined;
  hasArguments: boolean;
  readonly textStart: number;
  readonly citations: JsonRecord[];
}

/** A decoder for one stream. Throws `upstream_malformed` on an event that is not JSON object. */
export function createConverseDecoder(report?: UpstreamReport): Decoder {
  let callCount = 0;
  let textLength = 0;
  const blocks = new Map<unknown, Block>();

  function blockOf(event: JsonRecord, call?: number): Block {
    const at = event["contentBlockIndex"];
    const known = blocks.get(at);
    if (known !== undefined) return known;
    const block: Block = { call, hasArguments: false, textStart: textLength, citations: [] };
    blocks.set(at, block);
    return block;
  }

  function openBlock(event: JsonRecord): readonly ChatChunk[] {
    const { toolUse } = recordOf(event["start"]);
    if (!isRecord(toolUse)) return [];
    const call = callCount++;
    blockOf(event, call);
    const id = textOf(toolUse["toolUseId"]);
    const name = textOf(toolUse["name"]);
    return [
      {
        type: "tool_call",
        index: INDEX,
        call,
        ...(id !== undefined && { id }),
        ...(name !== undefined && { name }),
        argumentsFragment: "",
      },
    ];
  }

  function takeDelta(event: JsonRecord): readonly ChatChunk[] {
    const delta = recordOf(event["delta"]);
    // Blocks of text have no start event of their own.
    const block = blockOf(event);
    const text = textOf(delta["text"]);
    if (text !== undefined) {
      textLength += text.length;
      return [{ type: "text", index: INDEX, text }];
    }
    if (isRecord(delta["reasoningContent"])) return takeReasoning(delta["reasoningContent"]);
    if (isRecord(delta["citation"])) {
      block.citations.push(delta["citation"]);
      return [];
    }
    const json = textOf(recordOf(delta["toolUse"])["input"]);
    if (json === undefined || block.call === undefined) return [];
    block.hasArguments = true;
    return [{ type: "tool_call", index: INDEX, call: block.call, argumentsFragment: json }];
  }

  function closeBlock(event: JsonRecord): readonly ChatChunk[] {
    const at = event["contentBlockIndex"];
    const block = blocks.get(at);
    blocks.delete(at);
    if (block === undefined) return [];
    // A call without arguments is the empty object: clients parse what they are given.
    if (block.call !== undefined && !block.hasArguments) {
      return [{ type: "tool_call", index: INDEX, call: block.call, argumentsFragment: "{}" }];
    }
    return block.citations.map((citation) => ({
      type: "citation",
      index: INDEX,
      citation: readConverseCitation(citation, block.textStart, textLength),
    }));
  }

  return ({ event: name, data }) => {
    if (name.startsWith(FAULT_PREFIX)) {
      const fault = name.slice(FAULT_PREFIX.length);
      return [{ type: "error", errorType: ERROR_CLASS.test(fault) ? fault : "error" }];
    }
    const event = parseEvent(data);
    switch (name) {
      case "messageStart":
        return [{ type: "start" }];
      case "contentBlockStart":
        return openBlock(event);
      case "contentBlockDelta":
        return takeDelta(event);
      case "contentBlockStop":
        return closeBlock(event);
      case "messageStop":
        return finishChunks(event["stopReason"], INDEX);
      case "metadata": {
        if (report !== undefined) takeConverseReport(event, report);
        // The last event: nothing comes behind the usage.
        const usage = readConverseUsage(event["usage"]);
        return usage === undefined ? [{ type: "done" }] : [{ type: "usage", usage }, { type: "done" }];
      }
      default:
        return [];
    }
  };
}

function takeReasoning(thought: JsonRecord): readonly ChatChunk[] {
  const text = textOf(thought["text"]);
  if (text !== undefined) return [{ type: "reasoning", index: INDEX, text }];
  const signature = textOf(thought["signature"]);
  if (signature !== undefined) return [{ type: "reasoning_signature", index: INDEX, signature }];
  const data = textOf(thought["redactedContent"]);
  return data === undefined ? [] : [{ type: "encrypted_reasoning", index: INDEX, data }];
}
