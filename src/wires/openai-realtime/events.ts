/**
 * OpenAI's Realtime events, as far as a gateway reads them: what a session's responses used, and how it learns of a
 * fault. All other events pass unread. Pure. https://platform.openai.com/docs/api-reference/realtime-server-events
 * (seen 2026-11)
 */

import type { TokenUsage } from "../../schema/chat.ts";
import type { GatewayError } from "../../errors.ts";
import { openAiErrorBody } from "../openai-chat/client-errors.ts";
import { isRecord, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";

/** What a session came to. */
export interface SessionSummary {
  /** The upstream's id of the session, for its support. */
  readonly id?: string;
  readonly model?: string;
  /** Over all responses; absent where none told its usage. */
  readonly usage?: TokenUsage;
  readonly responses: number;
  /** Of those, the ones that the upstream could not finish. */
  readonly failedResponses: number;
  /** `error` events: the client's mistakes as well as the upstream's faults. */
  readonly errors: number;
}

export interface SessionReader {
  /** A text frame of the upstream; whatever it is, it throws nothing. */
  read(frame: string): void;
  summary(): SessionSummary;
}

/**
 * The type where it stands first, or behind the event's id: the vendors' own order. Looking there takes the same time for
 * any length, and most frames are long stretches of audio.
 */
const TYPE_IN_HEAD = /^\s*\{\s*(?:"event_id"\s*:\s*"[^"]*"\s*,\s*)?"type"\s*:\s*"([^"]*)"/;
/** Longer than any id and type; a frame's head is cut there so that no expression ever walks through a whole one. */
const HEAD_CHARS = 256;

const READ_TYPES = ["response.done", "session.created", "session.updated", "error"] as const;

export function createSessionReader(): SessionReader {
  let id: string | undefined;
  let model: string | undefined;
  let usage: TokenUsage | undefined;
  let responses = 0;
  let failedResponses = 0;
  let errors = 0;

  function take(event: JsonRecord): void {
    switch (event["type"]) {
      case "response.done": {
        const response = recordOf(event["response"]);
        responses += 1;
        if (response["status"] === "failed") failedResponses += 1;
        usage = addUsage(usage, readRealtimeUsage(response["usage"]));
        break;
      }
      case "session.created":
      case "session.updated": {
        const session = recordOf(event["session"]);
        id = textOf(session["id"]) ?? id;
        model = textOf(session["model"]) ?? model;
        break;
      }
      case "error":
        errors += 1;
        break;
    }
  }

  return {
    read(frame) {
      if (!mayMatter(frame)) return;
      const event = parseLoosely(frame);
      if (isRecord(event)) take(event);
    },
    summary: () => ({
      ...(id !== undefined && { id }),
      ...(model !== undefined && { model }),
      ...(usage !== undefined && { usage }),
      responses,
      failedResponses,
      errors,
    }),
  };
}

function mayMatter(frame: string): boolean {
  const type = TYPE_IN_HEAD.exec(frame.slice(0, HEAD_CHARS))?.[1];
  if (type !== undefined) return READ_TYPES.some((read) => read === type);
  // In another order the quoted word can still only be that string: inside of a text its quotes would be escaped.
  return READ_TYPES.some((read) => frame.includes(`"${read}"`));
}

function parseLoosely(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Tokens as billed; undefined where the upstream named neither input nor output. */
export function readRealtimeUsage(usage: unknown): TokenUsage | undefined {
  if (!isRecord(usage)) return undefined;
  const input = countOf(usage["input_tokens"]);
  const output = countOf(usage["output_tokens"]);
  if (input === undefined && output === undefined) return undefined;
  const heard = recordOf(usage["input_token_details"]);
  const cached = countOf(heard["cached_tokens"]);
  const cachedAudio = countOf(recordOf(heard["cached_tokens_details"])["audio_tokens"]);
  const audio = countOf(heard["audio_tokens"]);
  const spoken = countOf(recordOf(usage["output_token_details"])["audio_tokens"]);
  return {
    inputTokens: input ?? 0,
    outputTokens: output ?? 0,
    ...(cached !== undefined && { cacheReadTokens: cached }),
    ...(audio !== undefined && { inputAudioTokens: audio }),
    ...(cachedAudio !== undefined && { cacheReadAudioTokens: cachedAudio }),
    ...(spoken !== undefined && { outputAudioTokens: spoken }),
  };
}

function countOf(value: unknown): number | undefined {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

/** Each response is billed for all it was given: https://platform.openai.com/docs/guides/realtime-costs (seen 2026-11). */
function addUsage(sum: TokenUsage | undefined, one: TokenUsage | undefined): TokenUsage | undefined {
  if (sum === undefined || one === undefined) return sum ?? one;
  const add = (name: Exclude<keyof TokenUsage, "tier" | "region" | "isUnsound">): Partial<TokenUsage> =>
    sum[name] === undefined && one[name] === undefined ? {} : { [name]: (sum[name] ?? 0) + (one[name] ?? 0) };
  return {
    inputTokens: sum.inputTokens + one.inputTokens,
    outputTokens: sum.outputTokens + one.outputTokens,
    ...add("cacheReadTokens"),
    ...add("inputAudioTokens"),
    ...add("cacheReadAudioTokens"),
    ...add("outputAudioTokens"),
  };
}

/** The last event of a session that the gateway ends, in the form of the upstream's own. */
export function realtimeErrorEvent(error: GatewayError, requestId: string): string {
  return JSON.stringify({
    type: "error",
    event_id: `event_${requestId}`,
    error: { ...openAiErrorBody(error).error, event_id: null },
  });
}
