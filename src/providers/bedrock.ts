/**
 * Amazon Bedrock's runtime: Converse and ConverseStream, which no client speaks, for every model it serves. The account:
 * `apiKey` is the secret access key beside `options.accessKeyId`, else a Bedrock API key; `options.region` chooses the
 * regional address where the record names none. decisions/060-aws4fetch.md says why so.
 */

import { GatewayError } from "../errors.ts";
import { createEventStreamParser } from "../bytes/aws-event-stream.ts";
import { recordOf } from "../json/fields.ts";
import { parseRetryAfter } from "../runtime/retry-after.ts";
import { writeConverse } from "../wires/converse/upstream-request.ts";
import { createConverseDecoder } from "../wires/converse/upstream-stream.ts";
import { readConverse } from "../wires/converse/upstream-answer.ts";
import { readOpenAiError } from "../wires/openai-chat/upstream-errors.ts";
import type { Provider, TokenCounter } from "./provider.ts";
import type { ProviderAccount, UpstreamWire } from "../wires/upstream-wire.ts";
import { signAws } from "./sigv4.ts";
import { toJson } from "../json/exact.ts";

const DEFAULT_REGION = "us-east-1";
const DEFAULT_BASE_URL = regionalUrl(DEFAULT_REGION);
/** The region in an address of AWS's own, public or of a VPC endpoint. */
const REGION_IN_HOST = /bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\./;
const SESSION_TOKEN_HEADER = "x-amz-security-token";

function regionalUrl(region: string): string {
  return `https://bedrock-runtime.${region}.amazonaws.com`;
}

const converseWire: UpstreamWire = {
  clientWireName: undefined,
  toRequest(chat, target, translation) {
    if (translation === undefined)
      throw new GatewayError("internal_error", "Converse is an upstream-only wire.");
    const operation = chat.stream ? "converse-stream" : "converse";
    return {
      method: "POST",
      // A model may be an ARN: its slashes and colons belong to the name.
      url: `${baseUrlOf(target.account)}/model/${encodeURIComponent(target.model)}/${operation}`,
      headers: { "content-type": "application/json", ...headersOf(target.account) },
      body: toJson(writeConverse(chat, target, translation)),
    };
  },
  toResponse: readConverse,
  decoder: createConverseDecoder,
  createParser: createEventStreamParser,
  paths: /^\/model\/(?<model>[^/]+)\/converse(-stream)?$/,
};

/** A model by its own id, perhaps with the area of a profile before it. Counting takes the id alone. */
const COUNTED = /^(?:[a-z-]+\.)?(anthropic\.claude.*)$/;

/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CountTokens.html (seen 2026-11) */
const counter: TokenCounter = {
  clientWireName: undefined,
  toRequest(chat, target, translation) {
    if (translation === undefined)
      throw new GatewayError("internal_error", "Converse is an upstream-only wire.");
    const { messages, system, toolConfig } = writeConverse(chat, { ...target, params: {} }, translation);
    const model = COUNTED.exec(target.model)?.[1] ?? target.model;
    return {
      method: "POST",
      url: `${baseUrlOf(target.account)}/model/${encodeURIComponent(model)}/count-tokens`,
      headers: { "content-type": "application/json", ...headersOf(target.account) },
      body: toJson({ input: { converse: { messages, system, toolConfig } } }),
    };
  },
  read: (body) => {
    const { inputTokens } = recordOf(body);
    return typeof inputTokens === "number" ? inputTokens : undefined;
  },
};

export const bedrock: Provider = {
  kind: "bedrock",
  vendor: "aws.bedrock",
  defaultBaseUrl: DEFAULT_BASE_URL,
  wires: [converseWire],
  counterOf: ({ model }) => (COUNTED.test(model) ? counter : undefined),
  baseUrlOf,
  nativeHeaders: headersOf,
  async sign(request, { account }, { now }) {
    const { accessKeyId } = account.options;
    if (typeof accessKeyId !== "string") return request;
    if (account.apiKey === undefined) {
      const message = `The account '${account.name}' has an access key id but no secret access key.`;
      throw new GatewayError("upstream_auth", message);
    }
    const { [SESSION_TOKEN_HEADER]: sessionToken, ...headers } = request.headers;
    const credential = {
      accessKeyId,
      secretAccessKey: account.apiKey,
      ...(sessionToken !== undefined && { sessionToken }),
    };
    const scope = { service: "bedrock", region: regionOf(account) };
    return signAws({ ...request, headers }, credential, scope, now());
  },
  toError: readBedrockError,
};

/** Names in lower case, so that an account's own header replaces ours however it is written. */
function headersOf(account: ProviderAccount): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  const isSigned = typeof account.options["accessKeyId"] === "string";
  if (account.apiKey !== undefined && !isSigned) headers["authorization"] = `Bearer ${account.apiKey}`;
  for (const [name, value] of Object.entries(account.headers)) headers[name.toLowerCase()] = value;
  return headers;
}

function baseUrlOf(account: ProviderAccount): string {
  const isDefault = account.baseUrl === DEFAULT_BASE_URL;
  const base = isDefault ? regionalUrl(regionOf(account)) : account.baseUrl;
  return base.replace(/(?<!\/)\/+$/, "");
}

function regionOf({ options, baseUrl }: ProviderAccount): string {
  const { region } = options;
  return typeof region === "string" ? region : (REGION_IN_HOST.exec(baseUrl)?.[1] ?? DEFAULT_REGION);
}

/** Exceptions whose status says less than their name, which is in a header. */
const ROWS: ReadonlyMap<
  string,
  "upstream_auth" | "upstream_rate_limited" | "upstream_overloaded" | "upstream_timeout"
> = new Map([
  ["AccessDeniedException", "upstream_auth"],
  ["UnrecognizedClientException", "upstream_auth"],
  ["ExpiredTokenException", "upstream_auth"],
  ["InvalidSignatureException", "upstream_auth"],
  ["IncompleteSignatureException", "upstream_auth"],
  ["MissingAuthenticationTokenException", "upstream_auth"],
  ["ThrottlingException", "upstream_rate_limited"],
  ["ServiceQuotaExceededException", "upstream_rate_limited"],
  ["ModelNotReadyException", "upstream_overloaded"],
  ["ServiceUnavailableException", "upstream_overloaded"],
  ["ModelTimeoutException", "upstream_timeout"],
]);
const WORDS = {
  upstream_auth: "The upstream refused the credential of this provider account.",
  upstream_rate_limited: "The upstream is limiting its rate.",
  upstream_overloaded: "The upstream is overloaded.",
  upstream_timeout: "The upstream did not answer in time.",
} as const;

/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_Errors (seen 2026-11) */
function readBedrockError(
  ...[status, headers, body, context = {}]: Parameters<Provider["toError"]>
): GatewayError {
  const exception = headers.get("x-amzn-errortype")?.split(":", 1)[0] ?? "";
  const code = ROWS.get(exception);
  if (code === undefined) return readOpenAiError(status, headers, body, context);
  const retryAfterMs = code === "upstream_auth" ? undefined : parseRetryAfter(headers, context.nowMs);
  return new GatewayError(code, WORDS[code], {
    upstreamStatus: status,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}
