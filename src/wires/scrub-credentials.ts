/**
 * Cuts credentials out of an upstream's error message before a client reads it. Pure. Not for captured content, which
 * telemetry/content/redact.ts masks by the same list of patterns.
 */

import { BASIC_AUTHORIZATION, BEARER_IN_ERRORS, KEYS_IN_ERRORS } from "../runtime/credential-patterns.ts";

const REPLACEMENT = "[redacted]";
const PATTERNS = [BEARER_IN_ERRORS, BASIC_AUTHORIZATION, KEYS_IN_ERRORS] as const;

/** The text with these very secrets, and all that looks like one, replaced by `[redacted]`. */
export function scrubCredentials(text: string, secrets: readonly string[]): string {
  let scrubbed = text;
  for (const secret of secrets) {
    if (secret !== "") scrubbed = scrubbed.replaceAll(secret, REPLACEMENT);
  }
  for (const pattern of PATTERNS) scrubbed = scrubbed.replaceAll(pattern, REPLACEMENT);
  return scrubbed;
}
