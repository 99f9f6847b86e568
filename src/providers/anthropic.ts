/**
 * Anthropic's own API: the Messages wire, in the client's bytes or written from a conversation. The wire itself is
 * upstream-request.ts, upstream-answer.ts and upstream-stream.ts. https://platform.claude.com/docs/en/api (seen 2026-11)
 */

import { readAnthropicError } from "../wires/anthropic/upstream-errors.ts";
import { editMessages, writeMessages } from "../wires/anthropic/upstream-request.ts";
import { createAnthropicDecoder } from "../wires/anthropic/upstream-stream.ts";
import { readMessage } from "../wires/anthropic/upstream-answer.ts";
import type { Provider, TokenCounter } from "./provider.ts";
import type { ProviderAccount, UpstreamRequest, UpstreamWire } from "../wires/upstream-wire.ts";
import { toJson } from "../json/exact.ts";

/**
 * The version a translated request is written for. A client of this wire sends its own and gets answers in the form of that
 * one; one that sends none gets this.
 */
const TRANSLATED_VERSION = "2023-06-01";

/** The vendor refuses a request without a version. */
const DEFAULT_HEADERS = { "anthropic-version": TRANSLATED_VERSION };

const messagesWire: UpstreamWire = {
  clientWireName: "anthropic-messages",
  toRequest(chat, target, translation) {
    const body =
      translation === undefined
        ? editMessages(chat, target)
        : toJson(writeMessages(chat, target, translation));
    return request(target.account, "/v1/messages", body, translation !== undefined);
  },
  toResponse: readMessage,
  decoder: createAnthropicDecoder,
  paths: /^\/v1\/messages$/,
};

const counter: TokenCounter = {
  clientWireName: "anthropic-messages",
  toRequest: (chat, target) =>
    request(
      target.account,
      "/v1/messages/count_tokens",
      editMessages(chat, { ...target, params: {} }),
      false,
    ),
};

export const anthropic: Provider = {
  kind: "anthropic",
  vendor: "anthropic",
  defaultBaseUrl: "https://api.anthropic.com",
  wires: [messagesWire],
  counter,
  nativeHeaders: (account) => headersOf(account, false),
  toError: readAnthropicError,
};

function request(
  account: ProviderAccount,
  path: string,
  body: string,
  isTranslated: boolean,
): UpstreamRequest {
  return {
    method: "POST",
    url: joinUrl(account.baseUrl, path),
    headers: { "content-type": "application/json", ...headersOf(account, isTranslated) },
    ...(!isTranslated && { defaultHeaders: DEFAULT_HEADERS }),
    body,
  };
}

/** Names in lower case, so that an account's own header replaces ours however it is written. */
function headersOf(account: ProviderAccount, isTranslated: boolean): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  if (isTranslated) headers["anthropic-version"] = TRANSLATED_VERSION;
  if (account.apiKey !== undefined) headers["x-api-key"] = account.apiKey;
  for (const [name, value] of Object.entries(account.headers)) headers[name.toLowerCase()] = value;
  return headers;
}

/** The vendor's SDK takes a base without a version; one that has it is meant as well. */
function joinUrl(baseUrl: string, path: string): string {
  return baseUrl.replace(/(?<!\/)\/+$/, "").replace(/\/v1$/, "") + path;
}
