/**
 * Cohere's chat wire, version 2, read into our words: whole answers, usage, reasons and citations. Streams are read by
 * upstream-stream.ts. https://docs.cohere.com/reference/chat (seen 2026-11)
 */

import type { ChatResponse, Citation, TokenLogprob, TokenUsage } from "../../schema/chat.ts";
import { isRecord, listOf, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";
import { isCount, malformed, readFunction, soundnessOf } from "../read-upstream.ts";
import { readFinish } from "../finish-words.ts";

/** A whole answer; throws `upstream_malformed`, or `upstream_error` where the model failed with a 2xx status. */
export function readCohereChat(body: unknown): ChatResponse {
  if (!isRecord(body)) throw malformed("a response that is not a JSON object");
  const { message, finish_reason: reason } = body;
  if (!isRecord(message)) throw malformed("a response without a message");
  const finishReason = readFinish(reason);
  const content = listOf(message["content"]).map(recordOf);
  const text = content.map((item) => textOf(item["text"]) ?? "").join("");
  const thoughts = content.map(({ thinking }) => textOf(thinking) ?? "").join("");
  const reasoning = thoughts + (textOf(message["tool_plan"]) ?? "");
  const citations = listOf(message["citations"]).flatMap((citation) =>
    readCohereCitation(recordOf(citation)),
  );
  const logprobs = listOf(body["logprobs"]).flatMap((item) => readLogprob(item));
  const id = textOf(body["id"]);
  const usage = readCohereUsage(body["usage"]);
  return {
    ...(id !== undefined && { id }),
    choices: [
      {
        index: 0,
        text,
        ...(reasoning !== "" && { reasoning }),
        ...(citations.length > 0 && { citations }),
        ...(logprobs.length > 0 && { logprobs }),
        toolCalls: listOf(message["tool_calls"]).map((call) => {
          const { name = "", argumentsJson } = readFunction(recordOf(call));
          return { id: textOf(recordOf(call)["id"]) ?? "", name, argumentsJson };
        }),
        ...(finishReason !== undefined && { finishReason }),
      },
    ],
    ...(usage !== undefined && { usage }),
  };
}

/** Which source a stretch of the text is from: a citation for each, and none for reasoning and plans. */
export function readCohereCitation(citation: JsonRecord): readonly Citation[] {
  const { start, end, type, sources } = citation;
  if (type !== undefined && type !== null && type !== "TEXT_CONTENT") return [];
  const span = {
    ...(isCount(start) && { startIndex: start }),
    ...(isCount(end) && { endIndex: end }),
  };
  return listOf(sources).map((entry) => {
    const source = recordOf(entry);
    const said = recordOf(source["document"] ?? source["tool_output"]);
    const url = textOf(said["url"]);
    const title = textOf(said["title"]) ?? textOf(source["id"]);
    const citedText = textOf(said["snippet"]) ?? textOf(said["text"]);
    return {
      ...(url !== undefined && { url }),
      ...(title !== undefined && { title }),
      ...(citedText !== undefined && { citedText }),
      ...span,
    };
  });
}

/** Several tokens may come as one text: its probability is their product. */
export function readLogprob(item: unknown): readonly TokenLogprob[] {
  const { text, logprobs } = recordOf(item);
  const each = listOf(logprobs).filter((value) => typeof value === "number");
  if (typeof text !== "string" || each.length === 0) return [];
  return [{ token: text, logprob: each.reduce((sum, value) => sum + value, 0), top: [] }];
}

/** Tokens as billed, which leave out what Cohere puts around a prompt; as counted, where it bills none. */
export function readCohereUsage(usage: unknown): TokenUsage | undefined {
  if (!isRecord(usage)) return undefined;
  const billed = recordOf(usage["billed_units"]);
  const counted = recordOf(usage["tokens"]);
  const input = billed["input_tokens"] ?? counted["input_tokens"];
  const output = billed["output_tokens"] ?? counted["output_tokens"];
  if (!isCount(input) && !isCount(output)) return undefined;
  const cached = usage["cached_tokens"];
  return {
    inputTokens: isCount(input) ? input : 0,
    outputTokens: isCount(output) ? output : 0,
    ...soundnessOf(input, output),
    ...(isCount(cached) && { cacheReadTokens: cached }),
  };
}
