/**
 * Other vendors' signatures and sealed thoughts as a Responses client keeps them: `encrypted_content`, a string that he
 * gives back unread. A mark tells ours from OpenAI's own, which no other vendor can use.
 */

const MARK = "headgate:";
const SIGNATURE = `${MARK}v:`;
const SEALED = `${MARK}s:`;

/** Also of a thought that nobody has signed: the mark tells that it is none of OpenAI's. */
export function wrapSignature(signature = ""): string {
  return SIGNATURE + signature;
}

export function wrapSealed(sealed: string): string {
  return SEALED + sealed;
}

/** Whether it is another vendor's. */
export function isWrappedThought(encrypted: unknown): boolean {
  return typeof encrypted === "string" && encrypted.startsWith(MARK);
}

/** What was wrapped; nothing where it is OpenAI's own. */
export function unwrapThought(encrypted: unknown): { readonly signature?: string; readonly sealed?: string } {
  if (typeof encrypted !== "string") return {};
  if (encrypted === SIGNATURE) return {};
  if (encrypted.startsWith(SIGNATURE)) return { signature: encrypted.slice(SIGNATURE.length) };
  return encrypted.startsWith(SEALED) ? { sealed: encrypted.slice(SEALED.length) } : {};
}
