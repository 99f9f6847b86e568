/**
 * A Portkey gateway config as our records: the config is a route, each account that its targets name a provider. Pure.
 * Source: https://portkey.ai/docs/product/ai-gateway/configs, seen 2026-11-30.
 */

import { REGISTERED_KINDS } from "../../providers/registry.ts";
import { listOf, recordOf, textOf } from "../../json/fields.ts";
import { type Imported, NamedOnce, toRecordName } from "./imported.ts";

const ROUTE = "main";
/** Portkey's provider → our kind, where they differ. */
const KINDS: Readonly<Record<string, string>> = {
  "azure-openai": "azure-openai",
  google: "gemini",
  "vertex-ai": "vertex",
  "together-ai": "together",
  "fireworks-ai": "fireworks",
  "mistral-ai": "mistral",
  "perplexity-ai": "perplexity",
  "x-ai": "xai",
};
const STRATEGIES: Readonly<Record<string, string>> = {
  fallback: "fallback",
  loadbalance: "weighted",
  single: "fallback",
};
const READ = new Set(
  "provider virtual_key api_key custom_host weight override_params retry cache strategy targets request_timeout".split(
    " ",
  ),
);
const MAX_ATTEMPTS = 10;

interface Target {
  readonly provider: string;
  readonly model: string;
  readonly weight?: number;
  readonly params?: object;
}

export function importPortkey(document: unknown): Imported {
  const config = recordOf(document);
  const notes: string[] = [];
  const providers = new NamedOnce<object>();
  const mode = textOf(recordOf(config["strategy"])["mode"]) ?? "single";
  const strategy = STRATEGIES[mode];
  if (strategy === undefined) {
    notes.push(`strategy.mode "${mode}" is not carried over: write its conditions as "when" of the route.`);
  }
  const listed = listOf(config["targets"]).map(recordOf);
  const targets = (listed.length > 0 ? listed : [config]).flatMap((target) =>
    toTargets(target, providers, notes),
  );
  const weights = targets.map(({ weight }) => weight ?? 1);
  if (strategy === "weighted" && weights.some((weight) => weight === 0)) {
    notes.push("A target of weight 0 gets no calls but those that fall back to it.");
  }
  const unread = Object.keys(config).filter((name) => !READ.has(name));
  if (unread.length > 0) notes.push(`Not carried over: ${unread.join(", ")}.`);
  const { attempts, on_status_codes: statuses } = recordOf(config["retry"]);
  const timeoutMs = config["request_timeout"];
  const route = {
    strategy: strategy ?? "fallback",
    targets,
    ...(typeof attempts === "number" && {
      retries: {
        maxAttempts: Math.min(attempts + 1, MAX_ATTEMPTS),
        ...(listOf(statuses).length > 0 && { on: statuses }),
      },
    }),
    ...(typeof timeoutMs === "number" && { timeouts: { totalMs: timeoutMs } }),
    ...semanticOf(config, notes),
  };
  return { providers: providers.values, routes: { [ROUTE]: route }, tenant: cacheOf(config), notes };
}

function toTargets(
  target: Readonly<Record<string, unknown>>,
  providers: NamedOnce<object>,
  notes: string[],
): readonly Target[] {
  const inner = listOf(target["targets"]).map(recordOf);
  if (inner.length > 0) {
    notes.push("Targets inside a target are tried in their order: a route of ours has one level.");
    return inner.flatMap((one) => toTargets(one, providers, notes));
  }
  const unread = Object.keys(target).filter((name) => !READ.has(name));
  if (unread.length > 0) notes.push(`Of a target not carried over: ${unread.join(", ")}.`);
  const { model: named, ...params } = recordOf(target["override_params"]);
  const slug = /^@([^/]+)(?:\/(.+))?$/.exec(textOf(named) ?? textOf(target["provider"]) ?? "");
  const account = slug?.[1] ?? textOf(target["virtual_key"]) ?? textOf(target["provider"]) ?? "openai";
  const vendor = (textOf(target["provider"]) ?? account).replace(/^@/, "").split("/")[0] ?? account;
  const model = slug?.[2] ?? (slug === null ? textOf(named) : undefined);
  if (model === undefined) {
    notes.push(
      `The target of "${account}" names no model: the client chose it. MODEL in the file must be replaced.`,
    );
  }
  const baseUrl = textOf(target["custom_host"]);
  const kind = kindOf(vendor, baseUrl !== undefined);
  const variable = `${toRecordName(account)
    .toUpperCase()
    .replaceAll(/[^A-Z0-9]+/g, "_")}_API_KEY`;
  if (textOf(target["api_key"]) === undefined) {
    notes.push(
      `The credential of "${account}" is kept by Portkey: set ${variable}. Its kind is taken to be ${kind}.`,
    );
  }
  const weight = target["weight"];
  return [
    {
      provider: providers.nameOf(toRecordName(account), {
        kind,
        ...(baseUrl !== undefined && { baseUrl }),
        apiKey: textOf(target["api_key"]) ?? `\${${variable}}`,
      }),
      model: model ?? "MODEL",
      ...(typeof weight === "number" && { weight }),
      ...(Object.keys(params).length > 0 && { params }),
    },
  ];
}

/** An account's own name often begins with its vendor's: `groq-prod`. */
function kindOf(vendor: string, hasAddress: boolean): string {
  const known = KINDS[vendor] ?? REGISTERED_KINDS.find((kind) => kind === vendor);
  const begun = REGISTERED_KINDS.filter((kind) => vendor.startsWith(kind)).toSorted(
    (a, b) => b.length - a.length,
  );
  return known ?? begun[0] ?? (hasAddress ? "openai-compatible" : vendor);
}

function cacheOf(config: Readonly<Record<string, unknown>>): object {
  const { mode, max_age: seconds } = recordOf(config["cache"]);
  if (mode === undefined) return {};
  return {
    cache: { enabled: true, ...(typeof seconds === "number" && { ttlSeconds: Math.max(60, seconds) }) },
  };
}

function semanticOf(config: Readonly<Record<string, unknown>>, notes: string[]): object {
  if (recordOf(config["cache"])["mode"] !== "semantic") return {};
  notes.push(
    'The semantic cache needs an embedding model: set cache.semantic.embedding of the route "main".',
  );
  return {};
}
