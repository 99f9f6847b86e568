/**
 * Finds a model's price in a table of price sheets. Knows how a sheet is written; not where its numbers come from
 * (compile-prices.ts) nor how to bill with them (cost.ts).
 */

/** Micro-US-dollars a call of a vendor's own tool; absent where no price is known. */
export interface ToolPrices {
  readonly perWebSearch?: number;
  readonly perFileSearch?: number;
  readonly perCodeContainer?: number;
}

/**
 * A model's list price in whole micro-US-dollars per million tokens (1,000,000 = one dollar). Reasoning is
 * billed as output.
 */
export interface TokenPrices extends ToolPrices {
  readonly input: number;
  readonly output: number;
  /** Absent where the vendor states none: then a cached token costs what an input token costs. */
  readonly cacheRead?: number;
  readonly cacheWrite?: number;
  /** Of what is kept for an hour; absent where it costs twice what an input token does, as Anthropic bills it. */
  readonly cacheWriteHour?: number;
  /** Audio; absent where the vendor states none: then it costs what text does. */
  readonly inputAudio?: number;
  readonly outputAudio?: number;
  readonly cacheReadAudio?: number;
  /** Images in the prompt of a model that makes images; absent where they cost what text does. */
  readonly inputImage?: number;
  /** Micro-US-dollars each, where media is billed by the piece. */
  readonly perImage?: number;
  readonly perSecond?: number;
  readonly perMillionCharacters?: number;
}

/** A model's price; with a long prompt, one of its steps is the price of the whole request. */
export interface ModelPrice extends TokenPrices {
  /** From the lowest on. */
  readonly steps?: readonly PriceStep[];
}

export interface PriceStep {
  /** The step holds for more input tokens than these, cached ones included. */
  readonly aboveInputTokens: number;
  readonly prices: TokenPrices;
}

/**
 * All prices, as compact text that is only parsed for the vendors a Worker really calls.
 *
 * A line of a sheet is `input,output,cacheRead,cacheWrite,inputAudio,outputAudio,cacheReadAudio|id id …`, in US dollars:
 * prices may be missing, trailing ones with their commas; `@above:prices` follows for each number of input tokens
 * above which the whole request is billed at other prices; `-` in their place says that the ids have no price we
 * could state. An id is exact, or a pattern: `abc*` starts with, `*abc` ends with, `*abc*` contains. Ids are
 * lower case and hold neither spaces, `*` nor `|`.
 */
export interface PriceTable {
  /** Provider kind → names of the sheets to look in, in this order. */
  readonly kinds: Readonly<Record<string, readonly string[]>>;
  readonly sheets: Readonly<Record<string, string>>;
  /**
   * A reseller's sheet → the start of its ids (`anthropic/…`) → the sheet of that vendor: what the reseller offers at the vendor's
   * price stands there alone.
   */
  readonly resold?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

const MICRO_USD_PER_USD = 1_000_000;

/** Looks a model up; undefined for a kind or model without a known price, which is not the same as free. */
export type PriceFinder = (providerKind: string, modelId: string) => ModelPrice | undefined;

type Found = ModelPrice | "unpriced";

interface Pattern {
  readonly literal: string;
  readonly matches: (id: string, literal: string) => boolean;
  readonly found: Found;
}

interface Sheet {
  readonly exact: ReadonlyMap<string, Found>;
  /** Longest literal first: the first that matches is the most specific. */
  readonly patterns: readonly Pattern[];
}

/**
 * Ids come from clients. Longer than any vendor's (a Bedrock profile ARN has about 150 characters) is not worth
 * a search.
 */
const MAX_MODEL_ID_LENGTH = 256;

/**
 * Answers kept per kind, so that ids made up by clients cannot fill the isolate's memory: at most about 200 KB
 * a kind.
 */
const MAX_REMEMBERED_IDS = 500;

/**
 * `gpt-4o-2024-08-06`, `claude-haiku-4-5-20251001`, `claude-opus-4@20250514`: the day a snapshot of a model was
 * taken.
 */
export const SNAPSHOT_DATE = /[-@]20\d\d(-?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])$/;

/** How OpenRouter names a model under its own moderation: same price. */
const VARIANT = /:beta$/;

/**
 * A finder over a table. Sheets are parsed at their first use and answers remembered, so a repeated look-up is
 * one or two Map reads.
 */
