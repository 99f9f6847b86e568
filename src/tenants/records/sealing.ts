/**
 * Secrets at rest: AES-256-GCM under MASTER_KEY, a fresh 96-bit nonce each time, and the secret's place as additional
 * data, so that a sealed text can't be moved to another tenant, name or address. Which fields of a record are secret is
 * seal-records.ts and open-records.ts.
 */

import { sha256Hex } from "../../bytes/digest.ts";
import { GatewayError } from "../../errors.ts";
import { withoutHostOptions } from "./audience.ts";

const ALGORITHM = "AES-GCM";
/** NIST SP 800-38D, 8.2.2: 96 random bits are safe for 2^32 messages under one key. */
const NONCE_BYTES = 12;

/** The record that a secret belongs to, or the cookie. */
export interface SecretPlace {
  readonly tenantId: string;
  readonly kind:
    | "provider.apiKey"
    | "provider.header"
    | "destination.header"
    | "webhook.secret"
    | "console.session";
  /** `openai`, or `openai/x-org` for a header. */
  readonly name: string;
  /** Who gets the secret: kind and origin (audience.ts). A sealed text can't be opened for another one. */
  readonly audience: string;
}

/** MASTER_KEY, and behind it the next and the previous one during a change: the first seals, all open. */
export type MasterKeys = readonly string[];

/** How a sealed text begins that names its key. Those without it are from before, and have no audience. */
const VERSION = "v3";
/** The same, for an audience without the options that a host name is made of. */
const VERSION_BEFORE = "v2";

/** Stands for the key id of a text that names none. */
export const UNNAMED_KEY_ID = "";

/** The id of the master key that sealed a text. */
export function masterKeyIdOf(sealed: string): string {
  const [version, keyId = UNNAMED_KEY_ID, text = ""] = sealed.split(".");
  const isNamed = version === VERSION || version === VERSION_BEFORE;
  return isNamed && text !== "" ? keyId : UNNAMED_KEY_ID;
}

/** Tells which key sealed a text, and nothing about the key. */
export async function masterKeyId(masterKey: string): Promise<string> {
  return (await importMasterKey(masterKey)).id;
}

/** `v3.{key id}.{base64(nonce ‖ ciphertext ‖ tag)}`. */
export async function sealSecret(text: string, place: SecretPlace, masterKeys: MasterKeys): Promise<string> {
  const [first] = masterKeys;
  if (first === undefined) throw noMasterKey();
  const { key, id } = await importMasterKey(first);
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const sealed = await crypto.subtle.encrypt(
    cipher(nonce, boundData(place)),
    key,
    new TextEncoder().encode(text),
  );
  return `${VERSION}.${id}.${toBase64(nonce)}${toBase64(new Uint8Array(sealed))}`;
}

/** The secret's text. Throws `unavailable` that names the place, never the secret, where no key opens it there. */
export async function openSecret(
  sealed: string,
  place: SecretPlace,
  masterKeys: MasterKeys,
): Promise<string> {
  if (masterKeys.length === 0) throw noMasterKey();
  const keyId = masterKeyIdOf(sealed);
  const isVersioned = keyId !== UNNAMED_KEY_ID;
  const text = sealed.slice(sealed.lastIndexOf(".") + 1);
  const bound = sealed.startsWith(`${VERSION}.`) ? boundData(place) : boundDataBefore(place);
  for (const masterKey of masterKeys) {
    const { key, id } = await importMasterKey(masterKey);
    if (isVersioned && id !== keyId) continue;
    const opened = isVersioned
      ? await open(text, key, bound)
      : await open(sealed, key, `${place.tenantId}/${place.kind}/${place.name}`);
    if (opened !== undefined) return opened;
  }
  throw new GatewayError(
    "unavailable",
    `The stored credential of ${OWNERS[place.kind]} "${place.name.split("/")[0]}" can't be opened: MASTER_KEY or the record's address has changed since, or the stored text was altered. Send the credential again.`,
    { param: place.name },
  );
}

const OWNERS: Readonly<Record<SecretPlace["kind"], string>> = {
  "provider.apiKey": "provider",
  "provider.header": "provider",
  "destination.header": "trace destination",
  "webhook.secret": "the webhook",
  "console.session": "the console's session",
};

async function open(base64: string, key: CryptoKey, bound: string): Promise<string | undefined> {
  try {
    const bytes = fromBase64(base64);
    const nonce = bytes.subarray(0, NONCE_BYTES);
    const opened = await crypto.subtle.decrypt(cipher(nonce, bound), key, bytes.subarray(NONCE_BYTES));
    return new TextDecoder().decode(opened);
  } catch {
    return undefined;
  }
}

function boundData({ tenantId, kind, name, audience }: SecretPlace): string {
  return JSON.stringify([VERSION, tenantId, kind, name, audience]);
}

function boundDataBefore({ tenantId, kind, name, audience }: SecretPlace): string {
  return JSON.stringify([tenantId, kind, name, withoutHostOptions(audience)]);
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

interface ImportedKey {
  readonly key: CryptoKey;
  /** The beginning of a digest of the key. */
  readonly id: string;
}

/** An isolate has one or two, imported once. A CryptoKey is plain data: any request may use it. */
const imported = new Map<string, Promise<ImportedKey>>();
const KEY_ID_CHARS = 8;

function importMasterKey(text: string): Promise<ImportedKey> {
  const known = imported.get(text);
  if (known !== undefined) return known;
  const importing = importKey(text);
  imported.set(text, importing);
  return importing;
}

async function importKey(text: string): Promise<ImportedKey> {
  const [key, digest] = await Promise.all([
    crypto.subtle.importKey("raw", fromBase64(text), ALGORITHM, false, ["encrypt", "decrypt"]),
    sha256Hex(`headgate master key ${text}`),
  ]);
  return { key, id: digest.slice(0, KEY_ID_CHARS) };
}

function noMasterKey(): GatewayError {
  const message = "Secrets can't be stored: MASTER_KEY is not set. Set it to 32 random bytes in base64.";
  return new GatewayError("unavailable", message, { param: "MASTER_KEY" });
}

function cipher(nonce: Uint8Array<ArrayBuffer>, bound: string) {
  return { name: ALGORITHM, iv: nonce, additionalData: new TextEncoder().encode(bound) };
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
