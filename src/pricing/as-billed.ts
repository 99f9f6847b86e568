/**
 * What makes an answer cost something else than its model's price on the list: tiers, regions, and the calls of a vendor's own
 * tools. By hand, since the compiled table knows tokens only; pure. Sources, all seen 2026-11:
 * https://openai.com/api-priority-processing, https://developers.openai.com/api/docs/pricing and its models' pages,
 * https://platform.claude.com/docs/en/about-claude/pricing, https://ai.google.dev/gemini-api/docs/pricing,
 * https://cloud.google.com/vertex-ai/generative-ai/pricing.
 */

import type { TokenUsage } from "../schema/chat.ts";
import type { ModelPrice, TokenPrices, ToolPrices } from "./price-finder.ts";

/** Whose answer it was. */
export interface BilledBy {
  readonly kind: string;
  readonly model: string;
  /** The account's address, where it has one of its own. */
  readonly baseUrl?: string | undefined;
  /** Vertex AI's. */
  readonly location?: string | undefined;
}

export interface BilledPrice {
  readonly price: ModelPrice;
  /** What is billed and has no price here: `tier:scale`, `web_search`. */
  readonly missing: readonly string[];
}

const NOTHING: readonly string[] = [];

/**
 * A price as an answer is billed. A tenant's own price knows its region and its tools; it shares the list's tiers, where those
 * are known.
 */
export function asBilled(
  { price, basis }: { readonly price: ModelPrice; readonly basis: "own" | "list" },
  usage: TokenUsage,
  by: BilledBy,
): BilledPrice {
  const { tier } = usage;
  const tierFactor = tier === undefined ? 1 : tierFactorOf(by, tier);
  const isOwn = basis === "own";
  const factor = (tierFactor ?? 1) * (isOwn ? 1 : regionFactor(by, usage));
  const scaled = factor === 1 ? price : scale(price, factor);
  const tools = TOOLS.filter(({ count }) => (usage[count] ?? 0) > 0);
  if (tools.length === 0 && (tierFactor !== undefined || isOwn)) return { price: scaled, missing: NOTHING };
  const prices: ToolPrices = isOwn ? price : toolPricesOf(by, usage);
  const missing = tools.filter(({ price: name }) => prices[name] === undefined).map(({ word }) => word);
  return {
    price: tools.length === 0 ? scaled : withTools(scaled, prices),
    missing: tierFactor === undefined && !isOwn ? [`tier:${tier}`, ...missing] : missing,
  };
}

/** The tools that are billed by the call: what counts them, their price, and their name in a trace. */
const TOOLS = [
  { count: "webSearches", price: "perWebSearch", word: "web_search" },
  { count: "fileSearches", price: "perFileSearch", word: "file_search" },
  { count: "codeContainers", price: "perCodeContainer", word: "code_interpreter" },
] as const;

/** The same for a short prompt and for a long one. */
function withTools(price: ModelPrice, tools: ToolPrices): ModelPrice {
  const { perWebSearch, perFileSearch, perCodeContainer } = tools;
  return {
    ...price,
    ...(perWebSearch !== undefined && { perWebSearch }),
    ...(perFileSearch !== undefined && { perFileSearch }),
    ...(perCodeContainer !== undefined && { perCodeContainer }),
  };
}

const OPENAI_TOOLS: ToolPrices = { perWebSearch: 10_000, perFileSearch: 2500, perCodeContainer: 30_000 };
const GEMINI_3_SEARCH = 14_000;
/** Of the whole request, however many searches it made. */
const GEMINI_2_GROUNDED_PROMPT = 35_000;

/** Micro-US-dollars a call. What a vendor asks no money for has a price of 0. */
function toolPricesOf({ kind, model }: BilledBy, { webSearches = 1 }: TokenUsage): ToolPrices {
  if (kind === "openai") return OPENAI_TOOLS;
  if (kind === "anthropic") return { perWebSearch: 10_000 };
  if (kind !== "gemini" && kind !== "vertex") return {};
  if (model.startsWith("gemini-2")) return { perWebSearch: GEMINI_2_GROUNDED_PROMPT / webSearches };
  return model.startsWith("gemini-3") ? { perWebSearch: GEMINI_3_SEARCH } : {};
}

