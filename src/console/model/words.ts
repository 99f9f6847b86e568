/**
 * How the console writes durations, money, tokens, times and text from outside. The terminal drawing has its own
 * (src/telemetry/waterfall/terminal-text.ts), which is bound to columns. Pure.
 */

const MS_PER_SECOND = 1000;
const MS_PER_MINUTE = 60_000;

/** `0 ms`, `401 ms`, `2.31 s`, `15.5 s`, `4 min 12 s`, `3 h 4 min`; a unit changes where the text would round up to the next one. */
export function durationText(ms: number): string {
  const whole = Math.round(ms);
  if (whole < MS_PER_SECOND) return `${whole} ms`;
  if (whole < 9_995) return `${(whole / MS_PER_SECOND).toFixed(2)} s`;
  const tenths = Math.round(whole / 100) / 10;
  if (tenths < 60) return `${tenths.toFixed(1)} s`;
  const seconds = Math.round(whole / MS_PER_SECOND);
  if (seconds < 3600) return inUnits(seconds, "min", "s");
  return inUnits(Math.round(whole / MS_PER_MINUTE), "h", "min");
}

/** `4 min 12 s`; `4 min` where nothing is left over. */
function inUnits(count: number, large: string, small: string): string {
  const rest = count % 60;
  return `${countText(Math.floor(count / 60))} ${large}${rest === 0 ? "" : ` ${rest} ${small}`}`;
}

/** US dollars; `no price` where it is unknown. */
export function usdText(usd: number | null | undefined): string {
  if (usd === null || usd === undefined) return "no price";
  if (usd === 0) return "$0";
  if (usd < 0.000001) return "under $0.000001";
  if (usd >= 0.995) {
    return `$${usd.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
  }
  if (usd >= 0.01) return `$${usd.toFixed(4)}`;
  // Two digits that count, and never more than the ledger's micro-dollars.
  return `$${usd.toFixed(Math.min(6, 1 - Math.floor(Math.log10(usd))))}`;
}

/** `60 %`; `under 1 %` for anything that is there at all. */
export function shareText(part: number, whole: number): string {
  const percent = whole > 0 ? (100 * part) / whole : 0;
  return percent > 0 && percent < 1 ? "under 1 %" : `${Math.round(percent)} %`;
}

/** `1,204`; from a million on `4.81 M`. */
export function countText(count: number): string {
  return count >= 1_000_000 ? `${(count / 1_000_000).toFixed(2)} M` : count.toLocaleString("en-US");
}

export function rateText(perSecond: number): string {
  return `${perSecond < 10 ? perSecond.toFixed(1) : Math.round(perSecond)} tokens/s`;
}

/** `1st`, `2nd`, `11th`. */
export function placeText(place: number): string {
  const isTeen = place % 100 > 10 && place % 100 < 14;
  return place + (isTeen ? "th" : (["th", "st", "nd", "rd"][place % 10] ?? "th"));
}

/** `14:02:07` in UTC; with the date where the day is not `today`'s. */
export function timeText(at: number, today: number): string {
  const iso = new Date(at).toISOString();
  const time = iso.slice(11, 19);
  return iso.slice(0, 10) === new Date(today).toISOString().slice(0, 10)
    ? time
    : `${iso.slice(0, 10)} ${time}`;
}

/** The first six and last four characters of an id. */
export function shortId(id: string): string {
  return id.length <= 12 ? id : `${id.slice(0, 6)}…${id.slice(-4)}`;
}

// Controls (line feed and tab aside), and what reorders or hides the characters beside it.
// oxlint-disable-next-line no-control-regex
const HIDDEN = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u200B-\u200F\u202A-\u202E\u2066-\u2069\uFEFF]/g;

/** Text from outside with its invisible characters written out: `⟨U+202E⟩`. An empty name is `(no name)`. */
export function visibleText(text: string): string {
  if (text === "") return "(no name)";
  return text.replace(HIDDEN, (char) => {
    const code = (char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
    return `⟨U+${code}⟩`;
  });
}
