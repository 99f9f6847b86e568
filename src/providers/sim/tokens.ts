/**
 * How the simulated model counts tokens, and how it cuts a text to a limit. It counts alike for every text; what the
 * gateway estimates for real models is not here.
 */

/** The usual rule of thumb for English. */
const CHARS_PER_TOKEN = 4;

/** In place of a tokenizer: a quarter of the UTF-16 units, rounded up. */
export function countSimTokens(text: string): number {
  return Math.ceil(text.length / CHARS_PER_TOKEN);
}

/** The text `maxTokens` long at most, never ending in half a character. */
export function truncateToTokens(text: string, maxTokens: number): string {
  const end = maxTokens * CHARS_PER_TOKEN;
  return text.length <= end ? text : text.slice(0, isHighSurrogate(text.charCodeAt(end - 1)) ? end - 1 : end);
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}

/** The text up to the first of the stop sequences. */
export function cutAtStop(text: string, stop: readonly string[]): string {
  const ends = stop.map((word) => text.indexOf(word)).filter((at) => at >= 0);
  return ends.length === 0 ? text : text.slice(0, Math.min(...ends));
}
