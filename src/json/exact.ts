/**
 * JSON whose numbers keep their digits: what a double can't hold (64-bit ids in tool arguments) is read as an `ExactNumber`
 * and written as it came. Everything else is what JSON.parse and JSON.stringify give, at their speed.
 */

/** A number as its JSON text. JSON.stringify rounds it; `toJson` doesn't. */
export class ExactNumber {
  readonly digits: string;

  constructor(digits: string) {
    this.digits = digits;
  }

  toJSON(): unknown {
    written += 1;
    return marking === undefined ? Number(this.digits) : marking(this.digits);
  }
}

/** Exact numbers that JSON.stringify has come upon so far. */
let written = 0;
/** While `toJson` writes marks in place of exact numbers. */
let marking: ((digits: string) => string) | undefined;

/** As many digits as a double may round away; most texts have no such run, and are not looked at further. */
const LONG_RUN = 16;
/** Outside strings, where a number begins and ends. */
const NUMBER = /-?\d[\d.eE+-]*/y;
const QUOTE = 0x22;
const MINUS = 0x2d;
/** Of private use: a text that holds it gets a longer mark. */
const MARK = "\u{E000}";
const MARKS = /(?:\u{E000}|\\u[eE]000)+/gu;
const ESCAPED = /\\u[eE]000/g;

/** As JSON.parse, with numbers that a double can't hold as `ExactNumber`. Throws its SyntaxError. */
export function parseJson(text: string): unknown {
  if (!hasLongNumber(text)) return JSON.parse(text);
  let mark = "";
  const numbers: ExactNumber[] = [];
  const marked = replaceNumbers(text, (digits) => {
    if (numbers.length === 0) mark = markFor(text);
    numbers.push(new ExactNumber(digits));
    return `"${mark}${numbers.length - 1}"`;
  });
  if (numbers.length === 0) return JSON.parse(text);
  // Where it breaks must be told by the text itself.
  JSON.parse(text);
  return JSON.parse(marked, (_, value: unknown) =>
    typeof value === "string" && value.startsWith(mark) ? numbers[Number(value.slice(mark.length))] : value,
  );
}

/** As JSON.stringify, with exact numbers digit for digit. */
export function toJson(value: unknown): string {
  const before = written;
  const text = JSON.stringify(value);
  if (written === before) return text;
  const mark = markFor(text);
  const numbers: string[] = [];
  marking = (digits) => `${mark}${numbers.push(digits) - 1}`;
  try {
    const marked = JSON.stringify(value);
    return marked.replaceAll(
      new RegExp(`"${mark}(\\d+)"`, "g"),
      (_, at: string) => numbers[Number(at)] ?? "0",
    );
  } finally {
    marking = undefined;
  }
}

/** Whether digits and points stand in a run of `LONG_RUN`: one of them is then at a multiple of it, and only those are read. */
function hasLongNumber(text: string): boolean {
  for (let at = LONG_RUN - 1; at < text.length; at += LONG_RUN) {
    if (!isNumeric(text.charCodeAt(at))) continue;
    let from = at;
    while (from > 0 && isNumeric(text.charCodeAt(from - 1))) from -= 1;
    let to = at + 1;
    while (to < text.length && isNumeric(text.charCodeAt(to))) to += 1;
    if (to - from >= LONG_RUN) return true;
  }
  return false;
}

/** A digit or the decimal point. */
function isNumeric(unit: number): boolean {
  return (unit >= 0x30 && unit <= 0x39) || unit === 0x2e;
}

/** Longer than any run of marks in the text, written out or escaped: no string of it begins with this one. */
function markFor(text: string): string {
  let longest = 0;
  for (const [run] of text.matchAll(MARKS)) longest = Math.max(longest, run.replaceAll(ESCAPED, MARK).length);
  return MARK.repeat(longest + 1);
}

function replaceNumbers(text: string, replace: (digits: string) => string): string {
  let out = "";
  let from = 0;
  let at = 0;
  while (at < text.length) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) {
      at = endOfString(text, at);
      continue;
    }
    const digits = unit === MINUS || isNumeric(unit) ? numberAt(text, at) : undefined;
    if (digits === undefined) {
      at += 1;
      continue;
    }
    if (isLossy(digits)) {
      out += text.slice(from, at) + replace(digits);
      from = at + digits.length;
    }
    at += digits.length;
  }
  return out + text.slice(from);
}

function numberAt(text: string, at: number): string | undefined {
  NUMBER.lastIndex = at;
  return NUMBER.exec(text)?.[0];
}

/** Behind the quote that closes the string; the text's end where none does. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  for (;;) {
    const quote = text.indexOf('"', at);
    if (quote < 0) return text.length;
    let slashes = 0;
    while (text[quote - 1 - slashes] === "\\") slashes += 1;
    if (slashes % 2 === 0) return quote + 1;
    at = quote + 1;
  }
}

/** Whether the double for these digits is another number, as far as its shortest form tells. */
function isLossy(digits: string): boolean {
  if (digits.length < LONG_RUN) return false;
  const number = Number(digits);
  if (Number.isNaN(number)) return false;
  if (/^-?\d+$/.test(digits)) return !Number.isSafeInteger(number);
  return String(number) !== digits;
}
