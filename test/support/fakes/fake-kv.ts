// A KV namespace in memory with KV's own refusals, and what cache tests need of requests and entries.
import type { CacheEntry } from "../../../src/cache/entry.ts";
import type { CacheKv } from "../../../src/cache/store.ts";
import { openAiChat } from "../../../src/wires/openai-chat/client-wire.ts";
import type { ChatRequest } from "../../../src/schema/chat.ts";

export interface StoredValue {
  readonly value: string;
  readonly metadata: unknown;
  readonly expirationTtl: number;
}

export interface FakeKv extends CacheKv {
  readonly values: Map<string, StoredValue>;
}

export function createFakeKv(): FakeKv {
  const values = new Map<string, StoredValue>();
  return {
    values,
    getWithMetadata: async (name) => values.get(name) ?? { value: null, metadata: null },
    put: async (name, value, { expirationTtl, metadata }) => {
      if (expirationTtl < 60) throw new Error("KV PUT failed: 400 Invalid expiration_ttl");
      if (Buffer.byteLength(name) > 512) throw new Error("KV PUT failed: 414 key too long");
      if (Buffer.byteLength(JSON.stringify(metadata)) > 1024) throw new Error("KV PUT failed: 413 metadata");
      // Metadata goes through JSON in KV: what is not JSON must not seem to survive.
      values.set(name, { value, metadata: JSON.parse(JSON.stringify(metadata)), expirationTtl });
    },
  };
}

export function chatOf(body: object): ChatRequest {
  return openAiChat.parseRequest(JSON.stringify(body));
}

export const ENTRY: CacheEntry = {
  form: "json",
  contentType: "application/json",
  body: '{"choices":[{"index":0,"message":{"role":"assistant","content":"Grüezi 👋🏽"},"finish_reason":"stop"}]}',
  usage: { inputTokens: 5, outputTokens: 3, cacheReadTokens: 1 },
  costMicroUsd: 1.25,
  durationMs: 800,
  storedAt: 1_700_000_000_000,
  ttlSeconds: 3600,
  trace: { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" },
  model: "gpt-4o-mini-2024-07-18",
  target: "openai/gpt-4o-mini",
};
