/**
 * Cuts credentials out of an upstream's error message before a client reads it. Pure. Not for captured content, which
 * telemetry/content/redact.ts masks by the same list of patterns.
 */

import { BASIC_AUTHORIZATION, BEARER_IN_ERRORS, KEYS_IN_ERRORS } from "../runtime/credential-patterns.ts";

/** A header value shorter than this is not a secret, and cutting it out would only garble the message. */
const MIN_SECRET_CHARS = 8;

const REPLACEMENT = "[redacted]";
const PATTERNS = [BEARER_IN_ERRORS, BASIC_AUTHORIZATION, KEYS_IN_ERRORS] as const;

interface Credentials {
  readonly apiKey?: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What an account sends that is secret: its key and its headers' values, the latter without their scheme too. */
export function secretsOf(account: Credentials | undefined): readonly string[] {
  if (account === undefined) return [];
  const values = Object.values(account.headers).flatMap((value) => [
    value,
    value.slice(value.indexOf(" ") + 1),
  ]);
  const secrets = new Set(values.filter((value) => value.length >= MIN_SECRET_CHARS));
  if (account.apiKey !== undefined) secrets.add(account.apiKey);
  return [...secrets];
}

/** The text with these very secrets, and all that looks like one, replaced by `[redacted]`. */
export function scrubCredentials(text: string, secrets: readonly string[]): string {
  let scrubbed = text;
  for (const secret of secrets) {
    if (secret !== "") scrubbed = scrubbed.replaceAll(secret, REPLACEMENT);
  }
  for (const pattern of PATTERNS) scrubbed = scrubbed.replaceAll(pattern, REPLACEMENT);
  return scrubbed;
}
