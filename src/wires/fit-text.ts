/**
 * Texts made to fit a vendor's bound: too long a one becomes its beginning and a digest of the whole, so that equal texts
 * stay equal and different ones different. Pure; not for secrets.
 */

import { fnv1a } from "../bytes/digest.ts";

const BASE = 36;
/** Two 32-bit digests in base 36. */
const DIGEST_CHARS = 14;

/** The text, `maxChars` long at the most. */
export function shorten(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text;
  const head = text.slice(0, maxChars - DIGEST_CHARS - 1).replace(/[\uD800-\uDBFF]$/, "");
  return `${head}-${digest(text)}`;
}

/** 14 letters and digits for a text, the same each time. */
export function digest(text: string): string {
  const half = (seed: string): string =>
    fnv1a(seed + text)
      .toString(BASE)
      .padStart(DIGEST_CHARS / 2, "0");
  return half("a") + half("b");
}

/**
 * A tool call's id as the vendor takes it: letters of its alphabet, `maxChars` at the most. One that fits is itself; another
 * one ends in a digest of what it was, so that different ids stay different and a result still finds its call.
 */
export function fitId(id: string, notTaken: RegExp, maxChars: number): string {
  const clean = id.replaceAll(notTaken, "_");
  if (clean === id && id.length <= maxChars) return id;
  return `${clean.slice(0, maxChars - DIGEST_CHARS - 1)}_${digest(id)}`;
}
