// Prices of images and sound by the piece: which row, which size and quality, and what an answer is billed for.
import { describe, expect, test } from "vitest";
import { costMicroUsd } from "../../../src/pricing/cost.ts";
import { findMediaPrice } from "../../../src/pricing/media-prices.ts";
import { mediaUsage, type MediaReport } from "../../../src/pricing/media-usage.ts";
import type { MediaUnits } from "../../../src/schema/media-units.ts";
import { readMediaUnits } from "../../../src/http/media-units.ts";

const image = (quality?: string, size?: string, count = 1): MediaUnits => ({
  kind: "images",
  count,
  ...(quality !== undefined && { quality }),
  ...(size !== undefined && { size }),
});

/** In US dollars, rounded to a hundredth of a cent. */
function costOf(
  model: string,
  media: MediaUnits,
  report: MediaReport = {},
  kind = "openai",
): number | undefined {
  const price = findMediaPrice(kind, model, media);
  if (price === undefined) return undefined;
  const usage = { inputTokens: 0, outputTokens: 0, ...mediaUsage(media, price, report).units };
  return Math.round(costMicroUsd(price, usage) / 100) / 10_000;
}

describe("an image costs by its model, quality and size", () => {
  test.each([
    ["dall-e-3", image(), 0.04],
    ["dall-e-3", image("hd", "1024x1024"), 0.08],
    ["dall-e-3", image("hd", "1792x1024", 2), 0.24],
    ["dall-e-2", image(undefined, "256x256", 10), 0.16],
    ["dall-e-2", image(), 0.02],
    ["gpt-image-1", image("low", "1024x1024"), 0.011],
    // What is left to the model is reserved at the dearest.
    ["gpt-image-1", image(), 0.25],
    ["gpt-image-1", image("unheard-of", "1024x1024"), 0.167],
    ["gpt-image-1.5-2025-12-16", image("high", "1024x1024"), 0.133],
  ])("%s %o: %d", (model, media, usd) => {
    expect(costOf(model, media)).toBe(usd);
  });

  test("counts the images that came, not those that were asked for", () => {
    expect(costOf("dall-e-3", image(undefined, undefined, 4), { images: 3 })).toBe(0.12);
  });
});

describe("sound costs by the character or the second", () => {
  const speech: MediaUnits = { kind: "speech", characters: 100_000 };
  const sound: MediaUnits = { kind: "sound", seconds: 100 };
  test.each([
    ["tts-1", speech, {}, "openai", 1.5],
    ["tts-1-hd", speech, {}, "openai", 3],
    // 100,000 characters are about 6,667 seconds.
    ["gpt-4o-mini-tts", speech, {}, "openai", 1.6668],
    ["whisper-1", sound, {}, "openai", 0.01],
    ["whisper-1", sound, { seconds: 600 }, "openai", 0.06],
    ["whisper-large-v3", sound, { seconds: 3600 }, "groq", 0.111],
  ] as const)("%s %o %o (%s): %d", (model, media, report, kind, usd) => {
    expect(costOf(model, media, report, kind)).toBe(usd);
  });
});

test("nothing is guessed: neither an unknown model, nor a unit that its row does not have", () => {
  expect(findMediaPrice("openai", "dall-e-9", image())).toBeUndefined();
  expect(findMediaPrice("openai", "tts-1", image())).toBeUndefined();
  expect(findMediaPrice("openai-compatible", "dall-e-3", image())).toBeUndefined();
  expect(findMediaPrice("constructor", "dall-e-3", image())).toBeUndefined();
  expect(findMediaPrice("openai", "constructor", image())).toBeUndefined();
});

describe("a request's units", () => {
  const fields = (body: object) => ({ get: (name: string): unknown => Reflect.get(body, name) });
  test.each([
    [
      { n: 3, size: "512x512" },
      { kind: "images", count: 3, size: "512x512" },
    ],
    [
      { n: -2, quality: "auto" },
      { kind: "images", count: 1 },
    ],
    [{ n: 1e9 }, { kind: "images", count: 10 }],
    [{ n: "NaN" }, { kind: "images", count: 1 }],
    [{ n: 1.5 }, { kind: "images", count: 2 }],
  ])("of an image: %o", (body, units) => {
    expect(readMediaUnits("image_generation", fields(body))).toEqual(units);
  });

  test("of a recording come from its size, and a WAV file's own rate", () => {
    const wav = new Uint8Array(44);
    wav.set([0x52, 0x49, 0x46, 0x46]);
    new DataView(wav.buffer).setUint32(28, 32_000, true);
    const seconds = (head: Uint8Array) =>
      readMediaUnits("transcription", { get: () => null, file: { bytes: 320_000, head } });
    expect(seconds(wav)).toEqual({ kind: "sound", seconds: 10 });
    expect(seconds(new Uint8Array(8))).toEqual({ kind: "sound", seconds: 40 });
  });

  test("of text are none", () => {
    expect(readMediaUnits("moderation", fields({ input: "x" }))).toBeUndefined();
  });
});
