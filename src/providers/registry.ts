/**
 * Provider kind → provider: the only place that lists vendors. To add one, see README.md beside this file.
 */

import { GatewayError } from "../errors.ts";
import { anthropic } from "./anthropic.ts";
import { azureOpenAi } from "./azure-openai.ts";
import { bedrock } from "./bedrock.ts";
import { cohere } from "./cohere.ts";
import { gemini } from "./gemini.ts";
import { createOpenAiCompatible } from "./openai-compatible.ts";
import { OPENAI_COMPATIBLE_ROWS } from "./openai-rows.ts";
import type { Provider } from "./provider.ts";
import { SIMULATORS } from "./sim/simulators.ts";
import { vertex } from "./vertex.ts";
import { workersAi } from "./workers-ai.ts";

const PROVIDERS: readonly Provider[] = [
  ...OPENAI_COMPATIBLE_ROWS.map((row) => createOpenAiCompatible(row)),
  anthropic,
  azureOpenAi,
  bedrock,
  cohere,
  gemini,
  vertex,
  workersAi,
  ...SIMULATORS,
];

const BY_KIND: ReadonlyMap<string, Provider> = new Map(
  PROVIDERS.map((provider) => [provider.kind, provider]),
);

/** All kinds this deployment can talk to. */
export const REGISTERED_KINDS: readonly string[] = [...BY_KIND.keys()];

/**
 * The provider of a kind. Records are checked when they are written, so an unknown kind means one written by a newer
 * deployment: it throws `upstream_error`, and the next target is called.
 */
export function providerOf(kind: string): Provider {
  const provider = BY_KIND.get(kind);
  if (provider !== undefined) return provider;
  throw new GatewayError("upstream_error", `Unknown provider kind '${kind}'.`);
}
