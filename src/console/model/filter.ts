/**
 * What is typed into the list's filter, as parameters of `GET /admin/traces`. Words: `status=429`, `model=…`, `route=…`, `>2s`,
 * `<500ms`, an id. The filter stands in the page's URL under the parameters' own names. Pure.
 */

const FIELDS = ["status", "model", "route", "key", "session", "outcome", "cache", "endUser"] as const;
const LENGTH = /^([<>])(\d+(?:\.\d+)?)(ms|s|min)?$/;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000 };

export interface ParsedFilter {
  readonly params: Readonly<Record<string, string>>;
  /** Words that mean nothing; shown beside the field. */
  readonly unknown: readonly string[];
}

export function parseFilter(text: string): ParsedFilter {
  const params: Record<string, string> = {};
  const unknown: string[] = [];
  for (const word of text.trim().split(/\s+/)) {
    if (word === "") continue;
    const length = LENGTH.exec(word);
    const [name = "", ...rest] = word.split("=");
    const value = rest.join("=");
    if (length !== null) {
      const [, sign, amount, unit = "s"] = length;
      params[sign === ">" ? "min_ms" : "max_ms"] = String(Math.round(Number(amount) * (UNIT_MS[unit] ?? 1)));
    } else if (isField(name) && value !== "") params[name] = value;
    else if (name.startsWith("metadata.") && value !== "") params[name] = value;
    else if (rest.length === 0) params["q"] = word;
    else unknown.push(word);
  }
  return { params, unknown };
}

function isField(name: string): boolean {
  return FIELDS.some((field) => field === name);
}

/** The text that parses to these parameters: what the field shows when the page is opened by its URL. */
export function writeFilter(params: URLSearchParams): string {
  const words: string[] = [];
  for (const [name, value] of params) {
    if (name === "min_ms") words.push(`>${lengthText(Number(value))}`);
    else if (name === "max_ms") words.push(`<${lengthText(Number(value))}`);
    else if (name === "q") words.push(value);
    else if (isField(name) || name.startsWith("metadata.")) words.push(`${name}=${value}`);
  }
  return words.join(" ");
}

function lengthText(ms: number): string {
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}
