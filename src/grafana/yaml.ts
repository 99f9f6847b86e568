/** Plain data as YAML in block style, strings quoted. Pure; called by grafana.ts. */

type Scalar = string | number | boolean;
export type Plain = Scalar | readonly Plain[] | { readonly [key: string]: Plain };

/** The text, with a line feed at its end. An empty list or object is written in place. */
export function toYaml(value: Plain): string {
  return `${linesOf(value).join("\n")}\n`;
}

const INDENT = "  ";

function linesOf(value: Plain): readonly string[] {
  if (isList(value)) return value.length === 0 ? ["[]"] : value.flatMap(listItem);
  if (typeof value !== "object") return [scalar(value)];
  const members = Object.entries(value);
  return members.length === 0 ? ["{}"] : members.flatMap(([key, member]) => memberLines(key, member));
}

/** The first line of an item stands behind its dash, the others below it. */
function listItem(item: Plain): readonly string[] {
  return linesOf(item).map((line, index) => (index === 0 ? `- ${line}` : INDENT + line));
}

function memberLines(key: string, member: Plain): readonly string[] {
  const lines = linesOf(member);
  const [first = ""] = lines;
  const isInline = typeof member !== "object" || first === "[]" || first === "{}";
  return isInline ? [`${key}: ${first}`] : [`${key}:`, ...lines.map((line) => INDENT + line)];
}

/** A JSON string is a double-quoted scalar of YAML 1.2; single quotes where they spare the escapes. */
function scalar(value: Scalar): string {
  if (typeof value !== "string") return String(value);
  return /^[^'\\\p{Cc}]*"[^'\\\p{Cc}]*$/u.test(value) ? `'${value}'` : JSON.stringify(value);
}

function isList(value: Plain): value is readonly Plain[] {
  return Array.isArray(value);
}
