/**
 * Whether a request may be answered from the cache, and whether an answer may be put there. Pure; the look-up itself is
 * store.ts. The rules are src/docs/http-api.md.
 */

import type { ChatChunk, ChatResponse, FinishReason } from "../schema/chat.ts";
import { GatewayError } from "../errors.ts";

export type CacheMode =
  /** Look up, and store what was not found. */
  | "on"
  /** Neither. */
  | "off"
  /** Don't look up, but store. */
  | "refresh"
  /** Look up; a miss is answered 504 (`cache_miss`). */
  | "only-if-cached";

export interface CacheDirective {
  readonly mode: CacheMode;
  readonly ttlSeconds: number;
  /** Why it is off: `gateway.cache.reason`. */
  readonly reason?: "tenant_off" | "request_off" | "no_store";
}

/** The tenant's own settings: `cache` of its record. */
export interface CacheSettings {
  /** `never`: no header turns it on. */
  readonly enabled: boolean | "never";
  readonly ttlSeconds: number;
}

const MODE_HEADER = "x-headgate-cache";
const TTL_HEADER = "x-headgate-cache-ttl";
/** KV's minimum is a minute; 30 days is the contract's maximum. */
const MIN_TTL_SECONDS = 60;
const MAX_TTL_SECONDS = 2_592_000;
const STORABLE_STATUS = 200;

/**
 * The tenant's settings as overridden by the request's headers; `x-headgate-cache` before `cache-control`. Throws
 * `invalid_request` that names the header. A `cache-control` never switches the cache on: HTTP clients send `no-cache` by
 * themselves.
 */
export function cacheDirective(headers: Headers, tenant: CacheSettings): CacheDirective {
  const ttlSeconds = readTtl(headers) ?? tenant.ttlSeconds;
  const asked = readMode(headers);
  if (tenant.enabled === "never") return neverCached(headers, asked, ttlSeconds);
  if (asked !== undefined) {
    return { mode: asked, ttlSeconds, ...(asked === "off" && { reason: "request_off" }) };
  }
  const control = readCacheControl(headers);
  if (control.has("no-store")) return { mode: "off", ttlSeconds, reason: "no_store" };
  if (control.has("only-if-cached")) return { mode: "only-if-cached", ttlSeconds };
  if (!tenant.enabled) return { mode: "off", ttlSeconds, reason: "tenant_off" };
  return { mode: control.has("no-cache") ? "refresh" : "on", ttlSeconds };
}

/** The operator has ruled the cache out; only a client that accepts nothing but a cached answer has to know. */
function neverCached(headers: Headers, asked: CacheMode | undefined, ttlSeconds: number): CacheDirective {
  if (
    asked === "only-if-cached" ||
    (asked === undefined && readCacheControl(headers).has("only-if-cached"))
  ) {
    throw new GatewayError("cache_miss", 'This tenant\'s cache is switched off (`cache.enabled`: "never").');
  }
  return { mode: "off", ttlSeconds, reason: "tenant_off" };
}

function readMode(headers: Headers): CacheMode | undefined {
  const value = headers.get(MODE_HEADER)?.trim().toLowerCase();
  switch (value) {
    case undefined:
    case "on":
    case "off":
    case "refresh":
    case "only-if-cached":
      return value;
    default:
      return refuse(MODE_HEADER, "use on, off, refresh or only-if-cached");
  }
}

function readTtl(headers: Headers): number | undefined {
  const value = headers.get(TTL_HEADER)?.trim();
  if (value === undefined) return undefined;
  const seconds = /^\d+$/.test(value) ? Number(value) : Number.NaN;
  if (seconds >= MIN_TTL_SECONDS && seconds <= MAX_TTL_SECONDS) return seconds;
  return refuse(TTL_HEADER, `use whole seconds from ${MIN_TTL_SECONDS} to ${MAX_TTL_SECONDS}`);
}

function refuse(header: string, advice: string): never {
  throw new GatewayError("invalid_request", `Invalid header \`${header}\`: ${advice}.`, { param: header });
}

function readCacheControl(headers: Headers): ReadonlySet<string> {
  const value = headers.get("cache-control");
  return new Set(value?.split(",").map((directive) => directive.trim().toLowerCase()));
}

/** The facts of an answer that decide whether it is stored. */
export interface AnswerFacts {
  /** Whether it is complete: each choice finished or the end mark seen, and no error. */
  readonly isComplete: boolean;
  readonly finishReasons: readonly FinishReason[];
  readonly hasRefusal: boolean;
  readonly hasToolCalls: boolean;
}

export type Storability =
  | { readonly isStorable: true }
  /** `gateway.cache.reason`. */
  | {
      readonly isStorable: false;
      readonly reason: "status" | "incomplete" | "refusal" | "content_filter" | "tool_calls";
    };

/** Whether an answer may be stored: only a complete 200 that is right for the next request too. */
export function isStorable(
  status: number,
  answer: AnswerFacts,
  { toolCalls = false }: { readonly toolCalls?: boolean } = {},
): Storability {
  if (status !== STORABLE_STATUS) return { isStorable: false, reason: "status" };
  if (!answer.isComplete) return { isStorable: false, reason: "incomplete" };
  if (answer.hasRefusal) return { isStorable: false, reason: "refusal" };
  if (answer.finishReasons.includes("content_filter")) return { isStorable: false, reason: "content_filter" };
  const callsTools = answer.hasToolCalls || answer.finishReasons.includes("tool_calls");
  if (callsTools && !toolCalls) return { isStorable: false, reason: "tool_calls" };
  return { isStorable: true };
}

/** The facts of a non-streamed answer. */
export function factsOfResponse({ choices }: ChatResponse): AnswerFacts {
  const finishReasons = choices.flatMap(({ finishReason }) => finishReason ?? []);
  return {
    isComplete: choices.length > 0 && finishReasons.length === choices.length,
    finishReasons,
    hasRefusal: choices.some(({ refusal }) => refusal !== undefined),
    hasToolCalls: choices.some(({ toolCalls }) => toolCalls.length > 0),
  };
}

/** The facts of all chunks of a stream. */
export function factsOfChunks(chunks: Iterable<ChatChunk>): AnswerFacts {
  const choices = new Set<number>();
  const finished = new Map<number, FinishReason>();
  const seen = new Set<ChatChunk["type"]>();
  for (const chunk of chunks) {
    seen.add(chunk.type);
    if ("index" in chunk) choices.add(chunk.index);
    if (chunk.type === "finish") finished.set(chunk.index, chunk.reason);
  }
  const isFinished = seen.has("done") || finished.size === choices.size;
  return {
    isComplete: isFinished && choices.size > 0 && !seen.has("error"),
    finishReasons: [...finished.values()],
    hasRefusal: seen.has("refusal"),
    hasToolCalls: seen.has("tool_call"),
  };
}
