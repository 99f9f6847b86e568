/**
 * Providers that speak the OpenAI chat wire: one adapter, and one row of data a vendor (openai-rows.ts). The client's
 * own bytes go out with as few edits as possible; what comes back is read by upstream-answer.ts and upstream-stream.ts.
 */

import type { ChatRequest } from "../schema/chat.ts";
import { editTopLevel } from "../json/edit.ts";
import { isPresent, recordOf, type JsonRecord } from "../json/fields.ts";
import { formatChatRequest, OURS, type RequestForm } from "../wires/openai-chat/upstream-request.ts";
import { callIdFitter } from "../wires/openai-chat/upstream-fit.ts";
import { ownItems, ownTurns } from "../wires/foreign-reasoning.ts";
import { readOpenAiError } from "../wires/openai-chat/upstream-errors.ts";
import { createOpenAiDecoder } from "../wires/openai-chat/upstream-stream.ts";
import { formatEmbeddingRequest, readOpenAiEmbeddings } from "../wires/openai-embeddings/upstream-wire.ts";
import {
  createResponsesDecoder,
  readResponse,
  toResponsesNames,
} from "../wires/openai-responses/upstream-wire.ts";
import { readCompletion } from "../wires/openai-chat/upstream-answer.ts";
import type { LocalUpstream, Provider } from "./provider.ts";
import type {
  UpstreamEmbeddingWire,
  ProviderAccount,
  Target,
  UpstreamRequest,
  UpstreamWire,
} from "../wires/upstream-wire.ts";
import { toJson } from "../json/exact.ts";

/** All that tells one OpenAI-compatible vendor from another. */
export interface OpenAiCompatibleRow extends RequestForm {
  readonly kind: string;
  /** `gen_ai.provider.name`: a well-known value of the GenAI conventions v1.41, else the kind with underscores. */
  readonly vendor: string;
  /** As the vendor's own SDK takes it, `/v1` included; absent where each account must name its own. */
  readonly defaultBaseUrl?: string;
  /** Header that takes the bare key; absent for `authorization: Bearer …`. */
  readonly keyHeader?: string;
  readonly local?: LocalUpstream;
  /** Whether it speaks the Responses wire as well. */
  readonly speaksResponses?: boolean;
  readonly lacksEmbeddings?: boolean;
  /** Whether it takes WebSockets at `/realtime`, with OpenAI's events. */
  readonly speaksRealtime?: boolean;
}

/** Where a call goes; `path` stands behind the base URL: `/chat/completions`, `/responses`, `/embeddings`. */
export type UrlOf = (target: Target, path: string) => string;

const behindBaseUrl: UrlOf = ({ account }, path) => joinUrl(account.baseUrl, path);

/** A row as a provider. `urlOf` is for vendors that put more into the path than the base URL says. */
export function createOpenAiCompatible(row: OpenAiCompatibleRow, urlOf: UrlOf = behindBaseUrl): Provider {
  const chatWire = createChatWire(row, urlOf);
  return {
    kind: row.kind,
    vendor: row.vendor,
    ...(row.defaultBaseUrl !== undefined && { defaultBaseUrl: row.defaultBaseUrl }),
    ...(row.local !== undefined && { local: row.local }),
    wires: row.speaksResponses === true ? [chatWire, createResponsesWire(row, urlOf)] : [chatWire],
    ...(row.lacksEmbeddings !== true && { embeddings: [createEmbeddingWire(row, urlOf)] as const }),
    ...(row.speaksRealtime === true && {
      toRealtime: (target, query, isModelless) =>
        realtimeRequest(row, target, urlOf(target, "/realtime"), [
          ...query,
          ...(isModelless ? [] : [["model", target.model] as const]),
        ]),
    }),
    nativeHeaders: (account) => credentialsOf(row, account),
    toError: readOpenAiError,
  };
}

/** The request that a WebSocket begins with; `params` come behind the address's own. */
export function realtimeRequest(
  row: OpenAiCompatibleRow,
  { account }: Target,
  address: string,
  params: Iterable<readonly [string, string]>,
): UpstreamRequest {
  const url = new URL(address);
  for (const [name, value] of params) url.searchParams.append(name, value);
  return { method: "GET", url: url.href, headers: credentialsOf(row, account) };
}

function createEmbeddingWire(row: OpenAiCompatibleRow, urlOf: UrlOf): UpstreamEmbeddingWire {
  return {
    clientWireName: "openai-embeddings",
    toRequest: (chat, target, translation) => ({
      method: "POST",
      url: urlOf(target, "/embeddings"),
      headers: headersOf(row, target.account),
      body: translation ? formatEmbeddingRequest(target, translation) : editBody(row, chat, target, {}),
    }),
    toResponse: readOpenAiEmbeddings,
  };
}