export function createPriceFinder(table: PriceTable): PriceFinder {
  const sheets = new Map<string, Sheet>();
  const answers = new Map<string, Map<string, ModelPrice | undefined>>();
  const kinds = new Map(Object.entries(table.kinds));

  function openSheet(name: string): Sheet {
    const open = sheets.get(name) ?? parseSheet(table.sheets[name] ?? "");
    sheets.set(name, open);
    return open;
  }

  function search(names: readonly string[], id: string): ModelPrice | undefined {
    for (const name of names) {
      const found = searchSheet(openSheet(name), id) ?? searchResold(name, id);
      if (found !== undefined) return found === "unpriced" ? undefined : found;
    }
    return undefined;
  }

  /** Of a vendor's models only those that it names: its patterns are no promise of the reseller's. */
  function searchResold(name: string, id: string): Found | undefined {
    const slash = id.indexOf("/");
    const vendor = table.resold?.[name]?.[id.slice(0, Math.max(0, slash))];
    return vendor === undefined
      ? undefined
      : findExact(openSheet(vendor), id.slice(slash + 1).replace(VARIANT, ""));
  }

  return (providerKind, modelId) => {
    const names = kinds.get(providerKind);
    if (names === undefined || modelId.length > MAX_MODEL_ID_LENGTH) return undefined;
    let remembered = answers.get(providerKind);
    if (remembered === undefined) answers.set(providerKind, (remembered = new Map()));
    const answer = remembered.get(modelId);
    if (answer !== undefined || remembered.has(modelId)) return answer;
    const searched = search(names, modelId.toLowerCase());
    // Dropping all is as good as dropping the oldest: it takes made-up ids to get here, and a search is some
    // microseconds.
    if (remembered.size >= MAX_REMEMBERED_IDS) remembered.clear();
    remembered.set(modelId, searched);
    return searched;
  };
}

/** The id itself, then the model it is a dated snapshot of, then the most specific pattern. */
function searchSheet(sheet: Sheet, id: string): Found | undefined {
  return (
    findExact(sheet, id) ?? sheet.patterns.find((pattern) => pattern.matches(id, pattern.literal))?.found
  );
}

function findExact({ exact }: Sheet, id: string): Found | undefined {
  return exact.get(id) ?? exact.get(id.replace(SNAPSHOT_DATE, ""));
}

function parseSheet(text: string): Sheet {
  const exact = new Map<string, Found>();
  const patterns: Pattern[] = [];
  for (const line of text.split("\n")) {
    const [prices, ids] = line.split("|");
    if (prices === undefined || ids === undefined) continue;
    const found = prices === "-" ? "unpriced" : parsePrice(prices);
    for (const id of ids.split(" ")) {
      const pattern = parsePattern(id, found);
      if (pattern === undefined) exact.set(id, found);
      else patterns.push(pattern);
    }
  }
  patterns.sort((a, b) => b.literal.length - a.literal.length);
  return { exact, patterns };
}

function parsePattern(id: string, found: Found): Pattern | undefined {
  const isOpenStart = id.startsWith("*");
  const isOpenEnd = id.endsWith("*");
  if (!isOpenStart && !isOpenEnd) return undefined;
  const literal = id.slice(isOpenStart ? 1 : 0, isOpenEnd ? -1 : undefined);
  if (!isOpenStart) return { literal, found, matches: (whole, part) => whole.startsWith(part) };
  if (!isOpenEnd) return { literal, found, matches: (whole, part) => whole.endsWith(part) };
  return { literal, found, matches: (whole, part) => whole.includes(part) };
}

/** `prices`, then for each step `@above:prices`. */
function parsePrice(text: string): ModelPrice {
  const [base = "", ...steps] = text.split("@");
  if (steps.length === 0) return parsePrices(base);
  return {
    ...parsePrices(base),
    steps: steps.map((step) => {
      const [above = "", prices = ""] = step.split(":");
      return { aboveInputTokens: Number(above), prices: parsePrices(prices) };
    }),
  };
}

function parsePrices(text: string): TokenPrices {
  const [input = 0, output = 0, cacheRead, cacheWrite, inputAudio, outputAudio, cacheReadAudio] = text
    .split(",")
    .map((field) => (field === "" ? undefined : Math.round(Number(field) * MICRO_USD_PER_USD)));
  return {
    input,
    output,
    ...(cacheRead !== undefined && { cacheRead }),
    ...(cacheWrite !== undefined && { cacheWrite }),
    ...(inputAudio !== undefined && { inputAudio }),
    ...(outputAudio !== undefined && { outputAudio }),
    ...(cacheReadAudio !== undefined && { cacheReadAudio }),
  };
}
