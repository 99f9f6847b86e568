// What a prompt is estimated at, in each client's wire: by the vendors' published rules, whatever its media weigh in bytes.
import { deflateSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { imageSize } from "../../../../src/pricing/estimate/image-size.ts";
import { promptTokens } from "../../../../src/pricing/estimate/request-tokens.ts";
import type { ChatRequest } from "../../../../src/schema/chat.ts";
import { anthropicMessages } from "../../../../src/wires/anthropic/client-wire.ts";
import { geminiGenerateContent as gemini } from "../../../../src/wires/gemini/client-wire.ts";
import { openAiChat } from "../../../../src/wires/openai-chat/client-wire.ts";
import { openAiResponses } from "../../../../src/wires/openai-responses/client-wire.ts";

const WIRES = { openAiChat, openAiResponses, anthropicMessages, gemini } as const;

function tokensOf(wire: keyof typeof WIRES, body: Readonly<Record<string, unknown>>): number {
  const bodyText = JSON.stringify(body);
  const chat: ChatRequest = {
    wire: WIRES[wire],
    operation: "chat",
    model: "m",
    stream: false,
    params: {},
    bodyText,
    body,
  };
  return promptTokens(chat);
}

/** A file of this size that no vendor would show, with megabytes of pixels behind its head. */
function png(width: number, height: number): string {
  const head = Buffer.alloc(24);
  head.write("\u0089PNG\r\n\u001a\n", "latin1");
  head.writeUInt32BE(13, 8);
  head.write("IHDR", 12, "latin1");
  head.writeUInt32BE(width, 16);
  head.writeUInt32BE(height, 20);
  return Buffer.concat([head, deflateSync(Buffer.alloc(100)), Buffer.alloc(3_000_000, 7)]).toString("base64");
}

const TEXT = "What is this?";
const url = (base64: string, type = "image/png"): string => `data:${type};base64,${base64}`;

/** One message with a text and one part of media, in each wire. */
const MESSAGES = {
  openAiChat: (base64: string, detail?: string) => ({
    messages: [
      {
        role: "user",
        content: [
          { type: "text", text: TEXT },
          { type: "image_url", image_url: { url: url(base64), ...(detail !== undefined && { detail }) } },
        ],
      },
    ],
  }),
  openAiResponses: (base64: string, detail?: string) => ({
    input: [
      {
        role: "user",
        content: [
          { type: "input_text", text: TEXT },
          { type: "input_image", image_url: url(base64), ...(detail !== undefined && { detail }) },
        ],
      },
    ],
  }),
  anthropicMessages: (base64: string) => ({
    max_tokens: 10,
    messages: [
      {
        role: "user",
        content: [
          { type: "text", text: TEXT },
          { type: "image", source: { type: "base64", media_type: "image/png", data: base64 } },
        ],
      },
    ],
  }),
  gemini: (base64: string) => ({
    contents: [
      { role: "user", parts: [{ text: TEXT }, { inlineData: { mimeType: "image/png", data: base64 } }] },
    ],
  }),
} as const;

/** The message's own frame and text. */
const MOST_BESIDE = 25;

describe("an image", () => {
  test.each<[keyof typeof MESSAGES, number, number, number]>([
    // The examples of each vendor's page.
    ["openAiChat", 1024, 1024, 765],
    ["openAiChat", 2048, 4096, 1105],
    ["openAiChat", 512, 512, 255],
    ["openAiResponses", 1024, 1024, 765],
    ["anthropicMessages", 200, 200, 54],
    ["anthropicMessages", 1000, 1000, 1334],
    ["anthropicMessages", 6000, 4000, 1600],
    ["gemini", 384, 384, 258],
    ["gemini", 1536, 768, 516],
  ])("in %s of %i by %i pixels is %i tokens", (wire, width, height, tokens) => {
    const sum = tokensOf(wire, MESSAGES[wire](png(width, height)));
    expect(sum).toBeGreaterThanOrEqual(tokens);
    expect(sum).toBeLessThanOrEqual(tokens + MOST_BESIDE);
  });

  test.each(["openAiChat", "openAiResponses"] as const)("in %s of low detail is 85 tokens", (wire) => {
    const sum = tokensOf(wire, MESSAGES[wire](png(4096, 8192), "low"));
    expect(sum).toBeGreaterThanOrEqual(85);
    expect(sum).toBeLessThanOrEqual(85 + MOST_BESIDE);
  });

  test.each(Object.keys(MESSAGES) as (keyof typeof MESSAGES)[])(
    "in %s of 5 MB of garbage is small",
    (wire) => {
      expect(tokensOf(wire, MESSAGES[wire]("A".repeat(5_000_000)))).toBeLessThan(2000);
    },
  );

  test("by address is what a photograph usually is", () => {
    const image_url = { url: "https://example.com/photo.jpg" };
    const sum = tokensOf("openAiChat", {
      messages: [{ role: "user", content: [{ type: "image_url", image_url }] }],
    });
    expect(sum).toBeGreaterThanOrEqual(765);
    expect(sum).toBeLessThan(800);
  });
});

describe("an image's size", () => {
  const bytes = (...numbers: readonly number[]): string => Buffer.from(numbers).toString("base64");
  const text = (chars: string): readonly number[] => [...Buffer.from(chars, "latin1")];

  test.each([
    ["GIF", bytes(...text("GIF89a"), 0x40, 0x01, 0xf0, 0x00, 0, 0), 320, 240],
    [
      "JPEG behind an application segment",
      bytes(0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xc2, 0, 17, 8, 0x01, 0xe0, 0x02, 0x80, 3, 0, 0),
      640,
      480,
    ],
    [
      "lossy WebP",
      bytes(
        ...text("RIFF"),
        0,
        0,
        0,
        0,
        ...text("WEBPVP8 "),
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0x9d,
        1,
        0x2a,
        0x80,
        2,
        0xe0,
        1,
        0,
      ),
      640,
      480,
    ],
    [
      "extended WebP",
      bytes(
        ...text("RIFF"),
        0,
        0,
        0,
        0,
        ...text("WEBPVP8X"),
        10,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0x7f,
        2,
        0,
        0xdf,
        1,
        0,
      ),
      640,
      480,
    ],
  ])("is read from a %s", (_, base64, width, height) => {
    expect(imageSize(base64)).toEqual({ width, height });
  });

  test.each(["", "A", "!!!!", "AAAA".repeat(1000), bytes(0xff, 0xd8, 0xff), png(0, 0).slice(0, 200)])(
    "is unknown where the head says nothing (case %#)",
    (base64) => {
      expect(imageSize(base64)).toBeUndefined();
    },
  );
});

describe("sounds, videos and documents", () => {
  const MB = 1_000_000;
  const base64 = (byteCount: number): string => "A".repeat(Math.ceil((byteCount * 4) / 3));
  const inline = (mimeType: string, byteCount: number) =>
    tokensOf("gemini", {
      contents: [{ role: "user", parts: [{ inlineData: { mimeType, data: base64(byteCount) } }] }],
    });

  test("a minute of MP3 is 1,920 tokens at Gemini, 600 at OpenAI", () => {
    const minute = 60 * 16_000;
    expect(inline("audio/mp3", minute)).toBeCloseTo(1920, -2);
    const content = [{ type: "input_audio", input_audio: { data: base64(minute), format: "mp3" } }];
    expect(tokensOf("openAiChat", { messages: [{ role: "user", content }] })).toBeCloseTo(610, -2);
  });

  test("a WAV file counts by its own byte rate", () => {
    const wav = Buffer.alloc(MB);
    wav.write("RIFF", 0, "latin1");
    wav.write("WAVEfmt ", 8, "latin1");
    wav.writeUInt32LE(100_000, 28);
    const parts = [{ inline_data: { mime_type: "audio/wav", data: wav.toString("base64") } }];
    expect(tokensOf("gemini", { contents: [{ parts }] })).toBeLessThan(360);
  });

  test("ten seconds of video are 2,630 tokens", () => {
    expect(inline("video/mp4", 1.25 * MB)).toBeCloseTo(2640, -2);
  });

  test.each([
    [
      "openAiChat",
      {
        messages: [
          {
            role: "user",
            content: [{ type: "file", file: { file_data: url(base64(5 * MB), "application/pdf") } }],
          },
        ],
      },
    ],
    [
      "openAiResponses",
      {
        input: [
          {
            role: "user",
            content: [{ type: "input_file", file_data: url(base64(5 * MB), "application/pdf") }],
          },
        ],
      },
    ],
    [
      "anthropicMessages",
      {
        messages: [
          {
            role: "user",
            content: [
              {
                type: "document",
                source: { type: "base64", media_type: "application/pdf", data: base64(5 * MB) },
              },
            ],
          },
        ],
      },
    ],
  ] as const)("a PDF of 5 MB in %s is at most a hundred pages", (wire, body) => {
    const sum = tokensOf(wire, body);
    expect(sum).toBeGreaterThan(10_000);
    expect(sum).toBeLessThan(310_000);
  });

  test("a document of text is its text", () => {
    const source = { type: "text", media_type: "text/plain", data: "plain words ".repeat(100) };
    const body = { messages: [{ role: "user", content: [{ type: "document", source }] }] };
    expect(tokensOf("anthropicMessages", body)).toBeCloseTo(260, -2);
  });
});

describe("what is not billed as text", () => {
  test("settings, and who asks", () => {
    const body = { messages: [{ role: "user", content: "Hi" }] };
    const settings = { model: "m".repeat(200), temperature: 1, stream: true, user: "u".repeat(400) };
    expect(tokensOf("openAiChat", { ...body, ...settings })).toBe(tokensOf("openAiChat", body));
  });

  test("proofs and sealed reasoning count for less than their letters", () => {
    const input = [{ type: "reasoning", encrypted_content: "A".repeat(8000), summary: [] }];
    expect(tokensOf("openAiResponses", { input })).toBeLessThan(1100);
  });

  test("an argument named data is text all the same", () => {
    const data = "some words of a tool ".repeat(100);
    const content = [{ type: "tool_use", id: "t", name: "f", input: { data } }];
    expect(tokensOf("anthropicMessages", { messages: [{ role: "assistant", content }] })).toBeGreaterThan(
      350,
    );
  });

  test("nesting without end costs nothing, and ends", () => {
    let nested: unknown = "deep";
    for (let depth = 0; depth < 500; depth += 1) nested = [nested];
    expect(tokensOf("openAiChat", { messages: nested })).toBe(1);
  });
});
