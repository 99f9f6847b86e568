/**
 * Text as UTF-8 and hex, and its digests: SHA-256, CRC-32 and FNV-1a, with a memory for texts that come again and again.
 * Knows nothing of what it digests.
 */

import { createBoundedMap } from "../runtime/bounded-map.ts";

const encoder = new TextEncoder();

/** One text's bytes: their buffer is their own and never shared, which Workers' types don't say. */
export function encodeText(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text) as Uint8Array<ArrayBuffer>;
}

/** The two digits of each byte: a table look-up is all that hex costs on a request's path. */
export const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, "0"),
);

/** 32 bytes. */
export async function sha256(text: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", encodeText(text)));
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

/** The reversed polynomial of IEEE 802.3, as zlib, PNG and AWS use it. */
const CRC_POLYNOMIAL = 0xed_b8_83_20;
const CRC_START = 0xff_ff_ff_ff;
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ CRC_POLYNOMIAL : value >>> 1;
  return value;
});

/** CRC-32 of these bytes, unsigned. */
export function crc32(bytes: Uint8Array): number {
  let value = CRC_START;
  for (const byte of bytes) value = (CRC_TABLE[(value ^ byte) & 0xff] ?? 0) ^ (value >>> 8);
  return (value ^ CRC_START) >>> 0;
}

/** The same for ASCII text, which each request's key is: nothing is encoded or allocated. */
export function crc32OfAscii(text: string): number {
  let value = CRC_START;
  for (let at = 0; at < text.length; at += 1) {
    value = (CRC_TABLE[(value ^ text.charCodeAt(at)) & 0xff] ?? 0) ^ (value >>> 8);
  }
  return (value ^ CRC_START) >>> 0;
}

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/**
 * FNV-1a over the text's UTF-16 units, 32 bits, unsigned: repeatable and cheap, and never a secret's digest. `start` is the
 * digest of what comes before the text.
 * https://datatracker.ietf.org/doc/html/draft-eastlake-fnv (seen 2026-11)
 */
export function fnv1a(text: string, start = FNV_OFFSET): number {
  let hash = start;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), FNV_PRIME);
  return hash >>> 0;
}
