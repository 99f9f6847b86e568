/**
 * Cohere's chat stream, version 2, event by event, read into our chunks.
 * https://docs.cohere.com/docs/streaming (seen 2026-11)
 */

import type { ChatChunk } from "../../schema/chat.ts";
import { isPresent, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";
import { readCohereCitation, readLogprob, readCohereUsage } from "./upstream-answer.ts";
import type { Decoder } from "../upstream-wire.ts";
import { parseEvent, readFunction } from "../read-upstream.ts";
import { finishChunks } from "../finish-words.ts";

const END_MARK = "[DONE]";
/** The wire has one choice. */
const INDEX = 0;

/** A decoder for one stream. Throws `upstream_malformed` on an event that is not JSON object. */
export function createCohereDecoder(): Decoder {
  /** Calls by the wire's index, which counts other things as well: their positions, and whether arguments came. */
  const calls = new Map<unknown, { readonly call: number; hasArguments: boolean }>();

  function startToolCall(event: JsonRecord, message: JsonRecord): readonly ChatChunk[] {
    const opening = recordOf(message["tool_calls"]);
    const { name, argumentsJson } = readFunction(opening);
    const id = textOf(opening["id"]);
    const call = calls.size;
    calls.set(event["index"], { call, hasArguments: argumentsJson !== "" });
    return [
      {
        type: "tool_call",
        index: INDEX,
        call,
        ...(id !== undefined && { id }),
        ...(name !== undefined && { name }),
        argumentsFragment: argumentsJson,
      },
    ];
  }

  function takeArguments(event: JsonRecord, fragment: string): readonly ChatChunk[] {
    const known = calls.get(event["index"]);
    if (known === undefined || fragment === "") return [];
    known.hasArguments = true;
    return [{ type: "tool_call", index: INDEX, call: known.call, argumentsFragment: fragment }];
  }

  return ({ data }) => {
    if (data === "") return [];
    if (data.startsWith(END_MARK)) return [{ type: "done" }];
    const event = parseEvent(data);
    const delta = recordOf(event["delta"]);
    const message = recordOf(delta["message"]);
    switch (event["type"]) {
      case "message-start": {
        const id = textOf(event["id"]);
        return [{ type: "start", ...(id !== undefined && { id }) }];
      }
      case "content-start":
      case "content-delta":
        return readContent(recordOf(message["content"]), event["logprobs"]);
      case "tool-plan-delta":
        return readReasoning(message["tool_plan"]);
      case "tool-call-start":
        return startToolCall(event, message);
      case "tool-call-delta":
        return takeArguments(event, readFunction(recordOf(message["tool_calls"])).argumentsJson);
      case "tool-call-end": {
        // A call without arguments is the empty object: clients parse what they are given.
        const isEmpty = calls.get(event["index"])?.hasArguments === false;
        return isEmpty ? takeArguments(event, "{}") : [];
      }
      case "citation-start":
        return readCohereCitation(recordOf(message["citations"])).map((citation) => ({
          type: "citation",
          index: INDEX,
          citation,
        }));
      case "message-end":
        return readEnd(delta);
      default:
        return [];
    }
  };
}

function readContent({ text, thinking }: JsonRecord, logprobs: unknown): readonly ChatChunk[] {
  const said = textOf(text);
  const tokens = isPresent(logprobs) ? readLogprob(logprobs) : [];
  return [
    ...readReasoning(thinking),
    ...(said === undefined ? [] : [{ type: "text", index: INDEX, text: said } as const]),
    ...(tokens.length === 0 ? [] : [{ type: "logprobs", index: INDEX, logprobs: tokens } as const]),
  ];
}

function readReasoning(thought: unknown): readonly ChatChunk[] {
  const text = textOf(thought);
  return text === undefined ? [] : [{ type: "reasoning", index: INDEX, text }];
}

function readEnd(delta: JsonRecord): readonly ChatChunk[] {
  const word = isPresent(delta["error"]) ? "error" : delta["finish_reason"];
  const usage = readCohereUsage(delta["usage"]);
  return [
    ...finishChunks(word, INDEX),
    ...(usage === undefined ? [] : [{ type: "usage", usage } as const]),
    { type: "done" },
  ];
}
