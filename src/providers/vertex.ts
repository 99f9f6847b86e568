/**
 * Google's Vertex AI: Gemini in Gemini's wire, Claude in Anthropic's, under one account. The account's `apiKey` is a service
 * account's key file as one line of JSON, or a ready access token; options `project` (else the key file's) and `location`
 * (`global` where absent). https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest (seen 2026-11)
 */

import { GatewayError } from "../errors.ts";
import { editTopLevel } from "../json/edit.ts";
import { listOf, recordOf } from "../json/fields.ts";
import { editMessages, writeMessages } from "../wires/anthropic/upstream-request.ts";
import { createAnthropicDecoder } from "../wires/anthropic/upstream-stream.ts";
import { readMessage } from "../wires/anthropic/upstream-answer.ts";
import { readGeminiError } from "../wires/gemini/upstream-errors.ts";
import { toBody, toCountedFields } from "../wires/gemini/upstream-request.ts";
import { createGeminiDecoder } from "../wires/gemini/upstream-stream.ts";
import { readAnswer } from "../wires/gemini/upstream-answer.ts";
import type { Provider, TokenCounter } from "./provider.ts";
import type {
  UpstreamEmbeddingWire,
  ProviderAccount,
  Target,
  UpstreamRequest,
  UpstreamWire,
} from "../wires/upstream-wire.ts";
import { createTokenCache, parseServiceAccount } from "./vertex-token.ts";
import { isCount, malformed } from "../wires/read-upstream.ts";
import { toJson } from "../json/exact.ts";

const DEFAULT_BASE_URL = "https://aiplatform.googleapis.com";
const DEFAULT_VERSION = "v1";
const GLOBAL = "global";
/** It becomes part of a host name, so no other characters are allowed. */
const LOCATION = /^[a-z0-9-]{1,40}$/;
/** What a body for Claude says in place of the model: https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai (seen 2026-11). */
const ANTHROPIC_VERSION = "vertex-2023-10-16";

const geminiWire: UpstreamWire = {
  clientWireName: "gemini",
  toRequest(chat, target, translation) {
    const method = chat.stream ? "streamGenerateContent?alt=sse" : "generateContent";
    return toPost(target, "google", method, toBody(chat, target, translation));
  },
  toResponse: readAnswer,
  decoder: createGeminiDecoder,
  paths: /\/publishers\/google\/models\/(?<model>[^/]+):(stream)?[gG]enerateContent$/,
};

const claudeWire: UpstreamWire = {
  clientWireName: "anthropic-messages",
  toRequest(chat, target, translation) {
    const body =
      translation === undefined
        ? editMessages(chat, target)
        : toJson(writeMessages(chat, target, translation));
    const method = chat.stream ? "streamRawPredict" : "rawPredict";
    return toPost(target, "anthropic", method, withoutModel(body));
  },
  toResponse: readMessage,
  decoder: createAnthropicDecoder,
  paths: /\/publishers\/anthropic\/models\/(?<model>[^/]+):(streamR|r)awPredict$/,
};

/** The body with the version where the model was: Vertex refuses a model that isn't in the path. */
function withoutModel(body: string): string {
  const set = { model: toJson(ANTHROPIC_VERSION) };
  return editTopLevel(editTopLevel(body, { set }), { set: {}, rename: { model: "anthropic_version" } });
}

/** A model of its own, whose body names the model to count for: https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/count-tokens (seen 2026-11). */
const claudeCounter: TokenCounter = {
  clientWireName: "anthropic-messages",
  toRequest(chat, target) {
    const { model } = target;
    const body = editMessages(chat, { ...target, model: bareModel(model), params: {} });
    const set = { anthropic_version: toJson(ANTHROPIC_VERSION) };
    return toPost(
      { ...target, model: "count-tokens" },
      "anthropic",
      "rawPredict",
      editTopLevel(body, { set }),
    );
  },
};

/** https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/count-tokens (seen 2026-11) */
const geminiCounter: TokenCounter = {
  clientWireName: "gemini",
  toRequest: (chat, target) => toPost(target, "google", "countTokens", toCountedFields(chat)),
};

