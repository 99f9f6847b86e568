/** Text for a terminal: cleaning, cutting, padding, and readable numbers. Pure. */

/**
 * Anything but printable Latin (and the arrow in our own reasons) becomes a question mark: names come from
 * clients, and an escape sequence, a right-to-left mark or a double-width character would break the drawing or
 * attack the terminal.
 */
export function cleanText(text: string): string {
  return text.replaceAll(/[^\x20-\x7E\u00A1-\u00AC\u00AE-\u024F→…]/gu, "?");
}

/** Cuts to a width, with an ellipsis where something is missing. */
export function cutTo(text: string, width: number): string {
  if (text.length <= width) return text;
  return width <= 0 ? "" : `${text.slice(0, width - 1)}…`;
}

/** Parts in lines no wider than `width`, with a dot between two of a line. */
export function flow(parts: readonly string[], width: number, separator = " · "): string[] {
  const lines: string[] = [];
  let line = "";
  for (const part of parts) {
    const cut = cutTo(part, width);
    if (line === "") line = cut;
    else if (line.length + separator.length + cut.length <= width) line += separator + cut;
    else {
      lines.push(line);
      line = cut;
    }
  }
  return line === "" ? lines : [...lines, line];
}

/** Two texts at both ends of a line; the left one is cut if there is no room. */
export function spread(left: string, right: string, width: number): string {
  const kept = cutTo(right, width);
  const room = width - kept.length - 1;
  return `${cutTo(left, room).padEnd(room)} ${kept}`;
}

const MS_PER_SECOND = 1000;
const MS_PER_MINUTE = 60_000;

/** `401 ms`, `2.31 s`, `23.1 s`, `12 s`, `2 min 5 s`. */
export function formatMs(ms: number): string {
  if (ms < MS_PER_SECOND) return `${Math.round(ms)} ms`;
  if (ms < 10 * MS_PER_SECOND) return `${(ms / MS_PER_SECOND).toFixed(2)} s`;
  if (ms < MS_PER_MINUTE) return `${(ms / MS_PER_SECOND).toFixed(1).replace(/\.0$/, "")} s`;
  const seconds = Math.round(ms / MS_PER_SECOND);
  return seconds % 60 === 0 ? `${seconds / 60} min` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** A round length for an axis: `500 ms`, `1.5 s`. */
export function formatTick(ms: number): string {
  if (ms === 0) return "0";
  return ms < MS_PER_SECOND ? `${ms} ms` : `${ms / MS_PER_SECOND} s`;
}

const MICRO_DIGITS = 6;

/** Dollars to the micro-dollar: `$0.0031`, `$1.20`. */
export function formatUsd(usd: number): string {
  const [whole = "0", fraction = ""] = usd.toFixed(MICRO_DIGITS).split(".");
  return `$${whole}.${fraction.replace(/(?<!0)0+$/, "").padEnd(2, "0")}`;
}

/** `1st`, `2nd`, `3rd`, `11th`. */
export function formatOrdinal(n: number): string {
  const isTeen = n % 100 >= 11 && n % 100 <= 13;
  const ending = isTeen ? "th" : (["th", "st", "nd", "rd"][n % 10] ?? "th");
  return `${n}${ending}`;
}
