/**
 * Compiles @pydantic/genai-prices' catalogue into our small price table. Pure: the catalogue and the day come
 * in, text goes out. Runs on a developer's machine (prices.ts) and in the test that keeps the committed table
 * fresh, never in the Worker. A rule of the catalogue that it doesn't understand is an error, so that an update
 * can't drop one silently.
 */
import { isDeepStrictEqual } from "node:util";
import type { ModelInfo, ModelPrice as CatalogPrice, Provider } from "@pydantic/genai-prices";
import {
  createPriceFinder,
  type ModelPrice,
  type PriceFinder,
  type PriceTable,
  SNAPSHOT_DATE,
} from "../../pricing/price-finder.ts";
import { readMatch } from "./catalogue-match.ts";

/**
 * Our provider kinds → the catalogue's vendors to look in, in order (its own vendors first, then those whose
 * models it resells).
 */
export const VENDORS_BY_KIND: Readonly<Record<string, readonly string[]>> = {
  openai: ["openai"],
  anthropic: ["anthropic"],
  gemini: ["google"],
  vertex: ["google", "anthropic"],
  "azure-openai": ["azure", "openai", "anthropic", "deepseek", "x-ai", "moonshotai"],
  bedrock: ["aws"],
  "workers-ai": ["cloudflare"],
  mistral: ["mistral"],
  cohere: ["cohere"],
  deepseek: ["deepseek"],
  xai: ["x-ai"],
  groq: ["groq"],
  cerebras: ["cerebras"],
  together: ["together"],
  fireworks: ["fireworks"],
  perplexity: ["perplexity"],
  openrouter: ["openrouter"],
  moonshot: ["moonshotai"],
  minimax: ["minimax"],
  zai: ["zai"],
  zhipuai: ["zhipuai"],
  voyageai: ["voyageai"],
  baseten: ["baseten"],
  novita: ["novita"],
};

/** How the reseller's ids begin → the catalogue's vendor that makes those models. */
const VENDORS_BY_PREFIX: Readonly<Record<string, string>> = {
  anthropic: "anthropic",
  cohere: "cohere",
  deepseek: "deepseek",
  google: "google",
  minimax: "minimax",
  mistralai: "mistral",
  moonshotai: "moonshotai",
  openai: "openai",
  perplexity: "perplexity",
  "x-ai": "x-ai",
  "z-ai": "zai",
};

/** What was made simpler than the catalogue has it, as numbers of models. */
interface Simplified {
  readonly timeOfDay: number;
  readonly unpriced: number;
}

interface CompiledPrices {
  readonly table: PriceTable;
  readonly simplified: Simplified;
}

const HOURS_PER_DAY = 24;

/** Prices are kept to the micro-dollar per million tokens. */
const MICRO_USD_PER_USD = 1_000_000;

/** Marks ids without a price. */
const NO_PRICE = "-";

/**
 * This reseller offers models once more under `model:free`, at no cost; anywhere else a model without prices is
 * just unknown.
 */
const RESELLER = "openrouter";
const FREE_VARIANT = ":free";

/** Words in an id that say its tokens aren't (only) text, so that a text price would be wrong. */
const NOT_TEXT =
  /(?:^|[-_./:])(?:audio|image|live|lyria|moderation|native-audio|ocr|realtime|rerank(?:er)?|sonic|transcribe|tts|voice|whisper)(?![a-z])/;

/**
 * Price keys of output that isn't text, or isn't counted in tokens: such a model's cost doesn't follow from its
 * token counts.
 */
const NOT_TEXT_KEYS = ["output_image_mtok", "output_video_mtok"];

/**
 * Speaking models whose usage separates audio from text: OpenAI's chat and Realtime APIs. Only where both audio
 * prices are known.
 */
const SPEAKING = /^gpt-(?:\d\w*-)?(?:mini-)?(?:audio|realtime)(?![a-z])/;