/** https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api (seen 2026-11). */
const embeddingWire: UpstreamEmbeddingWire = {
  clientWireName: undefined,
  toRequest(_chat, target, translation) {
    if (translation === undefined)
      throw new GatewayError("internal_error", "Vertex's embeddings are an upstream-only wire.");
    const { inputs, dimensions, task, title } = translation.ask;
    const instances = inputs.map((content) => {
      if (typeof content !== "string") {
        const message = "This model doesn't accept token ids: send `input` as text.";
        throw new GatewayError("invalid_request", message, { param: "input" });
      }
      return {
        content,
        ...(task !== undefined && { task_type: task }),
        ...(title !== undefined && { title }),
      };
    });
    const parameters = dimensions === undefined ? {} : { parameters: { outputDimensionality: dimensions } };
    return toPost(target, "google", "predict", toJson({ instances, ...parameters }));
  },
  toResponse(body) {
    const embeddings = listOf(recordOf(body)["predictions"]).map((one) =>
      recordOf(recordOf(one)["embeddings"]),
    );
    if (embeddings.length === 0) throw malformed("a response without embeddings");
    const counts = embeddings.map((embedding) => recordOf(embedding["statistics"])["token_count"]);
    const inputTokens = counts.reduce<number>((sum, count) => sum + (isCount(count) ? count : 0), 0);
    const vectors = embeddings.map(({ values }) => {
      if (Array.isArray(values) && values.every((value) => typeof value === "number")) return values;
      throw malformed("an embedding that is not a list of numbers");
    });
    return {
      vectors: () => vectors,
      ...(counts.some(isCount) && { usage: { inputTokens, outputTokens: 0 } }),
    };
  },
};

const tokenOf = createTokenCache();

export const vertex: Provider = {
  kind: "vertex",
  vendor: "gcp.vertex_ai",
  defaultBaseUrl: DEFAULT_BASE_URL,
  wires: [geminiWire, claudeWire],
  wiresOf: ({ model }) => (isClaude(model) ? [claudeWire] : [geminiWire]),
  embeddings: [embeddingWire],
  counterOf: ({ model }) => (isClaude(model) ? claudeCounter : geminiCounter),
  baseUrlOf,
  nativeHeaders: headersOf,
  async sign(request, { account }, ports) {
    // An account's own header is a credential that is ready.
    if (account.apiKey === undefined || request.headers["authorization"] !== undefined) return request;
    const serviceAccount = parseServiceAccount(account.apiKey);
    const token = serviceAccount === undefined ? account.apiKey : await tokenOf(serviceAccount, ports);
    return { ...request, headers: { ...request.headers, authorization: `Bearer ${token}` } };
  },
  toError: readGeminiError,
};

function isClaude(model: string): boolean {
  return /^(anthropic\/)?claude-/.test(model);
}

/** Without the publisher, which is in the path. */
function bareModel(model: string): string {
  return model.replace(/^(google|anthropic)\//, "");
}

function toPost(target: Target, publisher: string, method: string, body: string): UpstreamRequest {
  const { account } = target;
  const project = encodeURIComponent(projectOf(account));
  const location = locationOf(account);
  const model = encodeURIComponent(bareModel(target.model)).replaceAll("%40", "@");
  const version = String(account.options["apiVersion"] ?? DEFAULT_VERSION);
  const path = `projects/${project}/locations/${location}/publishers/${publisher}/models/${model}:${method}`;
  return {
    method: "POST",
    url: `${baseUrlOf(account)}/${version}/${path}`,
    headers: { "content-type": "application/json", ...headersOf(account) },
    body,
  };
}

function projectOf({ name, apiKey, options }: ProviderAccount): string {
  const project =
    options["project"] ?? (apiKey === undefined ? undefined : parseServiceAccount(apiKey)?.projectId);
  if (project !== undefined) return String(project);
  throw new GatewayError("upstream_error", `The provider '${name}' needs the option project.`);
}

function locationOf({ name, options }: ProviderAccount): string {
  const location = String(options["location"] ?? GLOBAL);
  if (LOCATION.test(location)) return location;
  throw new GatewayError(
    "upstream_error",
    `The option location of the provider '${name}' is not a Google Cloud location.`,
  );
}

/** A record that names no address is served by the location's own. One of no such form stays out of a host name. */
function baseUrlOf({ baseUrl, options }: ProviderAccount): string {
  const location = String(options["location"] ?? GLOBAL);
  const isOwn = baseUrl !== DEFAULT_BASE_URL || location === GLOBAL || !LOCATION.test(location);
  if (isOwn) return baseUrl.replace(/(?<!\/)\/+$/, "");
  // The two multi-regions have hosts of another form.
  if (location === "us" || location === "eu") return `https://aiplatform.${location}.rep.googleapis.com`;
  return `https://${location}-aiplatform.googleapis.com`;
}

function headersOf({ headers }: ProviderAccount): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
