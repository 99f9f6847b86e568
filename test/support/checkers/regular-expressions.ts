/**
 * Finds the regular expressions of a source text, and texts that make a bad one slow: samples of what it matches, and each
 * beginning of a sample repeated. A heuristic scanner for our own formatted sources, not a parser of TypeScript.
 */

export interface FoundExpression {
  readonly source: string;
  readonly flags: string;
}

/** After these a slash begins an expression; after a name, a number or a closing bracket it divides. */
const BEFORE_EXPRESSION = new Set("(,=:[!&|?{;+-*%<>~^".split(""));
const WORDS_BEFORE_EXPRESSION = new Set(["return", "typeof", "case", "of", "in", "await", "yield"]);

/** The regular expression literals of a source text. */
export function findExpressions(text: string): readonly FoundExpression[] {
  const found: FoundExpression[] = [];
  let previous = "(";
  let word = "";
  /** Open braces of each template's `${…}` that is being read. */
  const templates: number[] = [];
  for (let at = 0; at < text.length;) {
    const char = text.charAt(at);
    const pair = text.slice(at, at + 2);
    if (pair === "//") at = endOr(text, text.indexOf("\n", at));
    else if (pair === "/*") at = endOr(text, text.indexOf("*/", at)) + 2;
    else if (char === "`" || (char === "}" && templates.at(-1) === 0)) {
      if (char === "}") templates.pop();
      at = skipTemplateText(text, at);
      if (text.charAt(at - 1) === "{") templates.push(0);
      previous = text.charAt(at - 1) === "{" ? "(" : ")";
      word = "";
    } else if (char === '"' || char === "'") {
      at = skipQuoted(text, at);
      previous = '"';
      word = "";
    } else if (char === "/" && isExpressionStart(previous, word)) {
      const end = skipExpression(text, at);
      const flags = /^[a-z]*/.exec(text.slice(end, end + 8))?.[0] ?? "";
      found.push({ source: text.slice(at + 1, end - 1), flags });
      at = end + flags.length;
      previous = ")";
      word = "";
    } else {
      const depth = templates.at(-1);
      if (depth !== undefined && char === "{") templates[templates.length - 1] = depth + 1;
      if (depth !== undefined && char === "}") templates[templates.length - 1] = depth - 1;
      if (/\w/.test(char)) word += char;
      else if (char.trim() !== "") word = "";
      else if (/\w/.test(text.charAt(at + 1))) word = "";
      if (char.trim() !== "") previous = char;
      at++;
    }
  }
  return found;
}

function isExpressionStart(previous: string, word: string): boolean {
  return BEFORE_EXPRESSION.has(previous) || WORDS_BEFORE_EXPRESSION.has(word);
}

function endOr(text: string, at: number): number {
  return at === -1 ? text.length : at;
}

function skipQuoted(text: string, start: number): number {
  const quote = text.charAt(start);
  for (let at = start + 1; at < text.length; at++) {
    if (text.charAt(at) === "\\") at++;
    else if (text.charAt(at) === quote) return at + 1;
  }
  return text.length;
}

/** Behind the template's end, or behind the `{` of its next `${`. */
function skipTemplateText(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text.charAt(at) === "\\") at++;
    else if (text.charAt(at) === "`") return at + 1;
    else if (text.startsWith("${", at)) return at + 2;
  }
  return text.length;
}

function skipExpression(text: string, start: number): number {
  let isClass = false;
  for (let at = start + 1; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === "\\") at++;
    else if (char === "[") isClass = true;
    else if (char === "]") isClass = false;
    else if (char === "/" && !isClass) return at + 1;
  }
  return text.length;
}

/** Characters tried for a class, in this order. */
const CANDIDATES = [..."aZ0 -_./:=@,;\"'\\<>{}()[]+*!?#%&$~^|\n\t", "é", "→", "\u0000"];
const MAX_SAMPLE_CHARS = 64;
const MAX_SAMPLES = 24;

