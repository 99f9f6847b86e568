/**
 * A LiteLLM proxy's `config.yaml` as our records: each model group is a route, each account a provider. Pure.
 * Source: https://docs.litellm.ai/docs/proxy/configs and /docs/routing, seen 2026-11-30.
 */

import { listOf, recordOf, textOf } from "../../json/fields.ts";
import { type Imported, NamedOnce, toRecordName } from "./imported.ts";

/** LiteLLM's prefix of a model → our kind, where they differ or it needs no address. */
const KINDS: Readonly<Record<string, string>> = {
  openai: "openai",
  azure: "azure-openai",
  azure_ai: "azure-openai",
  anthropic: "anthropic",
  gemini: "gemini",
  vertex_ai: "vertex",
  bedrock: "bedrock",
  mistral: "mistral",
  cohere: "cohere",
  cohere_chat: "cohere",
  deepseek: "deepseek",
  xai: "xai",
  groq: "groq",
  cerebras: "cerebras",
  together_ai: "together",
  fireworks_ai: "fireworks",
  perplexity: "perplexity",
  openrouter: "openrouter",
  moonshot: "moonshot",
  nvidia_nim: "nvidia",
  databricks: "databricks",
  huggingface: "hugging-face",
  ollama: "ollama",
  ollama_chat: "ollama",
  hosted_vllm: "vllm",
  lm_studio: "lm-studio",
  litellm_proxy: "litellm",
  cloudflare: "workers-ai",
};

const STRATEGIES: Readonly<Record<string, string>> = {
  "simple-shuffle": "weighted",
  "latency-based-routing": "least-latency",
  "cost-based-routing": "least-cost",
};

/** Parameters of a call that a target of ours sets in its `params`. */
const PARAMS = [
  "temperature",
  "top_p",
  "max_tokens",
  "max_completion_tokens",
  "seed",
  "stop",
  "reasoning_effort",
];
/** What the importer reads, beside the parameters. */
const ACCOUNT =
  "model custom_llm_provider api_key api_base api_version weight aws_region_name aws_access_key_id aws_secret_access_key vertex_project vertex_location vertex_credentials";
const READ = new Set([...PARAMS, ...ACCOUNT.split(" ")]);
const MAX_ATTEMPTS = 10;
const MS_PER_SECOND = 1000;

interface Target {
  readonly provider: string;
  readonly model: string;
  readonly weight?: number;
  readonly params?: Readonly<Record<string, unknown>>;
}

export function importLiteLlm(document: unknown): Imported {
  const config = recordOf(document);
  const general = recordOf(config["litellm_settings"]);
  const router = recordOf(config["router_settings"]);
  const notes: string[] = [];
  const providers = new NamedOnce<object>();
  const groups = new Map<string, Target[]>();
  for (const entry of listOf(config["model_list"]).map(recordOf)) {
    const group = textOf(entry["model_name"]) ?? "";
    const parameters = recordOf(entry["litellm_params"]);
    if (group.includes("*")) {
      notes.push(
        `Model group "${group}" is a pattern: call any model of a provider as provider/model instead.`,
      );
      continue;
    }
    const target = toTarget(group, parameters, providers, notes);
    if (target !== undefined) groups.set(group, [...(groups.get(group) ?? []), target]);
  }
  const settings = { ...general, ...router };
  const routes = Object.fromEntries(
    [...groups].map(([group, own]) => [toRecordName(group), toRoute(group, own, groups, settings, notes)]),
  );
  for (const group of groups.keys()) {
    if (toRecordName(group) !== group)
      notes.push(`Model group "${group}" is the route "${toRecordName(group)}".`);
  }
  noteTheRest(config, settings, notes);
  return { providers: providers.values, routes, tenant: cacheOf(general), notes };
}

function toTarget(
  group: string,
  parameters: Readonly<Record<string, unknown>>,
  providers: NamedOnce<object>,
  notes: string[],
): Target | undefined {
  const full = textOf(parameters["model"]) ?? "";
  const slash = full.indexOf("/");
  const prefix =
    textOf(parameters["custom_llm_provider"]) ?? (slash > 0 ? full.slice(0, slash) : guessPrefix(full));
  const baseUrl = textOf(parameters["api_base"]);
  const kind = KINDS[prefix] ?? (baseUrl !== undefined ? "openai-compatible" : undefined);
  if (kind === undefined) {
    notes.push(
      `Model group "${group}": there is no kind for "${full}". Add a provider of kind openai-compatible.`,
    );
    return undefined;
  }
  const unread = Object.keys(parameters).filter((name) => !READ.has(name));
  if (unread.length > 0) notes.push(`Model group "${group}": not carried over: ${unread.join(", ")}.`);
  const provider = providers.nameOf(toRecordName(prefix.replace("_ai", "")), {
    kind,
    ...(baseUrl !== undefined && { baseUrl: toVariable(baseUrl) }),
    ...credentialOf(kind, parameters),
  });
  const params = Object.fromEntries(
    PARAMS.flatMap((name) => (name in parameters ? [[name, parameters[name]]] : [])),
  );
  const weight = parameters["weight"];
  return {
    provider,
    model: slash > 0 && full.startsWith(`${prefix}/`) ? full.slice(slash + 1) : full,
    ...(typeof weight === "number" && { weight }),
    ...(Object.keys(params).length > 0 && { params }),
  };
}

