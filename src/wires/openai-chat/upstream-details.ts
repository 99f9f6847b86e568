/**
 * What an answer of OpenAI's wires has beside its text: signed reasoning, citations, log probabilities. Read the same
 * way from whole answers and from stream deltas.
 */

import type { Citation, TokenLogprob } from "../../schema/chat.ts";
import { isTagged, tagDetail, tagSignature } from "../reasoning-provenance.ts";
import { listOf, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";

export interface ReadReasoning {
  readonly text?: string;
  readonly signature?: string;
  readonly encrypted: readonly string[];
}

const NO_THOUGHTS: ReadReasoning = { encrypted: [] };

/**
 * `reasoning_content` (DeepSeek, vLLM, xAI) or `reasoning` (OpenRouter, Groq), and OpenRouter's `reasoning_details`:
 * https://openrouter.ai/docs/use-cases/reasoning-tokens (seen 2026-11)
 */
export function readReasoning(message: JsonRecord): ReadReasoning {
  const text =
    textOf(message["reasoning_content"]) ??
    textOf(message["reasoning"]) ??
    textOf(readThinkingParts(message["content"]));
  const { reasoning_details: list } = message;
  if (!Array.isArray(list)) return text === undefined ? NO_THOUGHTS : { text, encrypted: [] };
  const details = list.map(recordOf);
  const signature = details.flatMap(({ signature: said, format }) => readOpaque(said, format)).at(-1);
  const encrypted = details.flatMap(({ type, data, format }) =>
    type === "reasoning.encrypted" ? readOpaque(data, format) : [],
  );
  return {
    ...(text !== undefined && { text }),
    ...(signature !== undefined && { signature }),
    encrypted,
  };
}

function readOpaque(value: unknown, format: unknown): readonly string[] {
  const said = textOf(value);
  return said === undefined ? [] : [tagDetail(said, textOf(format))];
}

/** Reasoning among the parts of the content: Mistral's `thinking`, Databricks' `reasoning` with its summaries. */
function readThinkingParts(content: unknown): string {
  return listOf(content)
    .flatMap((part) => {
      const { type, thinking, summary } = recordOf(part);
      if (type === "thinking") return listOf(thinking);
      return type === "reasoning" ? listOf(summary) : [];
    })
    .map((piece) => textOf(recordOf(piece)["text"]) ?? "")
    .join("");
}

/**
 * Perplexity's sources, beside the choices: `search_results`, or the bare addresses of `citations`.
 * https://docs.perplexity.ai/api-reference/chat-completions-post (seen 2026-11)
 */
export function readSources(body: JsonRecord): readonly Citation[] {
  const results = listOf(body["search_results"]).map((result) => readCitation(recordOf(result)));
  if (results.length > 0) return results;
  return listOf(body["citations"]).flatMap((url) => (textOf(url) === undefined ? [] : { url: String(url) }));
}

/** Where Google's OpenAI-compatible API puts it: https://ai.google.dev/gemini-api/docs/thought-signatures (seen 2026-11). */
export function readCallSignature(call: JsonRecord): string | undefined {
  const said = textOf(recordOf(recordOf(call["extra_content"])["google"])["thought_signature"]);
  return said === undefined || isTagged(said) ? said : tagSignature(said);
}

/** `annotations` of a message or a delta. */
export function readChatCitations(annotations: unknown): readonly Citation[] {
  return listOf(annotations).flatMap((entry) => {
    const annotation = recordOf(entry);
    if (annotation["type"] !== "url_citation") return [];
    // The Responses wire has the members beside the type, the chat wire in an object of their own.
    return [readCitation(recordOf(annotation["url_citation"] ?? annotation))];
  });
}

function readCitation(citation: JsonRecord): Citation {
  const url = textOf(citation["url"]);
  const title = textOf(citation["title"]);
  const { start_index: startIndex, end_index: endIndex } = citation;
  return {
    ...(url !== undefined && { url }),
    ...(title !== undefined && { title }),
    ...(typeof startIndex === "number" && { startIndex }),
    ...(typeof endIndex === "number" && { endIndex }),
  };
}

/** `logprobs.content` of a choice. */
export function readChatLogprobs(content: unknown): readonly TokenLogprob[] {
  return listOf(content).flatMap((entry) => {
    const read = readLogprob(recordOf(entry));
    if (read === undefined) return [];
    const top = listOf(recordOf(entry)["top_logprobs"]).flatMap(
      (other) => readLogprob(recordOf(other)) ?? [],
    );
    return [{ ...read, top }];
  });
}

function readLogprob({ token, logprob }: JsonRecord): Omit<TokenLogprob, "top"> | undefined {
  return typeof token === "string" && typeof logprob === "number" ? { token, logprob } : undefined;
}