const HALF = 0.5;
/** Vendors whose Batch API costs half. */
const HALF_PRICE_BATCH = new Set([
  "openai",
  "azure-openai",
  "anthropic",
  "gemini",
  "vertex",
  "bedrock",
  "mistral",
  "groq",
]);
/** OpenAI's priority tier by model, the longest name first; with a long prompt there is none. */
const PRIORITY: readonly (readonly [prefix: string, factor: number])[] = [
  ["gpt-5-mini", 1.8],
  ["gpt-5.4-mini", 2],
  ["gpt-5.1", 2],
  ["gpt-5.2", 2],
  ["gpt-5.4", 2],
  ["gpt-5-codex", 2],
  ["gpt-5-20", 2],
  ["gpt-4.1-nano", 2],
  ["gpt-4.1", 1.75],
  ["gpt-4o-mini", 5 / 3],
  ["gpt-4o-2024-05-13", 1.75],
  ["gpt-4o", 1.7],
  ["o3-20", 1.75],
  ["o4-mini", 20 / 11],
];
const EXACT_PRIORITY: Readonly<Record<string, number>> = { "gpt-5": 2, o3: 1.75 };
/** Anthropic's fast mode, of the one model whose price the page gives. */
const FAST_OPUS = 6;

/** Undefined where the list has no price for such a tier. */
function tierFactorOf({ kind, model }: BilledBy, tier: string): number | undefined {
  if (tier === "batch") return HALF_PRICE_BATCH.has(kind) ? HALF : undefined;
  if (kind === "openai") {
    if (tier === "flex") return HALF;
    if (tier !== "priority") return undefined;
    if (Object.hasOwn(EXACT_PRIORITY, model)) return EXACT_PRIORITY[model];
    // A variant that the page doesn't name (`-pro`, `-nano`) has no such tier.
    const row = PRIORITY.find(
      ([prefix]) => model.startsWith(prefix) && !/-(?:pro|nano)\b/.test(model.slice(prefix.length)),
    );
    return row?.[1];
  }
  // https://console.groq.com/docs/flex-processing: more of the same, at the same price.
  if (kind === "groq") return tier === "flex" ? 1 : undefined;
  return kind === "anthropic" && tier === "fast" && model.startsWith("claude-opus-4-6")
    ? FAST_OPUS
    : undefined;
}

const REGIONAL = 1.1;
/** Models since Claude 4.5 cost a tenth more in a region than `global`. */
const REGIONAL_CLAUDE = /claude-(?:haiku|sonnet|opus)-4[-.@]?(?:[5-9])/;

/** A tenth more where the vendor keeps the work in a region. On Bedrock that is in the model's name, and in the list. */
function regionFactor({ kind, model, baseUrl, location }: BilledBy, { region }: TokenUsage): number {
  if (kind === "anthropic") return region === "us" ? REGIONAL : 1;
  if (kind === "openai") {
    const isRegional = baseUrl !== undefined && /^https:\/\/[a-z]{2}\.api\.openai\.com/.test(baseUrl);
    return isRegional && model.startsWith("gpt-5.4") ? REGIONAL : 1;
  }
  const isRegional = kind === "vertex" && location !== undefined && location !== "global";
  return isRegional && REGIONAL_CLAUDE.test(model) ? REGIONAL : 1;
}

function scale({ steps, ...base }: ModelPrice, factor: number): ModelPrice {
  const scaledSteps = steps?.map((step) => ({ ...step, prices: scaleTokens(step.prices, factor) }));
  return { ...scaleTokens(base, factor), ...(scaledSteps !== undefined && { steps: scaledSteps }) };
}

function scaleTokens(prices: TokenPrices, factor: number): TokenPrices {
  const scaled = Object.entries(prices).map(([name, microUsd]) => [name, microUsd * factor]);
  // The same fields, and all of them are numbers.
  return Object.fromEntries(scaled) as TokenPrices;
}
