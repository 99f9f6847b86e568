/**
 * Answers of other wires in Gemini's form: the pieces of a `GenerateContentResponse`, and a whole one. A streamed answer is
 * made of the same pieces by client-encoder.ts. https://ai.google.dev/api/generate-content (seen 2026-11)
 */

import type {
  ChatChoice,
  ChatResponse,
  Citation,
  FinishReason,
  TokenLogprob,
  TokenUsage,
  ToolCall,
} from "../../schema/chat.ts";
import { isRecord, type JsonRecord } from "../../json/fields.ts";
import { wrapForGemini } from "./client-reasoning.ts";
import { parseJson, toJson } from "../../json/exact.ts";

/** A whole answer's body. */
export function formatAnswer(response: ChatResponse): string {
  return toJson({
    candidates: response.choices.map(toCandidate),
    ...(response.usage !== undefined && { usageMetadata: toUsageMetadata(response.usage) }),
    ...(response.model !== undefined && { modelVersion: response.model }),
    ...(response.id !== undefined && { responseId: response.id }),
  });
}

function toCandidate(choice: ChatChoice): JsonRecord {
  const { index, text, reasoning, reasoningSignature, refusal, logprobs, citations = [], toolCalls } = choice;
  const parts: JsonRecord[] = [];
  if (reasoning !== undefined || reasoningSignature !== undefined) {
    parts.push(reasoningPart(reasoning ?? "", reasoningSignature));
  }
  parts.push(...(choice.encryptedReasoning ?? []).map(encryptedPart));
  if (text !== "") parts.push({ text });
  if (refusal !== undefined) parts.push({ text: refusal });
  const calls = toolCalls.map(callPart);
  parts.push(...calls.filter((part) => part !== undefined));
  const end = { ...choice, isRefusal: refusal !== undefined, isCallBroken: calls.includes(undefined) };
  return {
    content: { parts, role: "model" },
    ...finishFields(end),
    index,
    ...(citations.length > 0 && { groundingMetadata: toGroundingMetadata(citations, text) }),
    ...(logprobs !== undefined && { logprobsResult: toLogprobsResult(logprobs) }),
  };
}

export function reasoningPart(text: string, signature?: string): JsonRecord {
  return {
    text,
    thought: true,
    ...(signature !== undefined && { thoughtSignature: wrapForGemini("signature", signature) }),
  };
}

/** Reasoning that only its vendor can read: an empty `thought` part whose signature holds it. */
export function encryptedPart(data: string): JsonRecord {
  return { text: "", thought: true, thoughtSignature: wrapForGemini("encrypted", data) };
}

/** Undefined where the arguments are no JSON object: Gemini's form has no place for them. */
export function callPart({ id, name, argumentsJson, signature }: ToolCall): JsonRecord | undefined {
  const args = parseArguments(argumentsJson);
  if (args === undefined) return undefined;
  return {
    functionCall: { ...(id !== "" && { id }), name, args },
    ...(signature !== undefined && { thoughtSignature: wrapForGemini("signature", signature) }),
  };
}

function parseArguments(json: string): JsonRecord | undefined {
  if (json.trim() === "") return {};
  try {
    const args: unknown = parseJson(json);
    return isRecord(args) ? args : undefined;
  } catch {
    return undefined;
  }
}

const FINISH_REASONS: Readonly<Record<FinishReason, string>> = {
  stop: "STOP",
  length: "MAX_TOKENS",
  // Gemini has no word for it: a call is a part like any other.
  tool_calls: "STOP",
  content_filter: "SAFETY",
};

export interface CandidateEnd {
  readonly finishReason?: FinishReason;
  readonly isRefusal: boolean;
  /** A call was left out since its arguments were no JSON object. */
  readonly isCallBroken: boolean;
}

/** A refusal ends as what Google's own models would have been stopped for. */
export function finishFields({ finishReason, isRefusal, isCallBroken }: CandidateEnd): JsonRecord {
  if (isCallBroken) {
    const finishMessage = "The arguments of a function call are not a JSON object.";
    return { finishReason: "MALFORMED_FUNCTION_CALL", finishMessage };
  }
  if (finishReason === undefined) return {};
  const isStop = finishReason === "stop" && isRefusal;
  return { finishReason: isStop ? FINISH_REASONS.content_filter : FINISH_REASONS[finishReason] };
}

/** Gemini counts thoughts beside the answer's tokens, not among them. */
export function toUsageMetadata(usage: TokenUsage): JsonRecord {
  const { inputTokens, outputTokens, cacheReadTokens, reasoningTokens = 0 } = usage;
  return {
    promptTokenCount: inputTokens,
    candidatesTokenCount: Math.max(0, outputTokens - reasoningTokens),
    totalTokenCount: inputTokens + outputTokens,
    ...(cacheReadTokens !== undefined && { cachedContentTokenCount: cacheReadTokens }),
    ...(reasoningTokens > 0 && { thoughtsTokenCount: reasoningTokens }),
  };
}

/** Where Gemini's clients look for sources. Offsets are of UTF-8 bytes there. */
export function toGroundingMetadata(citations: readonly Citation[], text: string): JsonRecord {
  return {
    groundingChunks: citations.map(({ url, title, citedText }) => {
      const titled = title === undefined ? {} : { title };
      if (url !== undefined) return { web: { uri: url, ...titled } };
      return { retrievedContext: { ...titled, ...(citedText !== undefined && { text: citedText }) } };
    }),
    groundingSupports: citations.map(({ startIndex, endIndex }, at) => ({
      segment: toSegment(text, startIndex ?? 0, endIndex ?? text.length),
      groundingChunkIndices: [at],
    })),
  };
}

function toSegment(text: string, start: number, end: number): JsonRecord {
  return {
    startIndex: byteLength(text.slice(0, start)),
    endIndex: byteLength(text.slice(0, end)),
    text: text.slice(start, end),
  };
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

export function toLogprobsResult(logprobs: readonly TokenLogprob[]): JsonRecord {
  const candidate = ({
    token,
    logprob,
  }: {
    readonly token: string;
    readonly logprob: number;
  }): JsonRecord => ({
    token,
    logProbability: logprob,
  });
  return {
    chosenCandidates: logprobs.map(candidate),
    topCandidates: logprobs.map(({ top }) => ({ candidates: top.map(candidate) })),
  };
}
