/**
 * Cohere's chat API, version 2, which no client wire equals. Its wire is upstream-request.ts, upstream-answer.ts and
 * upstream-stream.ts. https://docs.cohere.com/reference/about (seen 2026-11)
 */

import { GatewayError } from "../errors.ts";
import { writeCohereChat } from "../wires/cohere/upstream-request.ts";
import { createCohereDecoder } from "../wires/cohere/upstream-stream.ts";
import { readCohereChat } from "../wires/cohere/upstream-answer.ts";
import { readOpenAiError } from "../wires/openai-chat/upstream-errors.ts";
import type { Provider } from "./provider.ts";
import type { ProviderAccount, UpstreamWire } from "../wires/upstream-wire.ts";
import { toJson } from "../json/exact.ts";

const chatWire: UpstreamWire = {
  clientWireName: undefined,
  toRequest(chat, target, translation) {
    if (translation === undefined)
      throw new GatewayError("internal_error", "Cohere's chat is an upstream-only wire.");
    return {
      method: "POST",
      url: joinUrl(target.account.baseUrl, "/v2/chat"),
      headers: { "content-type": "application/json", ...headersOf(target.account) },
      body: toJson(writeCohereChat(chat, target, translation)),
    };
  },
  toResponse: readCohereChat,
  decoder: createCohereDecoder,
  paths: /^\/v2\/chat$/,
};

export const cohere: Provider = {
  kind: "cohere",
  vendor: "cohere",
  defaultBaseUrl: "https://api.cohere.com",
  wires: [chatWire],
  nativeHeaders: headersOf,
  toError: readCohereError,
};

/** Names in lower case, so that an account's own header replaces ours however it is written. */
function headersOf(account: ProviderAccount): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  if (account.apiKey !== undefined) headers["authorization"] = `Bearer ${account.apiKey}`;
  for (const [name, value] of Object.entries(account.headers)) headers[name.toLowerCase()] = value;
  return headers;
}

/** The vendor's SDK takes a base without a version; one that has it is meant as well. */
function joinUrl(baseUrl: string, path: string): string {
  return baseUrl.replace(/(?<!\/)\/+$/, "").replace(/\/v[12]$/, "") + path;
}

/** No credit left: the account's fault. */
const PAYMENT_REQUIRED = 402;
/** A word of the request or the answer is on a deny list: the caller's fault. */
const DENIED_WORD = 498;
const REJECTED_STATUS = 400;

/** Statuses and messages stand where other vendors' do, but for two: https://docs.cohere.com/reference/errors (seen 2026-11) */
function readCohereError(...[status, headers, body, context]: Parameters<Provider["toError"]>): GatewayError {
  if (status === PAYMENT_REQUIRED) {
    const message = "The account of this provider has no credit left.";
    return new GatewayError("upstream_auth", message, { upstreamStatus: status });
  }
  return readOpenAiError(status === DENIED_WORD ? REJECTED_STATUS : status, headers, body, context);
}