/** Compiles the catalogue as of `day` (`YYYY-MM-DD`, UTC): prices that start later are not in the table. */
export function compilePrices(findVendor: (id: string) => Provider | undefined, day: string): CompiledPrices {
  const vendors = [...new Set(Object.values(VENDORS_BY_KIND).flat())];
  const models = vendors.map((id) => {
    const vendor = findVendor(id);
    if (vendor === undefined) throw new Error(`The catalogue has no vendor ${id}`);
    return { id, rows: vendor.models.map((model) => readModel(id, model, day)) };
  });
  const all = models.flatMap(({ rows }) => rows);
  const sheets = Object.fromEntries(models.map(({ id, rows }) => [id, writeSheet(rows)]));
  const resold = models.find(({ id }) => id === RESELLER)?.rows ?? [];
  return {
    table: {
      kinds: VENDORS_BY_KIND,
      sheets: { ...sheets, [RESELLER]: writeSheet(resold, sheets) },
      resold: { [RESELLER]: VENDORS_BY_PREFIX },
    },
    simplified: {
      timeOfDay: all.filter((row) => row.isTimeOfDay).length,
      unpriced: all.filter((row) => row.price === NO_PRICE).length,
    },
  };
}

/** What the columns of a line say. */
function priceOf(columns: string): ModelPrice | undefined {
  return createPriceFinder({ kinds: { one: ["one"] }, sheets: { one: `${columns}|model` } })("one", "model");
}

interface Row {
  /** The price columns of a line, or NO_PRICE. */
  readonly price: string;
  readonly ids: readonly string[];
  readonly isTimeOfDay: boolean;
}

function readModel(vendor: string, model: ModelInfo, day: string): Row {
  const ids = [...new Set(readMatch(model.match))];
  const prices = priceOn(model.prices, day);
  const isUnstated = Object.keys(prices).length === 0;
  const isFree = vendor === RESELLER && isUnstated && ids.every((id) => id.endsWith(FREE_VARIANT));
  const price = isTokenPriced(model.id, prices) ? writePrice(prices) : NO_PRICE;
  return {
    // One pattern for all free variants, which change weekly.
    ids: isFree ? [`*${FREE_VARIANT}`] : ids,
    price: isFree ? "0" : price,
    isTimeOfDay:
      Array.isArray(model.prices) && model.prices.some((each) => each.constraint?.type === "time_of_date"),
  };
}

/**
 * One line a model, then the ids without a price that would find one: by a pattern of another model, or at the vendors that a
 * reseller sells for. What has those vendors' price is left to their sheets.
 */
function writeSheet(rows: readonly Row[], vendors: Readonly<Record<string, string>> = {}): string {
  const finderWith = (sheet: string): PriceFinder =>
    createPriceFinder({
      kinds: { kind: ["sheet"] },
      sheets: { ...vendors, sheet },
      resold: { sheet: VENDORS_BY_PREFIX },
    });
  const priced = rows.filter((row) => row.price !== NO_PRICE);
  const linesOf = (kept: readonly Row[]): string =>
    writeLines(kept.map((row) => ({ ...row, ids: dropSnapshots(row, kept) })));
  const withoutThoseOf = (findElsewhere: PriceFinder): readonly Row[] =>
    priced.map((row) => {
      const price = priceOf(row.price);
      return { ...row, ids: row.ids.filter((id) => !isDeepStrictEqual(findElsewhere("kind", id), price)) };
    });
  // Some stay all the same: a dated id whose undated one is in this sheet would have that one's price.
  const rest = withoutThoseOf(finderWith(""));
  const needed = withoutThoseOf(finderWith(linesOf(rest))).flatMap(({ ids }) => ids);
  const sheet = linesOf(
    priced.map((row, index) => ({
      ...row,
      ids: row.ids.filter((id) => needed.includes(id) || rest[index]?.ids.includes(id)),
    })),
  );
  const find = finderWith(sheet);
  const caught = rows
    .filter((row) => row.price === NO_PRICE)
    .flatMap((row) => row.ids.map((id) => id.replaceAll("*", "")))
    .filter((id) => find("kind", id) !== undefined);
  return caught.length === 0 ? sheet : `${sheet}\n${NO_PRICE}|${caught.map((id) => `${id}*`).join(" ")}`;
}

