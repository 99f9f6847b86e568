/**
 * The Messages wire as upstreams speak it, read into our words: whole answers, usage and reasons. Streams are read by
 * upstream-stream.ts. https://platform.claude.com/docs/en/api/messages (seen 2026-11)
 */

import type { ChatChoice, ChatResponse, Citation, TokenUsage, ToolCall } from "../../schema/chat.ts";
import { isRecord, listOf, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";
import { withTier } from "../service-tier.ts";
import { errorWithGoodStatus, isCount, malformed, soundnessOf } from "../read-upstream.ts";
import { toJson } from "../../json/exact.ts";
import { readFinish } from "../finish-words.ts";
import { takeAnthropicReport } from "../reported/reported.ts";
import type { UpstreamReport } from "../../schema/upstream-report.ts";

/** A whole message; throws `upstream_malformed`, or `upstream_error` where the body is an error sent as 200. */
export function readMessage(body: unknown, report?: UpstreamReport): ChatResponse {
  if (!isRecord(body)) throw malformed("a response that is not a JSON object");
  if (body["type"] === "error") throw errorWithGoodStatus();
  if (!Array.isArray(body["content"])) throw malformed("a response without content");
  if (report !== undefined) takeAnthropicReport(recordOf(body["usage"]), report);
  const id = textOf(body["id"]);
  const model = textOf(body["model"]);
  const usage = readAnthropicUsage(body["usage"]);
  return {
    ...(id !== undefined && { id }),
    ...(model !== undefined && { model }),
    choices: [readChoice(body)],
    ...(usage !== undefined && { usage }),
  };
}

function readChoice(body: JsonRecord): ChatChoice {
  const blocks = listOf(body["content"]).map(recordOf);
  const ofType = (type: string): readonly JsonRecord[] => blocks.filter((block) => block["type"] === type);
  const thoughts = ofType("thinking");
  const encrypted = ofType("redacted_thinking").map(({ data }) => textOf(data) ?? "");
  const reasoning = thoughts.map(({ thinking }) => textOf(thinking) ?? "").join("");
  // Each signature is of one block alone: joined blocks have none, so that none is sent back that doesn't fit.
  const signature = thoughts.length === 1 ? textOf(thoughts[0]?.["signature"]) : undefined;
  const { text, citations } = readTexts(ofType("text"));
  const finishReason = readFinish(body["stop_reason"]);
  const stopSequence = textOf(body["stop_sequence"]);
  const refusal = readRefusal(body);
  return {
    index: 0,
    text,
    ...(reasoning !== "" && { reasoning }),
    ...(signature !== undefined && { reasoningSignature: signature }),
    ...(encrypted.length > 0 && { encryptedReasoning: encrypted }),
    ...(refusal !== undefined && { refusal }),
    ...(citations.length > 0 && { citations }),
    toolCalls: ofType("tool_use").map(readToolUse),
    ...(finishReason !== undefined && { finishReason }),
    ...(stopSequence !== undefined && { stopSequence }),
  };
}

function readTexts(blocks: readonly JsonRecord[]): { text: string; citations: readonly Citation[] } {
  let text = "";
  const citations: Citation[] = [];
  for (const block of blocks) {
    const startIndex = text.length;
    text += textOf(block["text"]) ?? "";
    for (const citation of listOf(block["citations"])) {
      citations.push(readAnthropicCitation(recordOf(citation), startIndex, text.length));
    }
  }
  return { text, citations };
}

/** A citation stands behind the whole text of its block: from `startIndex` to `endIndex` of the answer's text. */
export function readAnthropicCitation(citation: JsonRecord, startIndex: number, endIndex: number): Citation {
  const source = textOf(citation["source"]);
  const url = textOf(citation["url"]) ?? (source !== undefined && URL.canParse(source) ? source : undefined);
  const title = textOf(citation["title"]) ?? textOf(citation["document_title"]);
  const citedText = textOf(citation["cited_text"]);
  return {
    ...(url !== undefined && { url }),
    ...(title !== undefined && { title }),
    ...(citedText !== undefined && { citedText }),
    startIndex,
    endIndex,
  };
}

function readToolUse(block: JsonRecord): ToolCall {
  const { input = {} } = block;
  return {
    id: textOf(block["id"]) ?? "",
    name: textOf(block["name"]) ?? "",
    argumentsJson: typeof input === "string" ? input : toJson(input),
  };
}

/** The words of a classifier that stopped the answer, where it gave any. */
export function readRefusal({ stop_reason, stop_details }: JsonRecord): string | undefined {
  return stop_reason === "refusal" ? textOf(recordOf(stop_details)["explanation"]) : undefined;
}

/** Tokens as billed; undefined where neither input nor output is named. This wire's input leaves cached tokens out. */
export function readAnthropicUsage(usage: unknown): TokenUsage | undefined {
  if (!isRecord(usage)) return undefined;
  const { input_tokens: input, output_tokens: output } = usage;
  const { cache_creation_input_tokens: written, cache_read_input_tokens: read } = usage;
  if (!isCount(input) && !isCount(output)) return undefined;
  const reasoning = recordOf(usage["output_tokens_details"])["thinking_tokens"];
  const { ephemeral_1h_input_tokens: writtenForHour } = recordOf(usage["cache_creation"]);
  const { web_search_requests: searches } = recordOf(usage["server_tool_use"]);
  const countOf = (value: unknown): number => (isCount(value) ? value : 0);
  const counts = {
    inputTokens: countOf(input) + countOf(written) + countOf(read),
    outputTokens: countOf(output),
    ...soundnessOf(input, output),
    ...(isCount(read) && { cacheReadTokens: read }),
    ...(isCount(written) && { cacheWriteTokens: written }),
    // Zero in almost every answer.
    ...(isCount(writtenForHour) && writtenForHour > 0 && { cacheWriteHourTokens: writtenForHour }),
    ...(isCount(searches) && searches > 0 && { webSearches: searches }),
    ...(isCount(reasoning) && { reasoningTokens: reasoning }),
  };
  const { speed, service_tier: tier, inference_geo: region } = usage;
  return withTier(region === "us" ? { ...counts, region } : counts, speed === "fast" ? speed : tier);
}
