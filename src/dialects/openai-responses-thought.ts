/**
 * Other vendors' signatures and sealed thoughts as a Responses client keeps them: `encrypted_content`, a string that he
 * gives back unread. A mark tells ours from OpenAI's own, which no other vendor can use.
 */

const SIGNATURE = "headgate:v:";
const SEALED = "headgate:s:";

export function wrapSignature(signature: string): string {
  return SIGNATURE + signature;
}

export function wrapSealed(sealed: string): string {
  return SEALED + sealed;
}

/** What was wrapped; nothing where it is OpenAI's own. */
export function unwrapThought(encrypted: unknown): { readonly signature?: string; readonly sealed?: string } {
  if (typeof encrypted !== "string") return {};
  if (encrypted.startsWith(SIGNATURE)) return { signature: encrypted.slice(SIGNATURE.length) };
  return encrypted.startsWith(SEALED) ? { sealed: encrypted.slice(SEALED.length) } : {};
}
