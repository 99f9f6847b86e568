/**
 * Bedrock's Converse wire, read into our words: whole answers, usage and reasons. Streams are read by upstream-stream.ts.
 * https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (seen 2026-11)
 */

import type { ChatChoice, ChatResponse, Citation, TokenUsage } from "../../schema/chat.ts";
import { isRecord, listOf, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";
import { isCount, malformed, soundnessOf } from "../read-upstream.ts";
import { toJson } from "../../json/exact.ts";
import { readFinish } from "../finish-words.ts";
import { takeConverseReport } from "../reported/reported.ts";
import type { UpstreamReport } from "../../schema/upstream-report.ts";

/** A whole answer; throws `upstream_malformed`. The wire names neither an id nor the model. */
export function readConverse(body: unknown, report?: UpstreamReport): ChatResponse {
  if (!isRecord(body)) throw malformed("a response that is not a JSON object");
  const message = recordOf(recordOf(body["output"])["message"]);
  if (!Array.isArray(message["content"])) throw malformed("a response without content");
  if (report !== undefined) takeConverseReport(body, report);
  const usage = readConverseUsage(body["usage"]);
  return {
    choices: [readChoice(listOf(message["content"]).map(recordOf), body["stopReason"])],
    ...(usage !== undefined && { usage }),
  };
}

function readChoice(blocks: readonly JsonRecord[], stopReason: unknown): ChatChoice {
  let text = "";
  const citations: Citation[] = [];
  for (const block of blocks) {
    const startIndex = text.length;
    const cited = recordOf(block["citationsContent"]);
    const pieces = listOf(cited["content"]).map((piece) => textOf(recordOf(piece)["text"]) ?? "");
    text += (textOf(block["text"]) ?? "") + pieces.join("");
    for (const citation of listOf(cited["citations"])) {
      citations.push(readConverseCitation(recordOf(citation), startIndex, text.length));
    }
  }
  const thoughts = blocks.map((block) => recordOf(block["reasoningContent"]));
  const spoken = thoughts
    .map((thought) => recordOf(thought["reasoningText"]))
    .filter((thought) => "text" in thought);
  const reasoning = spoken.map((thought) => textOf(thought["text"]) ?? "").join("");
  // Each signature is of one block alone.
  const signature = spoken.length === 1 ? textOf(spoken[0]?.["signature"]) : undefined;
  const encrypted = thoughts.flatMap(({ redactedContent }) => textOf(redactedContent) ?? []);
  const finishReason = readFinish(stopReason);
  return {
    index: 0,
    text,
    ...(reasoning !== "" && { reasoning }),
    ...(signature !== undefined && { reasoningSignature: signature }),
    ...(encrypted.length > 0 && { encryptedReasoning: encrypted }),
    ...(citations.length > 0 && { citations }),
    toolCalls: blocks.flatMap((block) => (isRecord(block["toolUse"]) ? [readToolUse(block["toolUse"])] : [])),
    ...(finishReason !== undefined && { finishReason }),
  };
}

function readToolUse({ toolUseId, name, input = {} }: JsonRecord) {
  return { id: textOf(toolUseId) ?? "", name: textOf(name) ?? "", argumentsJson: toJson(input) };
}

/** A citation stands behind the whole text of its block. */
export function readConverseCitation(citation: JsonRecord, startIndex: number, endIndex: number): Citation {
  const url = textOf(recordOf(recordOf(citation["location"])["web"])["url"]);
  const title = textOf(citation["title"]);
  const citedText = listOf(citation["sourceContent"])
    .map((piece) => textOf(recordOf(piece)["text"]) ?? "")
    .join("");
  return {
    ...(url !== undefined && { url }),
    ...(title !== undefined && { title }),
    ...(citedText !== "" && { citedText }),
    startIndex,
    endIndex,
  };
}

/** Tokens as billed; this wire's input leaves cached tokens out. Undefined where neither input nor output is named. */
export function readConverseUsage(usage: unknown): TokenUsage | undefined {
  if (!isRecord(usage)) return undefined;
  const { inputTokens: input, outputTokens: output } = usage;
  const { cacheReadInputTokens: read, cacheWriteInputTokens: written } = usage;
  if (!isCount(input) && !isCount(output)) return undefined;
  const countOf = (value: unknown): number => (isCount(value) ? value : 0);
  return {
    inputTokens: countOf(input) + countOf(read) + countOf(written),
    outputTokens: countOf(output),
    ...soundnessOf(input, output),
    ...(isCount(read) && { cacheReadTokens: read }),
    ...(isCount(written) && { cacheWriteTokens: written }),
  };
}
