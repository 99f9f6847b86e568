/**
 * `data:` URLs, in which OpenAI's wires carry inline media, and back. Pure; nothing is copied but the payload. Called by
 * the dialects and providers of those wires. https://www.rfc-editor.org/rfc/rfc2397
 */

import type { MediaSource } from "../schema/conversation.ts";

/** Where RFC 2397 says so for a URL that names none. */
const DEFAULT_MEDIA_TYPE = "text/plain";

/** The media behind a URL: inline where it is a `data:` URL in base64, else by address. Undefined for other `data:` URLs. */
export function readMediaUrl(url: string): MediaSource | undefined {
  if (!/^data:/i.test(url)) return { kind: "url", url };
  const comma = url.indexOf(",");
  const [mediaType = "", ...attributes] = url.slice("data:".length, comma).split(";");
  if (comma < 0 || attributes.at(-1)?.trim().toLowerCase() !== "base64") return undefined;
  return { kind: "inline", mediaType: mediaType || DEFAULT_MEDIA_TYPE, base64: url.slice(comma + 1) };
}

export function formatMediaUrl(source: MediaSource): string {
  return source.kind === "url" ? source.url : `data:${source.mediaType};base64,${source.base64}`;
}