function guessPrefix(model: string): string {
  if (model.startsWith("claude")) return "anthropic";
  return model.startsWith("gemini") ? "gemini" : "openai";
}

/** What each kind needs of an account: src/providers/README.md. */
function credentialOf(kind: string, parameters: Readonly<Record<string, unknown>>): object {
  const text = (name: string): string | undefined => toVariable(textOf(parameters[name]));
  if (kind === "bedrock") {
    const options = { region: text("aws_region_name"), accessKeyId: text("aws_access_key_id") };
    return { apiKey: text("aws_secret_access_key") ?? text("api_key"), options: defined(options) };
  }
  if (kind === "vertex") {
    const options = { project: text("vertex_project"), location: text("vertex_location") };
    return { apiKey: text("vertex_credentials") ?? "${VERTEX_CREDENTIALS}", options: defined(options) };
  }
  const apiKey = text("api_key");
  const apiVersion = text("api_version");
  return {
    ...(apiKey !== undefined && { apiKey }),
    ...(apiVersion !== undefined && { options: { apiVersion } }),
  };
}

function defined(options: Readonly<Record<string, string | undefined>>): object {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

/** `os.environ/NAME` is LiteLLM's form of a variable. */
function toVariable(text: string): string;
function toVariable(text: string | undefined): string | undefined;
function toVariable(text: string | undefined): string | undefined {
  return text?.replace(/^os\.environ\/(\w+)$/, (_, name: string) => `\${${name}}`);
}

function toRoute(
  group: string,
  own: readonly Target[],
  groups: ReadonlyMap<string, readonly Target[]>,
  settings: Readonly<Record<string, unknown>>,
  notes: string[],
): object {
  const later = fallbacksOf(group, settings).flatMap((name) => groups.get(name) ?? []);
  const strategy = STRATEGIES[textOf(settings["routing_strategy"]) ?? "simple-shuffle"];
  if (own.length > 1 && later.length > 0) {
    notes.push(
      `Route "${toRecordName(group)}": its ${own.length} deployments and its fallbacks are tried in their order; LiteLLM spread calls over the first.`,
    );
  }
  const retries = settings["num_retries"];
  const seconds = settings["timeout"] ?? settings["request_timeout"];
  return {
    ...(own.length > 1 && later.length === 0 && { strategy: strategy ?? "weighted" }),
    targets: [...own, ...later],
    ...(typeof retries === "number" && { retries: { maxAttempts: Math.min(retries + 1, MAX_ATTEMPTS) } }),
    ...(typeof seconds === "number" && { timeouts: { totalMs: Math.round(seconds * MS_PER_SECOND) } }),
  };
}

function fallbacksOf(group: string, settings: Readonly<Record<string, unknown>>): readonly string[] {
  const named = listOf(settings["fallbacks"]).flatMap((entry) => listOf(recordOf(entry)[group]));
  const all = [...named, ...listOf(settings["default_fallbacks"])];
  return all.flatMap((name) => textOf(name) ?? []).filter((name) => name !== group);
}

function cacheOf(general: Readonly<Record<string, unknown>>): object {
  if (general["cache"] !== true) return {};
  const ttlSeconds = recordOf(general["cache_params"])["ttl"];
  return {
    cache: { enabled: true, ...(typeof ttlSeconds === "number" && { ttlSeconds: Math.max(60, ttlSeconds) }) },
  };
}

const CARRIED_SETTINGS = new Set(
  "fallbacks default_fallbacks routing_strategy num_retries timeout request_timeout cache cache_params".split(
    " ",
  ),
);

function noteTheRest(
  config: Readonly<Record<string, unknown>>,
  settings: Readonly<Record<string, unknown>>,
  notes: string[],
): void {
  const strategy = textOf(settings["routing_strategy"]);
  if (strategy !== undefined && STRATEGIES[strategy] === undefined) {
    notes.push(`routing_strategy "${strategy}" has no counterpart: routes are weighted.`);
  }
  if (settings["drop_params"] === true) {
    notes.push(
      "drop_params: send the header x-headgate-lenient: 1 to have fields dropped that a vendor lacks.",
    );
  }
  const others = Object.keys(settings).filter(
    (name) => !CARRIED_SETTINGS.has(name) && name !== "drop_params",
  );
  if (others.length > 0) notes.push(`Settings not carried over: ${others.join(", ")}.`);
  const sections = Object.keys(config).filter(
    (name) => !["model_list", "litellm_settings", "router_settings"].includes(name),
  );
  if (sections.length > 0) notes.push(`Sections not carried over: ${sections.join(", ")}.`);
  notes.push(
    "Virtual keys are not in the file: add keys to the tenant, and give each application a new one.",
  );
}
