/**
 * Gemini's stream, event by event, read into our chunks. Each event is an answer of its own with what is new in it; calls
 * come whole. https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent (seen 2026-11)
 */

import type { ChatChunk } from "../../schema/chat.ts";
import { isPresent, isRecord, listOf, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";
import {
  callId,
  isBlocked,
  readGeminiCall,
  readGeminiCitations,
  readHead,
  readGeminiLogprobs,
  readParts,
  readSignature,
  readGeminiUsage,
  withSearches,
} from "./upstream-answer.ts";
import type { Decoder } from "../upstream-wire.ts";
import { malformed, parseEvent, readIndex } from "../read-upstream.ts";
import { finishChunks } from "../finish-words.ts";
import { takeGeminiReport } from "../reported/reported.ts";
import type { UpstreamReport } from "../../schema/upstream-report.ts";

/** A status of google.rpc.Code, as spans may carry it. */
const ERROR_STATUS = /^[A-Z_]{1,64}$/;

/** What the decoder keeps of a candidate. */
interface Seen {
  calls: number;
  text: string;
  citations: number;
}

/** A decoder for one stream. Throws `upstream_malformed` on an event that is not JSON object or whose candidates are none. */
export function createGeminiDecoder(report?: UpstreamReport): Decoder {
  let isStarted = false;
  const seen = new Map<number, Seen>();

  function seenOf(index: number): Seen {
    const known = seen.get(index);
    if (known !== undefined) return known;
    const fresh: Seen = { calls: 0, text: "", citations: 0 };
    seen.set(index, fresh);
    return fresh;
  }

  function readCandidate(
    candidate: JsonRecord,
    index: number,
    id: string | undefined,
    chunks: ChatChunk[],
  ): void {
    const known = seenOf(index);
    for (const part of readParts(candidate)) readPart(part, index, id, known, chunks);
    const logprobs = readGeminiLogprobs(candidate["logprobsResult"]);
    if (logprobs.length > 0) chunks.push({ type: "logprobs", index, logprobs });
    // Sources are repeated as they grow.
    const citations = readGeminiCitations(candidate, known.text);
    for (const citation of citations.slice(known.citations))
      chunks.push({ type: "citation", index, citation });
    known.citations = Math.max(known.citations, citations.length);
    chunks.push(...finishChunks(candidate["finishReason"], index, { hasCalls: known.calls > 0 }));
  }

  return ({ data }) => {
    if (data === "") return [];
    const body = parseEvent(data);
    if (isPresent(body["error"])) return [{ type: "error", errorType: readErrorClass(body["error"]) }];
    const chunks: ChatChunk[] = [];
    const head = readHead(body);
    if (!isStarted && Object.keys(head).length > 0) {
      isStarted = true;
      chunks.push({ type: "start", ...head });
    }
    const { candidates } = body;
    if (isPresent(candidates) && !Array.isArray(candidates)) {
      throw malformed("a stream event whose candidates are not a list");
    }
    listOf(candidates).forEach((candidate, at) => {
      if (!isRecord(candidate)) throw malformed("a stream event with a candidate that is not an object");
      readCandidate(candidate, readIndex(candidate["index"], at), head.id, chunks);
    });
    if (listOf(candidates).length === 0 && isBlocked(body)) {
      chunks.push({ type: "finish", index: 0, reason: "content_filter" });
    }
    const usage = withSearches(readGeminiUsage(body["usageMetadata"]), body);
    if (usage !== undefined) {
      chunks.push({ type: "usage", usage });
      if (report !== undefined) takeGeminiReport(body, report);
    }
    return chunks;
  };
}

function readPart(
  part: JsonRecord,
  index: number,
  id: string | undefined,
  seen: Seen,
  chunks: ChatChunk[],
): void {
  if (isPresent(part["functionCall"])) {
    const call = seen.calls;
    seen.calls += 1;
    const { argumentsJson, ...opening } = readGeminiCall(part, callId(id, index, call));
    chunks.push({ type: "tool_call", index, call, ...opening, argumentsFragment: argumentsJson });
    return;
  }
  const text = textOf(part["text"]);
  if (text !== undefined) {
    if (part["thought"] === true) chunks.push({ type: "reasoning", index, text });
    else {
      seen.text += text;
      chunks.push({ type: "text", index, text });
    }
  }
  const signature = readSignature(part);
  if (signature !== undefined) chunks.push({ type: "reasoning_signature", index, signature });
}

function readErrorClass(error: unknown): string {
  const { status, code } = recordOf(error);
  const word = textOf(status);
  if (word !== undefined && ERROR_STATUS.test(word)) return word;
  return typeof code === "number" ? String(code) : "error";
}
