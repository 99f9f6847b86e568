/**
 * Other vendors' signatures and encrypted reasoning as a Responses client keeps them: `encrypted_content`, a string that it
 * gives back unread. A mark tells ours from OpenAI's own, which no other vendor can use.
 */

const MARK = "headgate:";
const SIGNATURE = `${MARK}v:`;
const ENCRYPTED = `${MARK}s:`;

/** Also of unsigned reasoning: the mark says that it is not OpenAI's. */
export function wrapSignatureForResponses(signature = ""): string {
  return SIGNATURE + signature;
}

export function wrapEncryptedForResponses(encrypted: string): string {
  return ENCRYPTED + encrypted;
}

/** Whether it is another vendor's. */
export function isWrappedForResponses(encrypted: unknown): boolean {
  return typeof encrypted === "string" && encrypted.startsWith(MARK);
}

/** What was wrapped; nothing where it is OpenAI's own. */
export function unwrapFromResponses(content: unknown): {
  readonly signature?: string;
  readonly encrypted?: string;
} {
  if (typeof content !== "string" || content === SIGNATURE) return {};
  if (content.startsWith(SIGNATURE)) return { signature: content.slice(SIGNATURE.length) };
  return content.startsWith(ENCRYPTED) ? { encrypted: content.slice(ENCRYPTED.length) } : {};
}
