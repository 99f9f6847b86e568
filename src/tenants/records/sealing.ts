/**
 * Secrets at rest: AES-256-GCM under MASTER_KEY, a fresh 96-bit nonce each time, and the secret's place as additional
 * data, so that a sealed text can't be moved to another tenant or name. Which fields of a record are secret is
 * seal-records.ts and open-records.ts.
 */

import { GatewayError } from "../../errors.ts";

const ALGORITHM = "AES-GCM";
/** NIST SP 800-38D, 8.2.2: 96 random bits are safe for 2^32 messages under one key. */
const NONCE_BYTES = 12;

/** The record that a secret belongs to. */
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

/** The secret's text. Throws `unavailable` that names the place, never the secret, where it was sealed under another key. */
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
      `The stored credential of ${owner} "${place.name.split("/")[0]}" can't be opened: MASTER_KEY has changed since, or the stored text was altered. Send the credential again.`,
      { param: place.name, cause },
    );
  }
}

/** Shorter ones show nothing: the hidden rest must stay too long to guess. */
const MIN_CHARS_TO_SHOW = 16;
const HEAD_CHARS = 3;
const TAIL_CHARS = 4;
const ELLIPSIS = "…";

/** `sk-…9f2c`: enough to recognise a secret by. */
export function maskSecret(text: string): string {
  if (text.length < MIN_CHARS_TO_SHOW) return ELLIPSIS;
  return text.slice(0, HEAD_CHARS) + ELLIPSIS + text.slice(-TAIL_CHARS);
}

/** Whether a text is a mask that was sent back: neither header values nor vendors' keys contain the ellipsis. */
export function isMask(text: string): boolean {
  return text.includes(ELLIPSIS);
}

/** The one key of this isolate, imported once. A CryptoKey is plain data: any request may use it. */
let imported: { readonly text: string; readonly key: CryptoKey } | undefined;

async function importMasterKey(text: string | undefined): Promise<CryptoKey> {
  if (text === undefined) {
    throw new GatewayError(
      "unavailable",
      "Secrets can't be stored: MASTER_KEY is not set. Set it to 32 random bytes in base64.",
      {
        param: "MASTER_KEY",
      },
    );
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

/** Twelve bytes make sixteen characters without padding, so two texts can be joined. */
function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
