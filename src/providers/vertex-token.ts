/**
 * Access tokens of a Google service account: its key signs a claim (RS256), which Google exchanges for a token of an hour.
 * Tokens are kept in the isolate as plain data. https://developers.google.com/identity/protocols/oauth2/service-account
 * (seen 2026-11)
 */

import { GatewayError } from "../errors.ts";
import { isRecord, recordOf, textOf } from "../json/fields.ts";
import type { SignPorts } from "./provider.ts";
import { sha256 } from "../bytes/digest.ts";

/** Always this one: the address in a key file is not trusted. */
const TOKEN_URL = "https://oauth2.googleapis.com/token";
const SCOPE = "https://www.googleapis.com/auth/cloud-platform";
const GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/** The longest that Google allows. */
const CLAIM_SECONDS = 3600;
const MS_PER_SECOND = 1000;
/** A token is not used in the last part of its life, so that none expires on its way. */
const MARGIN_MS = 60_000;
const TOKEN_TIMEOUT_MS = 10_000;
/** Accounts whose tokens an isolate keeps. */
const MAX_TOKENS = 200;
const RS256 = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" } as const;

/** What of a service account's key file matters. */
export interface ServiceAccount {
  readonly clientEmail: string;
  /** PEM of PKCS #8. */
  readonly privateKey: string;
  readonly privateKeyId?: string;
  readonly projectId?: string;
}

/** The key file's text, read; undefined where it is none. */
export function parseServiceAccount(json: string): ServiceAccount | undefined {
  let file: unknown;
  try {
    file = JSON.parse(json);
  } catch {
    return undefined;
  }
  const { client_email, private_key, private_key_id, project_id } = recordOf(file);
  const clientEmail = textOf(client_email);
  const privateKey = textOf(private_key);
  if (!isRecord(file) || clientEmail === undefined || privateKey === undefined) return undefined;
  const privateKeyId = textOf(private_key_id);
  const projectId = textOf(project_id);
  return {
    clientEmail,
    privateKey,
    ...(privateKeyId !== undefined && { privateKeyId }),
    ...(projectId !== undefined && { projectId }),
  };
}

interface KeptToken {
  readonly token: string;
  readonly expiresAt: number;
}

/** Gives a token, a kept one where it still lives. Throws `upstream_auth`. */
export function createTokenCache(): (account: ServiceAccount, ports: SignPorts) => Promise<string> {
  const kept = new Map<string, KeptToken>();
  return async (account, ports) => {
    // The key's own id is not enough: another record may name the same id beside a key of its own.
    const name = await digest(`${account.clientEmail}\n${account.privateKey}`);
    const known = kept.get(name);
    if (known !== undefined && known.expiresAt - MARGIN_MS > ports.now()) return known.token;
    const fresh = await fetchToken(account, ports);
    if (kept.size >= MAX_TOKENS) kept.clear();
    kept.set(name, fresh);
    return fresh.token;
  };
}

async function fetchToken(account: ServiceAccount, ports: SignPorts): Promise<KeptToken> {
  const assertion = await signClaim(account, ports.now());
  const response = await ports.fetch(TOKEN_URL, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ grant_type: GRANT_TYPE, assertion }).toString(),
    redirect: "manual",
    signal: AbortSignal.timeout(TOKEN_TIMEOUT_MS),
  });
  const { access_token, expires_in } = recordOf(await response.json().catch(() => undefined));
  const token = textOf(access_token);
  if (!response.ok || token === undefined) {
    throw new GatewayError("upstream_auth", "Google gave no access token for this service account.", {
      upstreamStatus: response.status,
    });
  }
  const lifeSeconds = typeof expires_in === "number" ? expires_in : CLAIM_SECONDS;
  return { token, expiresAt: ports.now() + lifeSeconds * MS_PER_SECOND };
}

async function signClaim(account: ServiceAccount, nowMs: number): Promise<string> {
  const { clientEmail, privateKeyId } = account;
  const issuedAt = Math.floor(nowMs / MS_PER_SECOND);
  const header = { alg: "RS256", typ: "JWT", ...(privateKeyId !== undefined && { kid: privateKeyId }) };
  const claims = {
    iss: clientEmail,
    scope: SCOPE,
    aud: TOKEN_URL,
    iat: issuedAt,
    exp: issuedAt + CLAIM_SECONDS,
  };
  const encode = (part: object): string => toBase64Url(new TextEncoder().encode(JSON.stringify(part)));
  const text = `${encode(header)}.${encode(claims)}`;
  const key = await importKey(account.privateKey);
  const signature = await crypto.subtle.sign(RS256.name, key, new TextEncoder().encode(text));
  return `${text}.${toBase64Url(new Uint8Array(signature))}`;
}

async function importKey(pem: string): Promise<CryptoKey> {
  try {
    const base64 = pem.replaceAll(/-----[^-]+-----|\s/g, "");
    const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
    return await crypto.subtle.importKey("pkcs8", bytes, RS256, false, ["sign"]);
  } catch (cause) {
    throw new GatewayError("upstream_auth", "The service account's private key can't be read.", { cause });
  }
}

async function digest(text: string): Promise<string> {
  return toBase64Url(await sha256(text));
}

function toBase64Url(bytes: Uint8Array): string {
  const base64 = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return base64
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace(/(?<!=)=+$/, "");
}
