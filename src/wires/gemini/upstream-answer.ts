/**
 * Gemini's wire as upstreams speak it, read into our words: whole answers, usage, sources. Streams, whose events have the
 * same form, are read by upstream-stream.ts. https://ai.google.dev/api/generate-content (seen 2026-11)
 */

import type {
  ChatChoice,
  ChatResponse,
  Citation,
  TokenLogprob,
  TokenUsage,
  ToolCall,
} from "../../schema/chat.ts";
import { tagSignature } from "../reasoning-provenance.ts";
import { isPresent, isRecord, listOf, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";
import { errorWithGoodStatus, malformed, readIndex, soundnessOf } from "../read-upstream.ts";
import { toJson } from "../../json/exact.ts";
import { readFinish } from "../finish-words.ts";
import { takeGeminiReport } from "../reported/reported.ts";
import type { UpstreamReport } from "../../schema/upstream-report.ts";

/** A whole answer; throws `upstream_malformed`, or `upstream_error` where the body is an error sent as 200. */
export function readAnswer(body: unknown, report?: UpstreamReport): ChatResponse {
  if (!isRecord(body)) throw malformed("a response that is not a JSON object");
  const { candidates } = body;
  if (isPresent(body["error"]) && !Array.isArray(candidates)) throw errorWithGoodStatus();
  if (report !== undefined) takeGeminiReport(body, report);
  const usage = withSearches(readGeminiUsage(body["usageMetadata"]), body);
  return {
    ...readHead(body),
    choices: readChoices(body),
    ...(usage !== undefined && { usage }),
  };
}

export function readHead(body: JsonRecord): { readonly id?: string; readonly model?: string } {
  const id = textOf(body["responseId"]);
  const model = textOf(body["modelVersion"]);
  return { ...(id !== undefined && { id }), ...(model !== undefined && { model }) };
}

function readChoices(body: JsonRecord): readonly ChatChoice[] {
  const candidates = listOf(body["candidates"]);
  if (candidates.length === 0) {
    if (!isBlocked(body)) throw malformed("a response without candidates");
    return [{ index: 0, text: "", toolCalls: [], finishReason: "content_filter" }];
  }
  return candidates.map((candidate, at) => {
    if (!isRecord(candidate)) throw malformed("a candidate that is not an object");
    return readChoice(candidate, at, textOf(body["responseId"]));
  });
}

/** Whether the prompt was refused, so that there are no candidates at all. */
export function isBlocked(body: JsonRecord): boolean {
  return isPresent(recordOf(body["promptFeedback"])["blockReason"]);
}

function readChoice(candidate: JsonRecord, position: number, responseId: string | undefined): ChatChoice {
  const index = readIndex(candidate["index"], position);
  const parts = readParts(candidate);
  const textParts = parts.filter(({ text, thought }) => typeof text === "string" && thought !== true);
  const text = textParts.map((part) => String(part["text"])).join("");
  const thoughts = parts.filter(({ thought }) => thought === true);
  const reasoning = thoughts.map((part) => textOf(part["text"]) ?? "").join("");
  const signature = [...thoughts, ...textParts].map(readSignature).findLast((known) => known !== undefined);
  const calls = parts.filter((part) => isPresent(part["functionCall"]));
  const toolCalls = calls.map((part, at) => readGeminiCall(part, callId(responseId, index, at)));
  const finishReason = readFinish(candidate["finishReason"], { hasCalls: toolCalls.length > 0 });
  const citations = readGeminiCitations(candidate, text);
  const logprobs = readGeminiLogprobs(candidate["logprobsResult"]);
  return {
    index,
    text,
    ...(reasoning !== "" && { reasoning }),
    ...(signature !== undefined && { reasoningSignature: signature }),
    toolCalls,
    ...(citations.length > 0 && { citations }),
    ...(logprobs.length > 0 && { logprobs }),
    ...(finishReason !== undefined && { finishReason }),
  };
}

export function readParts(candidate: JsonRecord): readonly JsonRecord[] {
  return listOf(recordOf(candidate["content"])["parts"]).map(recordOf);
}

/** The part's signature, tagged as Gemini's. */
export function readSignature(part: JsonRecord): string | undefined {
  const signature = textOf(part["thoughtSignature"]);
  return signature === undefined ? undefined : tagSignature(signature);
}

export function readGeminiCall(part: JsonRecord, madeUpId: string): ToolCall {
  const call = recordOf(part["functionCall"]);
  const signature = readSignature(part);
  return {
    id: textOf(call["id"]) ?? madeUpId,
    name: textOf(call["name"]) ?? "",
    argumentsJson: toJson(call["args"] ?? {}),
    ...(signature !== undefined && { signature }),
  };
}

/** Enough of an answer's id to tell its calls from other answers'; the whole stays below OpenAI's 40 characters. */
const ID_CHARS = 24;

/** The id of a call that came without one: clients of other wires need one that is unique in their conversation. */
export function callId(responseId: string | undefined, choice: number, call: number): string {
  const from = (responseId ?? "").replaceAll(/[^A-Za-z0-9_-]/g, "_").slice(0, ID_CHARS);
  return `call_${from}_${choice}_${call}`;
}

/** Tokens as billed; undefined where none are named. This wire counts thoughts and tools' results beside the others. */
export function readGeminiUsage(usage: unknown): TokenUsage | undefined {
  if (!isRecord(usage)) return undefined;
  const countOf = (name: string): number | undefined => {
    const count = usage[name];
    return typeof count === "number" && Number.isSafeInteger(count) && count >= 0 ? count : undefined;
  };
  const input = countOf("promptTokenCount");
  const output = countOf("candidatesTokenCount");
  if (input === undefined && output === undefined) return undefined;
  const cached = countOf("cachedContentTokenCount");
  const thoughts = countOf("thoughtsTokenCount");
  const audio = readAudio(usage["promptTokensDetails"]);
  const cachedAudio = readAudio(usage["cacheTokensDetails"]);
  return {
    inputTokens: (input ?? 0) + (countOf("toolUsePromptTokenCount") ?? 0),
    outputTokens: (output ?? 0) + (thoughts ?? 0),
    ...soundnessOf(usage["promptTokenCount"], usage["candidatesTokenCount"]),
    ...(cached !== undefined && { cacheReadTokens: cached }),
    ...(thoughts !== undefined && { reasoningTokens: thoughts }),
    ...(audio > 0 && { inputAudioTokens: audio }),
    ...(cachedAudio > 0 && { cacheReadAudioTokens: cachedAudio }),
  };
}

/** Searches that Google made, which it bills: https://ai.google.dev/gemini-api/docs/google-search (seen 2026-11). */
export function withSearches(
  usage: TokenUsage | undefined,
  { candidates }: JsonRecord,
): TokenUsage | undefined {
  if (usage === undefined) return undefined;
  const grounding = listOf(candidates).map((candidate) => recordOf(recordOf(candidate)["groundingMetadata"]));
  const webSearches = grounding.flatMap(({ webSearchQueries }) => listOf(webSearchQueries)).length;
  return webSearches > 0 ? { ...usage, webSearches } : usage;
}

/** Tokens of audio in a list by modality. https://ai.google.dev/api/generate-content#ModalityTokenCount (seen 2026-11) */
function readAudio(details: unknown): number {
  const entry = listOf(details)
    .map(recordOf)
    .find(({ modality }) => modality === "AUDIO");
  const count = entry?.["tokenCount"];
  return typeof count === "number" && Number.isSafeInteger(count) ? count : 0;
}

/** What search found (`groundingMetadata`) and what the model recites (`citationMetadata`). */
export function readGeminiCitations(candidate: JsonRecord, text: string): readonly Citation[] {
  const grounding = recordOf(candidate["groundingMetadata"]);
  const chunks = listOf(grounding["groundingChunks"]).map(recordOf);
  const citations: Citation[] = [];
  for (const support of listOf(grounding["groundingSupports"]).map(recordOf)) {
    const { startIndex, endIndex } = recordOf(support["segment"]);
    const range = readRange(startIndex, endIndex, text);
    for (const at of listOf(support["groundingChunkIndices"])) {
      citations.push({ ...readSource(typeof at === "number" ? chunks[at] : undefined), ...range });
    }
  }
  if (citations.length === 0) citations.push(...chunks.map(readSource));
  const recited = recordOf(candidate["citationMetadata"]);
  for (const source of listOf(recited["citationSources"] ?? recited["citations"]).map(recordOf)) {
    citations.push({ ...readUri(source), ...readRange(source["startIndex"], source["endIndex"], text) });
  }
  return citations;
}

function readSource(chunk: JsonRecord = {}): Citation {
  const source = recordOf(chunk["web"] ?? chunk["retrievedContext"] ?? chunk["maps"]);
  const citedText = textOf(source["text"]);
  return { ...readUri(source), ...(citedText !== undefined && { citedText }) };
}

function readUri(source: JsonRecord): Citation {
  const url = textOf(source["uri"]);
  const title = textOf(source["title"]);
  return { ...(url !== undefined && { url }), ...(title !== undefined && { title }) };
}

/** Gemini counts UTF-8 bytes; a start of 0 is left out, as protobuf does with zeros. */
function readRange(start: unknown, end: unknown, text: string): Citation {
  if (typeof end !== "number") return {};
  const bytes = new TextEncoder().encode(text);
  const unitsBefore = (offset: number): number => new TextDecoder().decode(bytes.subarray(0, offset)).length;
  return { startIndex: unitsBefore(typeof start === "number" ? start : 0), endIndex: unitsBefore(end) };
}

export function readGeminiLogprobs(result: unknown): readonly TokenLogprob[] {
  const tops = listOf(recordOf(result)["topCandidates"]);
  return listOf(recordOf(result)["chosenCandidates"]).map((chosen, at) => ({
    ...readTokenLogprob(chosen),
    top: listOf(recordOf(tops[at])["candidates"]).map(readTokenLogprob),
  }));
}

function readTokenLogprob(candidate: unknown): { readonly token: string; readonly logprob: number } {
  const { token, logProbability } = recordOf(candidate);
  return { token: textOf(token) ?? "", logprob: typeof logProbability === "number" ? logProbability : 0 };
}
