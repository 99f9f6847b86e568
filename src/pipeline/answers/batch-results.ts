/**
 * The results of a batch while they pass to the client, line by line (JSONL): what each request used. OpenAI's and
 * Anthropic's forms: https://platform.openai.com/docs/guides/batch, https://platform.claude.com/docs/en/build-with-claude/batch-processing
 * (seen 2026-11). Pure.
 */

import type { TokenUsage } from "../../schema/chat.ts";
import { isRecord, recordOf } from "../../json/fields.ts";
import type { UpstreamWire } from "../../wires/upstream-wire.ts";
import { type AnswerSummary, summarise } from "./answer-summary.ts";
import { type Inspector, readUsageOnly } from "./inspectors.ts";

/** Longer ones (images in base64) are passed on unread. */
const MAX_LINE_CHARS = 8 * 1024 * 1024;

export interface BatchResult {
  /** As the vendor names it; empty where it says none. */
  readonly model: string;
  readonly usage: TokenUsage;
}

export interface ResultReader extends Inspector {
  /** One for each whole line, so that its place tells whether it was billed; undefined for a failed request. */
  results(): readonly (BatchResult | undefined)[];
}

/** `wires`: those of the account that ran the batch. */
export function createResultReader(wires: readonly UpstreamWire[]): ResultReader {
  const decoder = new TextDecoder();
  const results: (BatchResult | undefined)[] = [];
  let rest = "";
  let isTooLong = false;

  function take(line: string): void {
    if (line.trim() === "" && !isTooLong) return;
    try {
      results.push(isTooLong ? undefined : readResult(JSON.parse(line), wires));
    } catch {
      results.push(undefined);
    }
    isTooLong = false;
  }

  return {
    push(bytes) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) take(line);
      if (rest.length <= MAX_LINE_CHARS) return;
      rest = "";
      isTooLong = true;
    },
    summary() {
      // The last line may have no end. One that was cut is not JSON, and is billed when it is fetched whole.
      const last = parse(rest);
      if (last !== undefined) results.push(readResult(last, wires));
      rest = "";
      const models = new Set(results.flatMap((result) => result?.model ?? []));
      const [model] = models;
      if (model === undefined || models.size > 1) return undefined;
      return { model, finishReasons: [], hasToolCalls: false, isRefusal: false, writtenTokens: 0 };
    },
    results: () => results,
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function readResult(line: unknown, wires: readonly UpstreamWire[]): BatchResult | undefined {
  const { response, result } = recordOf(line);
  const body = recordOf(response)["body"] ?? recordOf(result)["message"];
  const { model, usage } = readAnswer(body, wires) ?? {};
  return usage && { model: model ?? "", usage };
}

const WIRES: Readonly<Record<string, string>> = {
  "chat.completion": "openai-chat",
  response: "openai-responses",
};

/** Also of an answer that is none of these (embeddings), or whose request failed: its usage, if it has one. */
function readAnswer(body: unknown, wires: readonly UpstreamWire[]): AnswerSummary | undefined {
  if (!isRecord(body)) return undefined;
  const name = body["type"] === "message" ? "anthropic-messages" : WIRES[String(body["object"])];
  const wire = wires.find(({ clientWireName }) => clientWireName === name);
  try {
    if (wire !== undefined) return summarise(wire.toResponse(body));
  } catch {
    // It says that it failed.
  }
  return readUsageOnly(body);
}
