/**
 * Cloudflare's Workers AI by its OpenAI-compatible REST API. The account's id stands in the path: option `accountId`, or a
 * base URL that ends in `/ai/v1`. https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility/ (seen 2026-11)
 */

import { GatewayError } from "../errors.ts";
import { createOpenAiCompatible, joinUrl, type OpenAiCompatibleRow } from "./openai-compatible.ts";
import type { Provider, Target } from "./provider.ts";

const ROW: OpenAiCompatibleRow = {
  kind: "workers-ai",
  semconvName: "cloudflare.workers_ai",
  defaultBaseUrl: "https://api.cloudflare.com/client/v4",
  takesStreamOptions: true,
  maxTokensField: "max_tokens",
};

export const workersAi: Provider = createOpenAiCompatible(ROW, urlOf);

/** Throws `upstream_error` where the account names no id: the next target is asked. */
function urlOf({ account }: Target, path: string): string {
  const { baseUrl, options, name } = account;
  if (/\/ai\/v1\/?$/.test(baseUrl)) return joinUrl(baseUrl, path);
  const { accountId } = options;
  if (accountId === undefined) {
    throw new GatewayError("upstream_error", `The provider '${name}' needs the option accountId.`);
  }
  return joinUrl(baseUrl, `/accounts/${encodeURIComponent(accountId)}/ai/v1${path}`);
}
