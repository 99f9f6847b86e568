/**
 * Secrets at rest: AES-256-GCM under MASTER_KEY, a fresh 96-bit nonce each time, and the secret's place as additional
 * data, so that a sealed text can't be moved to another tenant or name. Knows nothing of records; seal-records.ts and
 * open-records.ts do.
 */

import { GatewayError } from "../../errors.ts";

const ALGORITHM = "AES-GCM";
/** NIST SP 800-38D, 8.2.2: 96 random bits are safe for 2^32 messages under one key. */
const NONCE_BYTES = 12;

/** Where a secret belongs. */
export interface SecretPlace {
  readonly tenantId: string;
  readonly kind: "provider.apiKey" | "provider.header" | "destination.header";
  /** `openai`, or `openai/x-org` for a header. */
  readonly name: string;
}

/** `base64(nonce ‖ ciphertext ‖ tag)`. */
export async function sealSecret(
  text: string,
  place: SecretPlace,
  masterKey: string | undefined,
): Promise<string> {
  const key = await importMasterKey(masterKey);
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const sealed = await crypto.subtle.encrypt(cipher(nonce, place), key, new TextEncoder().encode(text));
  return toBase64(nonce) + toBase64(new Uint8Array(sealed));
}

/** The secret's text; throws `unavailable` that names the place, never the secret, where the key is another one. */
export async function openSecret(
  sealed: string,
  place: SecretPlace,
  masterKey: string | undefined,
): Promise<string> {
  const key = await importMasterKey(masterKey);
  try {
    const bytes = fromBase64(sealed);
    const nonce = bytes.subarray(0, NONCE_BYTES);
    const opened = await crypto.subtle.decrypt(cipher(nonce, place), key, bytes.subarray(NONCE_BYTES));
    return new TextDecoder().decode(opened);
  } catch (cause) {
    const owner = place.kind === "destination.header" ? "trace destination" : "provider";
    throw new GatewayError(
      "unavailable",
      `The stored credential of ${owner} "${place.name.split("/")[0]}" can't be opened: it was sealed under another MASTER_KEY, or was tampered with. Write it anew.`,
      { param: place.name, cause },
    );
  }
}

/** Shorter ones show nothing: what is left unseen must stay beyond guessing. */
const MIN_CHARS_TO_SHOW = 16;
const HEAD_CHARS = 3;
const TAIL_CHARS = 4;
const ELLIPSIS = "…";

/** `sk-…9f2c`: enough to recognise a secret by. */
export function maskSecret(text: string): string {
  if (text.length < MIN_CHARS_TO_SHOW) return ELLIPSIS;
  return text.slice(0, HEAD_CHARS) + ELLIPSIS + text.slice(-TAIL_CHARS);
}

/** Whether a text is a mask that was sent back: no header value and no vendor's key holds the ellipsis. */
export function isMask(text: string): boolean {
  return text.includes(ELLIPSIS);
}

/** The one key of this isolate, imported once. A CryptoKey is plain data: any request may use it. */
let imported: { readonly text: string; readonly key: CryptoKey } | undefined;

async function importMasterKey(text: string | undefined): Promise<CryptoKey> {
  if (text === undefined) {
    throw new GatewayError("unavailable", "Secrets can't be kept: MASTER_KEY is not set.", {
      param: "MASTER_KEY",
    });
  }
  if (imported?.text === text) return imported.key;
  const key = await crypto.subtle.importKey("raw", fromBase64(text), ALGORITHM, false, [
    "encrypt",
    "decrypt",
  ]);
  imported = { text, key };
  return key;
}

function cipher(nonce: Uint8Array<ArrayBuffer>, place: SecretPlace) {
  const additionalData = new TextEncoder().encode(`${place.tenantId}/${place.kind}/${place.name}`);
  return { name: ALGORITHM, iv: nonce, additionalData };
}

/** Twelve bytes make sixteen characters without padding, so two texts can stand end to end. */
function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
