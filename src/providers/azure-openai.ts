/**
 * Azure OpenAI. Two addresses are in use, and the account's base URL tells which: `https://RESOURCE.openai.azure.com/openai/v1`,
 * where the model in the body names the deployment, and the older resource's own, `https://RESOURCE.openai.azure.com`,
 * whose path holds deployment and API version. Options: `deployment` (in place of the model's name) and `apiVersion`.
 * https://learn.microsoft.com/en-us/azure/ai-foundry/openai/reference (seen 2026-11)
 */

import {
  createOpenAiCompatible,
  joinUrl,
  type OpenAiCompatibleRow,
  realtimeRequest,
} from "./openai-compatible.ts";
import type { Provider } from "./provider.ts";
import type { ProviderAccount, Target, UpstreamRequest } from "../wires/upstream-wire.ts";

/** The last version of the dated API that isn't a preview. */
const DEFAULT_API_VERSION = "2024-10-21";
/** Of the dated API only previews have sessions; this is the last one. */
const DEFAULT_REALTIME_VERSION = "2025-04-01-preview";
const VERSIONED = /\/openai\/v1\/?$/;

const ROW: OpenAiCompatibleRow = {
  kind: "azure-openai",
  vendor: "azure.ai.openai",
  keyHeader: "api-key",
  takesStreamOptions: true,
  maxTokensField: "max_completion_tokens",
};

export const azureOpenAi: Provider = { ...createOpenAiCompatible(ROW, urlOf), toRealtime, objectBaseUrlOf };

/** Every resource has the newer address too, which needs no API version. */
function objectBaseUrlOf({ baseUrl }: ProviderAccount): string {
  return VERSIONED.test(baseUrl) ? baseUrl : joinUrl(baseUrl.replace(/\/openai\/*$/, ""), "/openai/v1");
}

/**
 * Both addresses name the deployment in the query, the older one under its own name.
 * https://learn.microsoft.com/en-us/azure/foundry/openai/how-to/realtime-audio-websockets (seen 2026-11)
 */
function toRealtime(target: Target, query: URLSearchParams, isModelless: boolean): UpstreamRequest {
  const { baseUrl, options } = target.account;
  const isVersioned = VERSIONED.test(baseUrl);
  const version = options["apiVersion"] ?? (isVersioned ? undefined : DEFAULT_REALTIME_VERSION);
  const root = baseUrl.replace(/\/openai\/*$/, "");
  const address = isVersioned ? joinUrl(baseUrl, "/realtime") : joinUrl(root, "/openai/realtime");
  const params: (readonly [string, string])[] = [...query];
  if (version !== undefined) params.push(["api-version", String(version)]);
  if (!isModelless) {
    const deployment = String(options["deployment"] ?? target.model);
    params.push([isVersioned ? "model" : "deployment", deployment]);
  }
  return realtimeRequest(ROW, target, address, params);
}

function urlOf({ account, model }: Target, path: string): string {
  const { baseUrl, options } = account;
  const version = options["apiVersion"];
  if (VERSIONED.test(baseUrl)) {
    return (
      joinUrl(baseUrl, path) + (version === undefined ? "" : `?api-version=${encodeURIComponent(version)}`)
    );
  }
  const deployment = encodeURIComponent(options["deployment"] ?? model);
  const url = joinUrl(baseUrl.replace(/\/openai\/*$/, ""), `/openai/deployments/${deployment}${path}`);
  return `${url}?api-version=${encodeURIComponent(version ?? DEFAULT_API_VERSION)}`;
}