function writeLines(rows: readonly Row[]): string {
  const seen = new Set<string>();
  return rows
    .map((row) => {
      // The catalogue's first match wins; in a Map the last one would.
      const ids = row.ids.filter((id) => !seen.has(id));
      for (const id of ids) seen.add(id);
      return ids.length === 0 ? undefined : `${row.price}|${ids.join(" ")}`;
    })
    .filter((line) => line !== undefined)
    .join("\n");
}

/**
 * A dated id needs no place of its own where the id without its date has the same price: the look-up takes the
 * date off.
 */
function dropSnapshots(row: Row, rows: readonly Row[]): readonly string[] {
  return row.ids.filter((id) => {
    const undated = id.replace(SNAPSHOT_DATE, "");
    return undated === id || rows.find((each) => each.ids.includes(undated))?.price !== row.price;
  });
}

/** The price in force on a day; where it changes with the hour, the one that holds for most of the day. */
function priceOn(prices: ModelInfo["prices"], day: string): CatalogPrice {
  if (!Array.isArray(prices)) return prices;
  const hours = Array.from({ length: HOURS_PER_DAY }, (_, hour) => {
    const time = `${String(hour).padStart(2, "0")}:30:00Z`;
    // The last whose constraint holds wins, as in the catalogue's own calculation.
    return prices.findLastIndex(({ constraint }) => {
      if (constraint === undefined) return true;
      if (constraint.type === "start_date") return constraint.start_date <= day;
      const { start_time: start, end_time: end } = constraint;
      return start <= end ? start <= time && time < end : time >= start || time < end;
    });
  });
  const usual = hours.toSorted((a, b) => countOf(hours, b) - countOf(hours, a))[0];
  const price = prices[usual ?? 0] ?? prices[0];
  if (price === undefined) throw new Error("A model with an empty list of prices");
  return price.prices;
}

function countOf(values: readonly number[], value: number): number {
  return values.filter((each) => each === value).length;
}

/** Whether the cost follows from the token counts that we read. */
function isTokenPriced(modelId: string, prices: CatalogPrice): boolean {
  if (NOT_TEXT_KEYS.some((key) => key in prices) || prices["input_mtok"] === undefined) return false;
  const hasAudioPrices = "input_audio_mtok" in prices && "output_audio_mtok" in prices;
  if (SPEAKING.test(modelId)) return hasAudioPrices;
  return !NOT_TEXT.test(modelId) && !("output_audio_mtok" in prices);
}

/** The catalogue's names of a line's columns, in their order. */
const PRICE_KEYS = [
  "input_mtok",
  "output_mtok",
  "cache_read_mtok",
  "cache_write_mtok",
  "input_audio_mtok",
  "output_audio_mtok",
  "cache_audio_read_mtok",
];

/** The columns of a line: the base prices, then `@above:prices` for each step at which a longer prompt costs more. */
function writePrice(prices: CatalogPrice): string {
  const starts = PRICE_KEYS.flatMap((key) => {
    const price = prices[key];
    return typeof price === "object" ? price.tiers.map(({ start }) => start) : [];
  });
  const steps = [...new Set(starts)].toSorted((a, b) => a - b);
  return [writeColumns(prices, 0), ...steps.map((at) => `${at}:${writeColumns(prices, at + 1)}`)].join("@");
}

function writeColumns(prices: CatalogPrice, inputTokens: number): string {
  const columns = PRICE_KEYS.map((key) => {
    const price = prices[key];
    return price === undefined ? "" : writeUsd(priceAt(price, inputTokens));
  });
  return columns.join(",").replace(/(?<!,),+$/, "");
}

/** Exact to the micro-dollar; `.15` for 0.15. */
function writeUsd(usd: number): string {
  return String(Math.round(usd * MICRO_USD_PER_USD) / MICRO_USD_PER_USD).replace(/^0\./, ".");
}

function priceAt(price: NonNullable<CatalogPrice[string]>, inputTokens: number): number {
  if (typeof price === "number") return price;
  const reached = price.tiers
    .filter(({ start }) => inputTokens > start)
    .toSorted((a, b) => a.start - b.start);
  return reached.at(-1)?.price ?? price.base;
}
