/**
 * SHA-256 of texts, as bytes and in hex, and a memory of digests for what comes again and again. Knows nothing of what
 * it digests.
 */

import { HEX } from "./hex.ts";
import { createBoundedMap } from "../runtime/bounded-map.ts";

const encoder = new TextEncoder();

/** 32 bytes. */
export async function sha256(text: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(text)));
}

/** 64 hex digits. */
export async function sha256Hex(text: string): Promise<string> {
  let hex = "";
  for (const byte of await sha256(text)) hex += HEX[byte];
  return hex;
}

/**
 * `sha256Hex` that remembers the last `maxEntries` texts, in memory only: to find a digest again takes a fifth of what
 * making it does.
 */
export function rememberDigests(maxEntries: number): (text: string) => Promise<string> {
  const digests = createBoundedMap<string, string>(maxEntries);
  return async (text) => {
    const known = digests.get(text);
    if (known !== undefined) return known;
    const digest = await sha256Hex(text);
    digests.set(text, digest);
    return digest;
  };
}