function createChatWire(row: OpenAiCompatibleRow, urlOf: UrlOf): UpstreamWire {
  return {
    clientWireName: "openai-chat",
    takesHints: row.takesHints === true,
    paths: /\/chat\/completions$/,
    toRequest: (chat, target, translation) => ({
      method: "POST",
      url: urlOf(target, "/chat/completions"),
      headers: headersOf(row, target.account),
      body: translation
        ? formatChatRequest(chat, target, translation, formOf(row, target.account))
        : bodyOf(row, chat, target),
    }),
    toResponse: readCompletion,
    decoder: createOpenAiDecoder,
  };
}

const REASONING_FIELDS = ["reasoning_content", "reasoning", "reasoning_details"] as const;

/** The row with what the account's options say of its server. */
function formOf(row: OpenAiCompatibleRow, { options }: ProviderAccount): OpenAiCompatibleRow {
  const { reasoningField: named } = options;
  if (named === undefined) return row;
  const { reasoningField: _, ...rest } = row;
  const field = REASONING_FIELDS.find((known) => known === named);
  return field === undefined ? rest : { ...rest, reasoningField: field };
}

function createResponsesWire(row: OpenAiCompatibleRow, urlOf: UrlOf): UpstreamWire {
  return {
    clientWireName: "openai-responses",
    paths: /\/responses$/,
    toRequest: (chat, target) => ({
      method: "POST",
      url: urlOf(target, "/responses"),
      headers: headersOf(row, target.account),
      body: editBody(row, chat, { ...target, params: toResponsesNames(chat.body, target.params) }, {}),
    }),
    toResponse: readResponse,
    decoder: createResponsesDecoder,
  };
}

/** The path behind the base URL's own, with one slash between them; a query of the base stays at the end. */
export function joinUrl(baseUrl: string, path: string): string {
  const queryAt = baseUrl.indexOf("?");
  const base = queryAt < 0 ? baseUrl : baseUrl.slice(0, queryAt);
  const query = queryAt < 0 ? "" : baseUrl.slice(queryAt);
  return base.replace(/(?<!\/)\/+$/, "") + path + query;
}

function headersOf(row: OpenAiCompatibleRow, account: ProviderAccount): Readonly<Record<string, string>> {
  return { "content-type": "application/json", ...credentialsOf(row, account) };
}

/** Names in lower case, so that an account's own header replaces ours however it is written. */
function credentialsOf(row: OpenAiCompatibleRow, account: ProviderAccount): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  if (account.apiKey !== undefined) {
    if (row.keyHeader === undefined) headers["authorization"] = `Bearer ${account.apiKey}`;
    else headers[row.keyHeader] = account.apiKey;
  }
  for (const [name, value] of Object.entries(account.headers)) headers[name.toLowerCase()] = value;
  return headers;
}

function bodyOf(row: OpenAiCompatibleRow, chat: ChatRequest, target: Target): string {
  const rename = renamesOf(row, chat.body);
  if (!row.takesStreamOptions) {
    // Most SDKs send them unasked: null says nothing, and is taken by those who refuse what is in them.
    const isSaid = isPresent(chat.body["stream_options"]);
    return editBody(row, chat, target, isSaid ? { stream_options: null } : {}, rename);
  }
  if (!chat.stream) return editBody(row, chat, target, {}, rename);
  const options = recordOf(target.params?.["stream_options"] ?? chat.body["stream_options"]);
  if (options["include_usage"] === true) return editBody(row, chat, target, {}, rename);
  // Also where the client said false: without the usage the request could be neither billed nor limited.
  return editBody(row, chat, target, { stream_options: { ...options, include_usage: true } }, rename);
}

/** OpenAI's names that the vendor has others for, where the client doesn't use those already. */
function renamesOf(row: OpenAiCompatibleRow, body: JsonRecord): Readonly<Record<string, string>> {
  const renames: Record<string, string> = {};
  if (row.maxTokensField === "max_tokens" && body["max_tokens"] === undefined) {
    renames["max_completion_tokens"] = row.maxTokensField;
  }
  if (row.seedField !== undefined && body[row.seedField] === undefined) renames["seed"] = row.seedField;
  return renames;
}

/** The client's body with the target's model and parameters, what else is ours to set, and without other vendors' reasoning. */
function editBody(
  row: OpenAiCompatibleRow,
  chat: ChatRequest,
  target: Target,
  ours: JsonRecord,
  rename: Readonly<Record<string, string>> = {},
): string {
  const fitId = callIdFitter(row);
  const set: Record<string, string> = {};
  const { messages, input } = chat.body;
  const [field, own] =
    messages === undefined ? ["input", ownItems(input)] : ["messages", ownTurns(messages, fitId)];
  if (own !== undefined) set[field] = toJson(own);
  if (chat.body["model"] !== target.model) set["model"] = toJson(target.model);
  for (const [name, value] of Object.entries({ ...target.params, ...ours })) {
    if (value !== undefined && !OURS.has(name)) set[name] = toJson(value);
  }
  const isRenamed = Object.keys(rename).some((name) => chat.body[name] !== undefined);
  if (Object.keys(set).length === 0 && !isRenamed) return chat.bodyText;
  return editTopLevel(chat.bodyText, { set, rename });
}
