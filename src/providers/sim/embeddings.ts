/**
 * Simulated embeddings: a text's words, each hashed to a place and a sign, so that equal texts have equal vectors and
 * texts that share words are near one another.
 */

import { isRecord, listOf, textOf, type JsonRecord } from "../../json/fields.ts";
import { fingerprint } from "./text.ts";
import { countSimTokens } from "./tokens.ts";

/** Small enough to be looked at, large enough that few words collide. */
const DEFAULT_DIMENSIONS = 64;
const MAX_DIMENSIONS = 4096;
const HEX = 16;

/** The answer's body, or undefined where the request is none for embeddings. */
export function answerEmbeddings(bodyText: string): string | undefined {
  const wire = parseJson(bodyText);
  if (!isRecord(wire)) return undefined;
  const inputs = readInputs(wire["input"]);
  if (inputs === undefined) return undefined;
  const dimensions = readDimensions(wire);
  const tokens = inputs.reduce((sum, text) => sum + countSimTokens(text), 0);
  const data = inputs.map((text, index) => ({
    object: "embedding",
    index,
    embedding: embed(text, dimensions),
  }));
  return JSON.stringify({
    object: "list",
    data: wire["encoding_format"] === "base64" ? data.map(withBase64) : data,
    model: textOf(wire["model"]) ?? "sim",
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Tokens given as numbers are words like any other. */
function readInputs(input: unknown): readonly string[] | undefined {
  if (typeof input === "string") return [input];
  const list = listOf(input);
  if (list.length === 0) return undefined;
  if (list.every((entry) => typeof entry === "number")) return [list.join(" ")];
  return list.map((entry) => (typeof entry === "string" ? entry : listOf(entry).join(" ")));
}

function readDimensions({ dimensions }: JsonRecord): number {
  if (typeof dimensions !== "number" || dimensions < 1) return DEFAULT_DIMENSIONS;
  return Math.min(Math.floor(dimensions), MAX_DIMENSIONS);
}

/** A vector of length 1. */
function embed(text: string, dimensions: number): readonly number[] {
  const vector = Array.from({ length: dimensions }, () => 0);
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [""]) {
    const hash = Number.parseInt(fingerprint(word), HEX);
    const at = hash % dimensions;
    vector[at] = (vector[at] ?? 0) + (fingerprint(`${word} sign`) < "8" ? 1 : -1);
  }
  const length = Math.hypot(...vector) || 1;
  return vector.map((value) => value / length);
}

function withBase64({ embedding, ...others }: { readonly embedding: readonly number[] }): JsonRecord {
  const bytes = new Uint8Array(new Float32Array(embedding).buffer);
  return { ...others, embedding: btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")) };
}
