/**
 * Google's Gemini API with an API key. What it shares with Vertex, which serves the same wire elsewhere, is in the other
 * gemini-*.ts. https://ai.google.dev/api (seen 2026-11)
 */

import {
  readGeminiEmbeddings,
  forwardEmbedding,
  writeEmbedding,
} from "../wires/gemini/upstream-embeddings.ts";
import { readGeminiError } from "../wires/gemini/upstream-errors.ts";
import { toBody, toCountBody } from "../wires/gemini/upstream-request.ts";
import { createGeminiDecoder } from "../wires/gemini/upstream-stream.ts";
import { readAnswer } from "../wires/gemini/upstream-answer.ts";
import type { Provider } from "./provider.ts";
import type {
  UpstreamEmbeddingWire,
  ProviderAccount,
  Target,
  UpstreamRequest,
  UpstreamWire,
} from "../wires/upstream-wire.ts";

const DEFAULT_VERSION = "v1beta";

const chatWire: UpstreamWire = {
  clientWireName: "gemini",
  toRequest(chat, target, translation) {
    // Always events, also for a client who wants an array: the gateway reads along.
    const method = chat.stream ? "streamGenerateContent?alt=sse" : "generateContent";
    return toPost(target, method, toBody(chat, target, translation));
  },
  toResponse: readAnswer,
  decoder: createGeminiDecoder,
  paths: /^\/(v1\w*\/)?(models|tunedModels)\/[^/]+:(stream)?[gG]enerateContent$/,
};

const embeddingWire: UpstreamEmbeddingWire = {
  clientWireName: "gemini",
  toRequest(chat, target, translation) {
    const { method, body } =
      translation === undefined ? forwardEmbedding(chat, target) : writeEmbedding(translation.ask, target);
    return toPost(target, method, body);
  },
  toResponse: readGeminiEmbeddings,
};

export const gemini: Provider = {
  kind: "gemini",
  vendor: "gcp.gemini",
  defaultBaseUrl: "https://generativelanguage.googleapis.com",
  wires: [chatWire],
  embeddings: [embeddingWire],
  counter: {
    clientWireName: "gemini",
    toRequest: (chat, target) => toPost(target, "countTokens", toCountBody(chat, target)),
  },
  nativeHeaders,
  toError: readGeminiError,
};

function toPost({ account, model }: Target, method: string, body: string): UpstreamRequest {
  return {
    method: "POST",
    url: `${versionedUrl(account)}/${modelPath(model)}:${method}`,
    headers: { "content-type": "application/json", ...nativeHeaders(account) },
    body,
  };
}

/** The base URL with its API version, unless it names one itself. */
function versionedUrl({ baseUrl, options }: ProviderAccount): string {
  const base = baseUrl.replace(/(?<!\/)\/+$/, "");
  if (/\/v1[a-z0-9]*$/.test(base)) return base;
  return `${base}/${String(options["apiVersion"] ?? DEFAULT_VERSION)}`;
}

/** `gemini-2.5-flash` or, as Google's own lists have them, `models/…` and `tunedModels/…`. */
function modelPath(model: string): string {
  const path = model.split("/").map(encodeURIComponent).join("/");
  return path.includes("/") ? path : `models/${path}`;
}

function nativeHeaders({ apiKey, headers }: ProviderAccount): Readonly<Record<string, string>> {
  const own = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  return { ...(apiKey !== undefined && { "x-goog-api-key": apiKey }), ...Object.fromEntries(own) };
}
