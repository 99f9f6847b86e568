/**
 * Providers that speak the OpenAI chat wire: one adapter, and one row of data a vendor (openai-rows.ts). The client's
 * own bytes go out with as few edits as possible; what comes back is read by openai-wire.ts and openai-stream.ts.
 */

import type { ChatRequest } from "../chat.ts";
import { editTopLevel } from "../json-edit.ts";
import { recordOf } from "../json-fields.ts";
import { readOpenAiError } from "./openai-errors.ts";
import { createOpenAiDecoder } from "./openai-stream.ts";
import { readCompletion } from "./openai-wire.ts";
import type { LocalUpstream, Provider, ProviderAccount, Target } from "./provider.ts";

/** All that tells one OpenAI-compatible vendor from another. */
export interface OpenAiCompatibleRow {
  readonly kind: string;
  /** `gen_ai.provider.name`: a well-known value of the GenAI conventions v1.41, else the kind with underscores. */
  readonly semconvName: string;
  /** As the vendor's own SDK takes it, `/v1` included; absent where each account must name its own. */
  readonly defaultBaseUrl?: string;
  /** Header that takes the bare key; absent for `authorization: Bearer …`. */
  readonly keyHeader?: string;
  /** False where the vendor refuses `stream_options` or sends usage unasked. */
  readonly takesStreamOptions: boolean;
  readonly local?: LocalUpstream;
}

/** Fields of the body that are the gateway's: a target's `params` may not set them. */
const OURS: ReadonlySet<string> = new Set(["model", "stream", "messages"]);

/** A row as a provider. */
export function createOpenAiCompatible(row: OpenAiCompatibleRow): Provider {
  return {
    kind: row.kind,
    dialect: "openai-chat",
    semconvName: row.semconvName,
    ...(row.defaultBaseUrl !== undefined && { defaultBaseUrl: row.defaultBaseUrl }),
    ...(row.local !== undefined && { local: row.local }),
    toRequest: (chat, target) => ({
      method: "POST",
      url: joinUrl(target.account.baseUrl, "/chat/completions"),
      headers: headersOf(row, target.account),
      body: bodyOf(row, chat, target),
    }),
    toResponse: readCompletion,
    decoder: createOpenAiDecoder,
    toError: readOpenAiError,
  };
}

/** The path behind the base URL's own, with one slash between them; a query of the base stays at the end. */
function joinUrl(baseUrl: string, path: string): string {
  const queryAt = baseUrl.indexOf("?");
  const base = queryAt < 0 ? baseUrl : baseUrl.slice(0, queryAt);
  const query = queryAt < 0 ? "" : baseUrl.slice(queryAt);
  return base.replace(/\/+$/, "") + path + query;
}

/** Names in lower case, so that an account's own header replaces ours however it is written. */
function headersOf(row: OpenAiCompatibleRow, account: ProviderAccount): Readonly<Record<string, string>> {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (account.apiKey !== undefined) {
    if (row.keyHeader === undefined) headers["authorization"] = `Bearer ${account.apiKey}`;
    else headers[row.keyHeader] = account.apiKey;
  }
  for (const [name, value] of Object.entries(account.headers)) headers[name.toLowerCase()] = value;
  return headers;
}

function bodyOf(row: OpenAiCompatibleRow, chat: ChatRequest, target: Target): string {
  const set: Record<string, string> = {};
  if (chat.wire["model"] !== target.model) set["model"] = JSON.stringify(target.model);
  for (const [name, value] of Object.entries(target.params ?? {})) {
    if (value !== undefined && !OURS.has(name)) set[name] = JSON.stringify(value);
  }
  if (chat.stream && row.takesStreamOptions) {
    const options = recordOf(target.params?.["stream_options"] ?? chat.wire["stream_options"]);
    // Also where the client said false: without the usage the request could be neither billed nor limited.
    if (options["include_usage"] !== true) {
      set["stream_options"] = JSON.stringify({ ...options, include_usage: true });
    }
  }
  return Object.keys(set).length === 0 ? chat.wireText : editTopLevel(chat.wireText, { set });
}
