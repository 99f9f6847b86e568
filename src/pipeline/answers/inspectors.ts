/**
 * What is read of answers that are passed on without being understood: the usage, where the format is known. Inspectors see
 * the bytes while they pass, in bursts, never fail a request, and keep little. Pure.
 */

import { type AnswerSummary, createAnswerCollector } from "./answer-summary.ts";
import type { TokenUsage } from "../../schema/chat.ts";
import { isRecord, recordOf, textOf } from "../../json/fields.ts";
import type { UpstreamWire } from "../../wires/upstream-wire.ts";
import { summarise } from "./answer-summary.ts";
import { createSseParser, type ServerSentEvent } from "../../bytes/sse.ts";
import { textTokens } from "../../pricing/estimate/text-tokens.ts";
import type { MediaReport } from "../../pricing/media-usage.ts";

export interface Inspector {
  push(bytes: Uint8Array): void;
  /** What was found, once all bytes have passed. */
  summary(): AnswerSummary | undefined;
}

/** Longer bodies (images in base64) are passed on unread. Usage stands at their end, so half of one says nothing. */
const MAX_READ_BYTES = 8 * 1024 * 1024;

/** Reads answers of a wire that is known. */
export function inspectWire(wire: UpstreamWire, contentType: string): Inspector | undefined {
  if (isJson(contentType)) return inspectJson((body) => summarise(wire.toResponse(body)));
  if (!isEvents(contentType) && !wire.createParser) return undefined;
  return inspectEvents(wire);
}

/** Reads the `usage` of an answer, as OpenAI's other APIs have it: in a JSON body, or in the last event of a stream. */
export function inspectUsage(contentType: string): Inspector | undefined {
  if (isEvents(contentType)) return inspectUsageEvents((data) => data.includes('"usage"'));
  return isJson(contentType) ? inspectJson(readUsageOnly) : undefined;
}

/** The same of OpenAI's text completions, with the length of their texts: what is counted where no usage came. */
export function inspectTexts(contentType: string): Inspector | undefined {
  return isEvents(contentType)
    ? inspectUsageEvents((data) => data.startsWith("{"))
    : inspectUsage(contentType);
}

/** `isRead`: of other events than those that name a usage, most hold images and sound. */
function inspectUsageEvents(isRead: (data: string) => boolean): Inspector {
  const parser = createSseParser();
  let found: AnswerSummary | undefined;
  let isReadable = true;
  const read = (events: readonly ServerSentEvent[]): void => {
    for (const { data } of events) if (isRead(data)) add(readUsageOnly(JSON.parse(data)));
  };
  const add = (next: AnswerSummary | undefined): void => {
    if (next === undefined) return;
    const writtenTokens = (found?.writtenTokens ?? 0) + next.writtenTokens;
    found = { ...found, ...next, writtenTokens };
  };
  const attempt = (step: () => void): void => {
    if (!isReadable) return;
    try {
      step();
    } catch {
      isReadable = false;
    }
  };
  return {
    push: (bytes) => attempt(() => read(parser.push(bytes))),
    summary() {
      attempt(() => read(parser.end()));
      return found;
    },
  };
}

function isJson(contentType: string): boolean {
  return contentType.startsWith("application/json");
}

function isEvents(contentType: string): boolean {
  return contentType.startsWith("text/event-stream");
}

function inspectJson(read: (body: unknown) => AnswerSummary | undefined): Inspector {
  const decoder = new TextDecoder();
  let text = "";
  let bytesRead = 0;
  return {
    push(bytes) {
      bytesRead += bytes.byteLength;
      text = bytesRead > MAX_READ_BYTES ? "" : text + decoder.decode(bytes, { stream: true });
    },
    summary() {
      if (bytesRead > MAX_READ_BYTES) return undefined;
      try {
        return read(JSON.parse(text));
      } catch {
        // An answer of another format than its path suggests: nothing is read from it, and that is not an error.
        return undefined;
      }
    },
  };
}

function inspectEvents(wire: UpstreamWire): Inspector {
  const parser = wire.createParser?.() ?? createSseParser();
  const decode = wire.decoder();
  const collector = createAnswerCollector();
  let isReadable = true;
  return {
    push(bytes) {
      if (!isReadable) return;
      try {
        for (const event of parser.push(bytes)) collector.add(decode(event));
      } catch {
        isReadable = false;
      }
    },
    summary() {
      if (isReadable) readLast();
      return collector.summary();
    },
  };

  /** A last event without its end mark. */
  function readLast(): void {
    isReadable = false;
    try {
      for (const event of parser.end()) collector.add(decode(event));
    } catch {
      // It was cut in its middle.
    }
  }
}

/** Of an answer whose wire is not known. */
export function readUsageOnly(body: unknown): AnswerSummary | undefined {
  if (!isRecord(body)) return undefined;
  const usage = readTokens(recordOf(body["usage"]));
  const model = textOf(body["model"]);
  return {
    ...(model !== undefined && { model }),
    ...(usage !== undefined && { usage }),
    finishReasons: [],
    hasToolCalls: false,
    isRefusal: false,
    writtenTokens: textsOf(body["choices"]),
    media: readMediaReport(body),
  };
}

/** Tokens of the texts of a text completion. */
function textsOf(choices: unknown): number {
  if (!Array.isArray(choices)) return 0;
  return choices.reduce((sum: number, choice) => sum + textTokens(textOf(recordOf(choice)["text"]) ?? ""), 0);
}

/** How many images came, and how long the sound was. */
function readMediaReport(body: Readonly<Record<string, unknown>>): MediaReport {
  const { data, duration } = body;
  const { seconds = duration } = recordOf(body["usage"]);
  return {
    ...(Array.isArray(data) && data.length > 0 && { images: data.length }),
    ...(typeof seconds === "number" && seconds > 0 && { seconds }),
  };
}

/** Images and transcriptions say `input_tokens`, rerankers `prompt_tokens` or `total_tokens`. */
function readTokens(usage: Readonly<Record<string, unknown>>): TokenUsage | undefined {
  const first = (...names: readonly string[]): number | undefined =>
    names.map((name) => usage[name]).find((value) => typeof value === "number");
  const inputTokens = first("input_tokens", "prompt_tokens", "total_tokens");
  const outputTokens = first("output_tokens", "completion_tokens") ?? 0;
  if (inputTokens === undefined) return undefined;
  const details = { ...recordOf(usage["input_token_details"]), ...recordOf(usage["input_tokens_details"]) };
  const { image_tokens: inputImageTokens, audio_tokens: inputAudioTokens } = details;
  return {
    inputTokens,
    outputTokens,
    ...(typeof inputImageTokens === "number" && { inputImageTokens }),
    ...(typeof inputAudioTokens === "number" && { inputAudioTokens }),
  };
}
