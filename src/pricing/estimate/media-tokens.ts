/**
 * What an image, a sound, a video or a document counts as, by the rules that vendors publish: per tile, per second, per
 * page. The bytes in base64 are never counted as text. Pure.
 */

import type { MediaRule } from "../../schema/wire-traits.ts";
import { imageSize, type ImageSize } from "./image-size.ts";

/**
 * `base64` is absent where the request names a URL or a stored file, whose size can't be known here. `isLowDetail` is
 * OpenAI's `detail: "low"`.
 */
export function mediaTokens(
  rule: MediaRule,
  mediaType: string,
  base64: string | undefined,
  isLowDetail = false,
): number {
  if (mediaType.startsWith("image/")) return imageTokens(rule, imageSize(base64 ?? ""), isLowDetail);
  const bytes = base64 === undefined ? undefined : byteLength(base64);
  if (mediaType.startsWith("audio/")) return AUDIO_TOKENS_PER_S[rule] * secondsOf(bytes, mediaType, base64);
  if (mediaType.startsWith("video/")) return VIDEO_TOKENS_PER_S * secondsOf(bytes, mediaType, base64);
  if (mediaType.startsWith("text/") && bytes !== undefined) return bytes / BYTES_PER_TEXT_TOKEN;
  const pages = bytes === undefined ? 1 : Math.min(MAX_PAGES, Math.ceil(bytes / BYTES_PER_PAGE));
  return PAGE_TOKENS[rule] * pages;
}

/** https://platform.openai.com/docs/guides/images-vision (seen 2026-11): tiles of the models up to GPT-4o. */
const OPENAI_IMAGE = { base: 85, tile: 170, tilePx: 512, longSidePx: 2048, shortSidePx: 768 } as const;
/** https://docs.claude.com/en/docs/build-with-claude/vision (seen 2026-11): an area, scaled down to a most. */
const ANTHROPIC_IMAGE = { pxPerToken: 750, most: 1600 } as const;
/** https://ai.google.dev/gemini-api/docs/tokens (seen 2026-11). */
const GEMINI_IMAGE = { tile: 258, tilePx: 768, smallPx: 384 } as const;
/** What a photograph of unknown size is taken for. */
const USUAL_SIZE: ImageSize = { width: 1024, height: 1024 };

function imageTokens(
  rule: MediaRule,
  { width, height }: ImageSize = USUAL_SIZE,
  isLowDetail: boolean,
): number {
  switch (rule) {
    case "openai": {
      const { base, tile, tilePx, longSidePx, shortSidePx } = OPENAI_IMAGE;
      if (isLowDetail) return base;
      const fit = Math.min(1, longSidePx / Math.max(width, height));
      const scale = fit * Math.min(1, shortSidePx / (Math.min(width, height) * fit));
      return base + tile * Math.ceil((width * scale) / tilePx) * Math.ceil((height * scale) / tilePx);
    }
    case "anthropic":
      return Math.min(ANTHROPIC_IMAGE.most, Math.ceil((width * height) / ANTHROPIC_IMAGE.pxPerToken));
    case "gemini": {
      const { tile, tilePx, smallPx } = GEMINI_IMAGE;
      if (Math.max(width, height) <= smallPx) return tile;
      // An image is cut into tiles no smaller than 256 pixels; a long strip is not thousands of them.
      return tile * Math.min(MAX_TILES, Math.ceil(width / tilePx) * Math.ceil(height / tilePx));
    }
  }
}

const MAX_TILES = 24;

/**
 * Gemini: 32 a second of sound, 263 of video (its page on tokens). OpenAI: one per 100 ms of the user's sound
 * (https://platform.openai.com/docs/guides/realtime-costs, seen 2026-11). Anthropic takes no sound; its upstream may.
 */
const AUDIO_TOKENS_PER_S: Readonly<Record<MediaRule, number>> = { openai: 10, anthropic: 10, gemini: 32 };
const VIDEO_TOKENS_PER_S = 263;

/** 128 kbit/s, and 1 Mbit/s for video; WAV files say their own. */
const AUDIO_BYTES_PER_S = 16_000;
const VIDEO_BYTES_PER_S = 125_000;
/** A recording that is only named. */
const USUAL_SECONDS = 60;

function secondsOf(bytes: number | undefined, mediaType: string, base64 = ""): number {
  if (bytes === undefined) return USUAL_SECONDS;
  if (mediaType.startsWith("video/")) return Math.ceil(bytes / VIDEO_BYTES_PER_S);
  return Math.ceil(bytes / (wavBytesPerSecond(base64) ?? AUDIO_BYTES_PER_S));
}

const WAV_HEAD_CHARS = 60;
const MIN_BYTES_PER_S = 1000;

/** The byte rate in the head of a WAV file. */
function wavBytesPerSecond(base64: string): number | undefined {
  if (!base64.startsWith("UklGR")) return undefined;
  const head = atob(base64.slice(0, WAV_HEAD_CHARS));
  const rate = [31, 30, 29, 28].reduce((sum, index) => sum * 256 + (head.charCodeAt(index) || 0), 0);
  return rate >= MIN_BYTES_PER_S ? rate : undefined;
}

/**
 * A page of a PDF. Gemini: 258 (its page on documents). Anthropic: 1,500 to 3,000 of text, and the page as an image
 * (https://docs.claude.com/en/docs/build-with-claude/pdf-support, seen 2026-11). OpenAI: text and image too, without numbers.
 */
const PAGE_TOKENS: Readonly<Record<MediaRule, number>> = { openai: 2000, anthropic: 3000, gemini: 258 };
/** Of text with a few figures. */
const BYTES_PER_PAGE = 50_000;
/** Of Anthropic's documents; Gemini takes a thousand. */
const MAX_PAGES = 100;
const BYTES_PER_TEXT_TOKEN = 4;

function byteLength(base64: string): number {
  return Math.floor((base64.length * 3) / 4);
}
