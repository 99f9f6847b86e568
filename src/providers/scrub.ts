/**
 * Cuts credentials out of an upstream's words before a client reads them. Pure. Called by the providers' toError.
 */

const REPLACEMENT = "[redacted]";

/**
 * What looks like a credential: a bearer or basic token, and the vendors' well-known prefixes (also half masked with
 * asterisks, as OpenAI quotes them, since the rest still helps to guess).
 */
const CREDENTIALS = [
  /\bbearer\s+[\w.~+/*=-]{6,}/gi,
  // Base64 of a name and password; "basic authentication" is a word of many messages.
  /\bbasic\s+(?=\S*[\d=])[\w+/]{8,}={0,2}/gi,
  /\b(?:sk|pk|rk|hg|gsk|xai|hf|nvapi|pplx|fw|csk|r8|dapi)[-_][\w*.-]{6,}/gi,
  /\bAIza[\w*-]{8,}/g,
  /\b(?:AKIA|ASIA)[A-Z0-9*]{8,}/g,
  /\beyJ[\w-]{8,}\.[\w.-]+/g,
] as const;

/** The text with these very secrets, and all that looks like one, replaced by `[redacted]`. */
export function scrubCredentials(text: string, secrets: readonly string[]): string {
  let scrubbed = text;
  for (const secret of secrets) {
    if (secret !== "") scrubbed = scrubbed.replaceAll(secret, REPLACEMENT);
  }
  for (const pattern of CREDENTIALS) scrubbed = scrubbed.replace(pattern, REPLACEMENT);
  return scrubbed;
}