/** Texts that the expression matches, or nearly: one for each of its alternatives. */
export function samplesOf({ source, flags }: FoundExpression): readonly string[] {
  const samples = new Set<string>();
  for (let choice = 0; choice < MAX_SAMPLES; choice++) {
    const reader = { source, flags: flags.replaceAll(/[gy]/g, ""), at: 0, choice };
    samples.add(readAlternatives(reader).slice(0, MAX_SAMPLE_CHARS));
  }
  return [...samples];
}

/** What is repeated to slow an expression down: every beginning of its samples, alone and behind a separator, and each character. */
export function pumpsOf(expression: FoundExpression): readonly string[] {
  const pumps = new Set<string>();
  for (const sample of samplesOf(expression)) {
    for (let length = 1; length <= sample.length; length++) pumps.add(sample.slice(0, length));
    for (const char of sample) pumps.add(char);
    for (const separator of ["-", " ", "/"])
      pumps.add(separator + sample.slice(0, 12)).add(separator + sample.slice(0, 3));
  }
  return [...pumps];
}

interface Reader {
  readonly source: string;
  readonly flags: string;
  at: number;
  readonly choice: number;
}

function readAlternatives(reader: Reader): string {
  const alternatives = [readSequence(reader)];
  while (reader.source.charAt(reader.at) === "|") {
    reader.at++;
    alternatives.push(readSequence(reader));
  }
  return alternatives[reader.choice % alternatives.length] ?? "";
}

function readSequence(reader: Reader): string {
  let text = "";
  while (reader.at < reader.source.length && !"|)".includes(reader.source.charAt(reader.at))) {
    const atom = readAtom(reader);
    text += atom.repeat(readTimes(reader));
  }
  return text;
}

function readAtom(reader: Reader): string {
  const { source } = reader;
  const char = source.charAt(reader.at);
  if (char === "^" || char === "$") return skip(reader, 1);
  if (char === "(") return readGroup(reader);
  if (char === "[") {
    let end = reader.at + 1;
    while (end < source.length && source.charAt(end) !== "]") end += source.charAt(end) === "\\" ? 2 : 1;
    return member(reader, end + 1);
  }
  if (char === ".") return member(reader, reader.at + 1);
  if (char !== "\\") {
    reader.at++;
    return char;
  }
  const escape =
    /^\\(?:[pP]\{[^}]*\}|u\{[^}]*\}|u[\da-fA-F]{4}|x[\da-fA-F]{2}|k<\w+>|.)/s.exec(
      source.slice(reader.at),
    )?.[0] ?? "\\";
  if (/^\\(?:[bB\d]|k<)/.test(escape)) return skip(reader, escape.length);
  return member(reader, reader.at + escape.length);
}

function readGroup(reader: Reader): string {
  const opening = /^\((?:\?(?:[:=!]|<[=!]|<\w+>))?/.exec(reader.source.slice(reader.at))?.[0] ?? "(";
  reader.at += opening.length;
  const inside = readAlternatives(reader);
  reader.at++;
  return /\?<?[=!]$/.test(opening) ? "" : inside;
}

function readTimes(reader: Reader): number {
  const quantifier = /^(?:[*+?]|\{(\d+)(?:,\d*)?\})\??/.exec(reader.source.slice(reader.at));
  if (quantifier === null) return 1;
  reader.at += quantifier[0].length;
  const least = quantifier[1];
  return least === undefined ? (quantifier[0].startsWith("?") ? 1 : 2) : Math.max(1, Number(least));
}

/** A character that the piece of the pattern up to `end` matches. */
function member(reader: Reader, end: number): string {
  const piece = new RegExp(`^${reader.source.slice(reader.at, end)}$`, reader.flags);
  reader.at = end;
  return CANDIDATES.find((candidate) => piece.test(candidate)) ?? "a";
}

function skip(reader: Reader, length: number): string {
  reader.at += length;
  return "";
}
