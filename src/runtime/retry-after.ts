/**
 * How long a server asks us to wait, from its response headers: an upstream or a trace destination. Pure, without a clock;
 * whether there is a retry at all is decided elsewhere.
 */

const MS_PER_SECOND = 1000;
const NUMBER = /^\d+(?:\.\d+)?$/;
/** RFC 9110 §5.6.7: all three date forms begin with a day's name; the two with a zone end in GMT. */
const HTTP_DATE = /^(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?,? .*\d/;

/**
 * The wait in milliseconds, never negative; undefined where none is named or it can't be read.
 *
 * Reads `retry-after-ms` (OpenAI, Azure), then `retry-after` as seconds or as a date (RFC 9110 §10.2.3). A date is
 * compared with the response's own `date`, which needs no agreement of clocks, else with `nowMs`. Where neither names
 * one: `x-ratelimit-reset-{requests,tokens}` of what is used up, as OpenAI and those like it write durations.
 */
export function parseRetryAfter(headers: Headers, nowMs?: number): number | undefined {
  const ms = headers.get("retry-after-ms")?.trim() ?? "";
  if (NUMBER.test(ms)) return Number(ms);
  const value = headers.get("retry-after")?.trim() ?? "";
  if (NUMBER.test(value)) return Number(value) * MS_PER_SECOND;
  if (value === "") return resetOf(headers);
  const until = parseHttpDate(value);
  const since = parseHttpDate(headers.get("date") ?? "") ?? nowMs;
  return until === undefined || since === undefined ? undefined : Math.max(0, until - since);
}

const COUNTED = ["requests", "tokens"];
const MS_PER_UNIT: Readonly<Record<string, number>> = { ms: 1, s: MS_PER_SECOND, m: 60_000, h: 3_600_000 };
/** `120ms`, `1s`, `6m0s`, `1h2m3.5s`: https://platform.openai.com/docs/guides/rate-limits (seen 2026-11). */
const DURATION = /^(?:\d+(?:\.\d+)?(?:ms|[smh]))+$/;
const DURATION_PART = /(?<![\d.])(\d+(?:\.\d+)?)(ms|[smh])/g;

function resetOf(headers: Headers): number | undefined {
  const waits = COUNTED.filter((what) => headers.get(`x-ratelimit-remaining-${what}`)?.trim() === "0")
    .map((what) => parseDuration(headers.get(`x-ratelimit-reset-${what}`)?.trim() ?? ""))
    .filter((ms) => ms !== undefined);
  return waits.length === 0 ? undefined : Math.max(...waits);
}

/** `120ms`, `1s`, `6m0s` in milliseconds; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  if (!DURATION.test(text)) return undefined;
  let ms = 0;
  for (const [, count, unit = ""] of text.matchAll(DURATION_PART))
    ms += Number(count) * (MS_PER_UNIT[unit] ?? 0);
  return ms;
}

function parseHttpDate(value: string): number | undefined {
  if (!HTTP_DATE.test(value)) return undefined;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : at;
}
