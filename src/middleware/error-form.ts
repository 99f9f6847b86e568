/**
 * In whose words a fault is told, from path and headers alone: also a request that was refused unread gets the body that
 * its SDK understands. Pure. Called by on-error.ts, and by routes/models.ts, whose list has the same three forms.
 */

export type ErrorForm = "openai" | "anthropic" | "gemini" | "problem";

const ADMIN_PLANE = /^\/(admin|metrics|jaeger)(\/|$)/;
const ANTHROPIC = /^\/v1\/messages(\/|$)/;
const GEMINI = /^\/v1beta(\/|$)/;
/** Paths that several vendors' SDKs use: the way they send their key tells them apart. */
const SHARED = /^\/(v1\/models|proxy)(\/|$)/;

/** `path` as the client sent it, without its query. */
export function errorForm(path: string, headers: Headers): ErrorForm {
  if (ADMIN_PLANE.test(path)) return "problem";
  if (ANTHROPIC.test(path)) return "anthropic";
  if (GEMINI.test(path)) return "gemini";
  return SHARED.test(path) ? vendorForm(headers) : "openai";
}

/** Whose SDK sent these headers: Anthropic's names its version, Google's sends its key in a header of its own. */
export function vendorForm(headers: Headers): "openai" | "anthropic" | "gemini" {
  if (headers.has("anthropic-version")) return "anthropic";
  return headers.has("x-goog-api-key") ? "gemini" : "openai";
}
