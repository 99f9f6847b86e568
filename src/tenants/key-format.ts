/**
 * Gateway keys: `hg_` + 32 base62 characters of randomness + 6 of CRC-32 over what precedes, and which record a presented
 * key belongs to. Tokens of the admin plane have the same form behind `hga_`. The checksum lets garbage be refused without a look-up; the secret itself is kept only as SHA-256.
 * Pure: randomness and the clock are passed in.
 */

import { crc32OfAscii, rememberDigests } from "../bytes/digest.ts";
import type { KeyRecord } from "./records/records.ts";

/** Where a client sends the gateway key whose `authorization` is for the vendor. */
export const KEY_HEADER = "x-headgate-key";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE = ALPHABET.length;
const PREFIX = "hg_";
/** 32 × log2(62) = 190 bits. */
const RANDOM_CHARS = 32;
/** 62^6 > 2^32. */
const CHECKSUM_CHARS = 6;
export const KEY_PATTERN = new RegExp(`^${PREFIX}[0-9A-Za-z]{${RANDOM_CHARS + CHECKSUM_CHARS}}$`);

const TOKEN_PREFIX = "hga_";
export const TOKEN_PATTERN = new RegExp(`^${TOKEN_PREFIX}[0-9A-Za-z]{${RANDOM_CHARS + CHECKSUM_CHARS}}$`);

/** Of an id. 71 bits: unique within a tenant; not a secret. */
const ID_CHARS = 12;

export type RandomBytes = (count: number) => Uint8Array;

/** A new gateway key. */
export function generateKey(randomBytes: RandomBytes): string {
  return generate(PREFIX, randomBytes);
}

/** A new token of the admin plane. */
export function generateToken(randomBytes: RandomBytes): string {
  return generate(TOKEN_PREFIX, randomBytes);
}

/** The prefix + 12 characters: identifies a key (`key_`) or a token (`tok_`) in URLs, spans and the audit. */
export function generateId(prefix: "key_" | "tok_", randomBytes: RandomBytes): string {
  return prefix + randomText(ID_CHARS, randomBytes);
}

/** Whether an actor is an admin token, and not ADMIN_TOKEN. */
export function isTokenId(actor: string): boolean {
  return actor.startsWith("tok_");
}

/** Whether the text can be a key at all. */
export function isWellFormed(text: string): boolean {
  return KEY_PATTERN.test(text) && hasChecksum(text);
}

/** Whether the text can be a token of the admin plane at all. */
export function isWellFormedToken(text: string): boolean {
  return TOKEN_PATTERN.test(text) && hasChecksum(text);
}

/**
 * Hex of SHA-256 over the whole key. An isolate sees few keys often, so their hashes are kept in memory; only the hash is
 * ever stored.
 */
export const hashKey = rememberDigests(1000);

/** The key's record when its hash is the current one, or the one before a rotation within its overlap. */
export function findValidKey(
  keys: readonly KeyRecord[],
  keyId: string,
  hash: string,
  now: number,
): KeyRecord | undefined {
  const key = keys.find(({ id }) => id === keyId);
  if (!key) return undefined;
  if (key.expiresAt !== undefined && Date.parse(key.expiresAt) <= now) return undefined;
  const isCurrent = key.hash === hash;
  const isOverlapping = key.previous?.hash === hash && now < key.previous.validUntil;
  return isCurrent || isOverlapping ? key : undefined;
}

/** Whether a key that was found lets requests in: it is not paused. */
export function isUsableKey(key: KeyRecord | undefined): key is KeyRecord {
  return key !== undefined && key.status !== "paused";
}

/** Bytes from here on would make the first characters of the alphabet likelier, so they are discarded. */
const FAIR_BYTES = Math.floor(256 / BASE) * BASE;

function randomText(length: number, randomBytes: RandomBytes): string {
  let text = "";
  while (text.length < length) {
    for (const byte of randomBytes(length - text.length)) {
      if (byte < FAIR_BYTES) text += ALPHABET.charAt(byte % BASE);
    }
  }
  return text;
}

function generate(prefix: string, randomBytes: RandomBytes): string {
  const body = prefix + randomText(RANDOM_CHARS, randomBytes);
  return body + checksum(body);
}

function hasChecksum(text: string): boolean {
  return checksum(text.slice(0, -CHECKSUM_CHARS)) === text.slice(-CHECKSUM_CHARS);
}

function checksum(text: string): string {
  let rest = crc32OfAscii(text);
  let digits = "";
  for (let place = 0; place < CHECKSUM_CHARS; place += 1) {
    digits = ALPHABET.charAt(rest % BASE) + digits;
    rest = Math.floor(rest / BASE);
  }
  return digits;
}
