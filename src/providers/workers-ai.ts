/**
 * Cloudflare's Workers AI, in two ways. By the deployment's `AI` binding, where the account names no other (option `binding`
 * says it outright): no key, no address, the deployment's own account pays. By its OpenAI-compatible REST API, where the
 * account's id is in the path: option `accountId`, or a base URL that ends in `/ai/v1`. decisions/062-workers-ai-binding.md.
 * https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility/ (seen 2026-11)
 */

import { GatewayError } from "../errors.ts";
import { recordOf, textOf } from "../json/fields.ts";
import { createOpenAiCompatible, joinUrl, type OpenAiCompatibleRow } from "./openai-compatible.ts";
import type { Provider } from "./provider.ts";
import type { ProviderAccount, Target } from "../wires/upstream-wire.ts";
import { boundChatWire, boundEmbeddingWire } from "../wires/workers-ai/upstream-binding.ts";

const DEFAULT_BASE_URL = "https://api.cloudflare.com/client/v4";

const ROW: OpenAiCompatibleRow = {
  kind: "workers-ai",
  vendor: "cloudflare.workers_ai",
  defaultBaseUrl: DEFAULT_BASE_URL,
  takesStreamOptions: true,
  maxTokensField: "max_tokens",
};

const rest = createOpenAiCompatible(ROW, urlOf);

export const workersAi: Provider = {
  ...rest,
  wiresOf: ({ account }) => (isBound(account) ? [boundChatWire] : rest.wires),
  embeddingsOf: ({ account }) => (isBound(account) ? [boundEmbeddingWire] : undefined),
  baseUrlOf: (account) => (isBound(account) ? undefined : account.baseUrl),
  toError: (status, headers, body, context) => rest.toError(status, headers, withMessage(body), context),
};

function isBound({ baseUrl, options }: ProviderAccount): boolean {
  const { binding, accountId } = options;
  if (typeof binding === "boolean") return binding;
  return baseUrl === DEFAULT_BASE_URL && accountId === undefined;
}

/** Throws `upstream_error` where the account names no id: the next target is called. */
function urlOf({ account }: Target, path: string): string {
  const { baseUrl, options, name } = account;
  if (/\/ai\/v1\/?$/.test(baseUrl)) return joinUrl(baseUrl, path);
  const { accountId } = options;
  if (accountId === undefined) {
    throw new GatewayError("upstream_error", `The provider '${name}' needs the option accountId.`);
  }
  return joinUrl(baseUrl, `/accounts/${encodeURIComponent(accountId)}/ai/v1${path}`);
}

/** A binding's errors have their sentence in a field of another name. */
function withMessage(body: unknown): unknown {
  const description = textOf(recordOf(body)["description"]);
  return description === undefined ? body : { message: description };
}
