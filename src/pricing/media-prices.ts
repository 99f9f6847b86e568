/**
 * List prices of images and sound, which vendors bill by the piece, the second or the character. Written by hand, since the
 * compiled table knows tokens only. Where an answer reports its tokens, those are billed; the piece is then what is
 * reserved, and what an answer without a report costs.
 *
 * Vendors' pages, as of 2026-11-30: https://developers.openai.com/api/docs/pricing and its models' pages,
 * https://console.groq.com/docs/speech-to-text.
 */

import type { MediaUnits } from "../schema/media-units.ts";
import { type ModelPrice, SNAPSHOT_DATE, type TokenPrices } from "./price-finder.ts";

/** In US dollars. */
interface MediaRow {
  /** Per million tokens. */
  readonly input?: number;
  readonly inputImage?: number;
  readonly inputAudio?: number;
  readonly cacheRead?: number;
  readonly output?: number;
  /** By quality: of a square image, and of any other. */
  readonly images?: Readonly<Record<string, readonly [square: number, other: number]>>;
  /** By size, where that alone counts. */
  readonly imagesBySize?: Readonly<Record<string, number>>;
  readonly perMinute?: number;
  readonly perMillionCharacters?: number;
}

const OPENAI: Readonly<Record<string, MediaRow>> = {
  "dall-e-2": { imagesBySize: { "256x256": 0.016, "512x512": 0.018, "1024x1024": 0.02 } },
  "dall-e-3": { images: { standard: [0.04, 0.08], hd: [0.08, 0.12] } },
  "gpt-image-1": {
    input: 5,
    inputImage: 10,
    cacheRead: 1.25,
    output: 40,
    images: { low: [0.011, 0.016], medium: [0.042, 0.063], high: [0.167, 0.25] },
  },
  "gpt-image-1-mini": {
    input: 2,
    inputImage: 2.5,
    cacheRead: 0.2,
    output: 8,
    images: { low: [0.005, 0.006], medium: [0.011, 0.015], high: [0.036, 0.052] },
  },
  "gpt-image-1.5": {
    input: 5,
    inputImage: 8,
    cacheRead: 1.25,
    output: 32,
    images: { low: [0.009, 0.013], medium: [0.034, 0.05], high: [0.133, 0.2] },
  },
  "gpt-image-2": {
    input: 5,
    inputImage: 8,
    cacheRead: 1.25,
    output: 30,
    images: { low: [0.006, 0.006], medium: [0.053, 0.053], high: [0.211, 0.211] },
  },
  "tts-1": { perMillionCharacters: 15 },
  "tts-1-hd": { perMillionCharacters: 30 },
  "gpt-4o-mini-tts": { input: 0.6, output: 12, perMinute: 0.015 },
  "whisper-1": { perMinute: 0.006 },
  "gpt-4o-transcribe": { input: 2.5, inputAudio: 6, output: 10, perMinute: 0.006 },
  "gpt-4o-transcribe-diarize": { input: 2.5, inputAudio: 6, output: 10, perMinute: 0.006 },
  "gpt-4o-mini-transcribe": { input: 1.25, inputAudio: 3, output: 5, perMinute: 0.003 },
};

const MINUTES_PER_HOUR = 60;
const GROQ: Readonly<Record<string, MediaRow>> = {
  "whisper-large-v3": { perMinute: 0.111 / MINUTES_PER_HOUR },
  "whisper-large-v3-turbo": { perMinute: 0.04 / MINUTES_PER_HOUR },
};

const ROWS: Readonly<Record<string, Readonly<Record<string, MediaRow>>>> = {
  openai: OPENAI,
  "azure-openai": OPENAI,
  groq: GROQ,
};

const MICRO_USD = 1_000_000;
const SECONDS_PER_MINUTE = 60;

/** In micro-US-dollars; undefined where the list has no such model, or no price for such a request. */
export function findMediaPrice(kind: string, model: string, media: MediaUnits): ModelPrice | undefined {
  const rows = Object.hasOwn(ROWS, kind) ? ROWS[kind] : undefined;
  const id = model.toLowerCase();
  const name = [id, id.replace(SNAPSHOT_DATE, "")].find((each) => rows && Object.hasOwn(rows, each));
  const row = name === undefined ? undefined : rows?.[name];
  if (row === undefined) return undefined;
  const { input = 0, inputImage, inputAudio, cacheRead, output = 0, perMinute, perMillionCharacters } = row;
  const perImage = media.kind === "images" ? imagePrice(row, media) : undefined;
  const price: TokenPrices = {
    input: input * MICRO_USD,
    output: output * MICRO_USD,
    ...(inputImage !== undefined && { inputImage: inputImage * MICRO_USD }),
    ...(inputAudio !== undefined && { inputAudio: inputAudio * MICRO_USD }),
    ...(cacheRead !== undefined && { cacheRead: cacheRead * MICRO_USD }),
    ...(perImage !== undefined && { perImage: perImage * MICRO_USD }),
    ...(perMinute !== undefined && { perSecond: (perMinute / SECONDS_PER_MINUTE) * MICRO_USD }),
    ...(perMillionCharacters !== undefined && { perMillionCharacters: perMillionCharacters * MICRO_USD }),
  };
  return hasUnitPrice(price, media) ? price : undefined;
}

/** Whether the list knows a price for media by a model of this name, of any provider. */
export function isMediaPriced(model: string): boolean {
  return Object.values(ROWS).some((rows) => Object.hasOwn(rows, model.replace(SNAPSHOT_DATE, "")));
}

/** Whether a price says what such a piece costs. */
export function hasUnitPrice(price: TokenPrices, { kind }: MediaUnits): boolean {
  switch (kind) {
    case "images":
      return price.perImage !== undefined;
    case "speech":
      return (price.perMillionCharacters ?? price.perSecond) !== undefined;
    case "sound":
      return price.perSecond !== undefined;
  }
}

/** A quality or a size that is left to the model, or is not on the list, costs what the dearest one does. */
function imagePrice({ images, imagesBySize }: MediaRow, asked: MediaUnits & { readonly kind: "images" }) {
  if (imagesBySize !== undefined)
    return imagesBySize[asked.size ?? ""] ?? dearest(Object.values(imagesBySize));
  if (images === undefined) return undefined;
  // Only DALL·E 3 has a default that is not left to the model.
  const quality = asked.quality ?? ("standard" in images ? "standard" : "");
  const known = Object.hasOwn(images, quality) ? images[quality] : undefined;
  const [square, other] = known ?? Object.values(images).at(-1) ?? [];
  const isSquare = asked.size === undefined ? "standard" in images : /^(\d+)x\1$/.test(asked.size);
  return isSquare ? square : other;
}

function dearest(prices: readonly number[]): number {
  return Math.max(...prices);
}
