/**
 * Other vendors' signatures (reasoning-provenance.ts) while a Gemini client keeps them: wrapped, since `thoughtSignature` is a field
 * of bytes, written in base64, which Google's Python SDK decodes.
 */

import { untagSignature } from "../reasoning-provenance.ts";

const MARK = "headgate:";
const KINDS = { signature: "v:", encrypted: "s:" } as const;

/** MARK in base64: nine bytes fill whole groups. */
const MARK_BASE64 = "aGVhZGdhdGU6";

/** Whether a signature is another vendor's, as we gave it to the client. */
export function isWrappedForGemini(thoughtSignature: unknown): boolean {
  return typeof thoughtSignature === "string" && thoughtSignature.startsWith(MARK_BASE64);
}

export interface KeptReasoning {
  readonly signature?: string;
  /** Reasoning that only its vendor can read. */
  readonly encrypted?: string;
}

/** A signature as a Gemini client keeps it: Gemini's own as it is. */
export function wrapForGemini(kind: keyof typeof KINDS, value: string): string {
  const own = untagSignature(value);
  if (own !== undefined) return own;
  const bytes = new TextEncoder().encode(MARK + KINDS[kind] + value);
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

/** What was wrapped; nothing where it is Gemini's own. */
export function unwrapFromGemini(thoughtSignature: unknown): KeptReasoning {
  if (typeof thoughtSignature !== "string") return {};
  const text = decode(thoughtSignature);
  if (text === undefined || !text.startsWith(MARK)) return {};
  const value = text.slice(MARK.length);
  if (value.startsWith(KINDS.signature)) return { signature: value.slice(KINDS.signature.length) };
  return value.startsWith(KINDS.encrypted) ? { encrypted: value.slice(KINDS.encrypted.length) } : {};
}

function decode(base64: string): string | undefined {
  try {
    // Python's SDK sends bytes in the URL-safe alphabet.
    const binary = atob(base64.replaceAll("-", "+").replaceAll("_", "/"));
    return new TextDecoder().decode(Uint8Array.from(binary, (char) => char.charCodeAt(0)));
  } catch {
    return undefined;
  }
}
