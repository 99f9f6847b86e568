/**
 * The address of an image, a document or a sound: `data:` URLs, in which OpenAI's wires carry inline media, read and
 * written, and the media type that a file's name suggests. Pure; nothing is copied but the payload.
 * https://www.rfc-editor.org/rfc/rfc2397
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

const BY_EXTENSION: ReadonlyMap<string, string> = new Map([
  ["png", "image/png"],
  ["jpg", "image/jpeg"],
  ["jpeg", "image/jpeg"],
  ["webp", "image/webp"],
  ["gif", "image/gif"],
  ["heic", "image/heic"],
  ["heif", "image/heif"],
  ["pdf", "application/pdf"],
  ["txt", "text/plain"],
  ["md", "text/markdown"],
  ["html", "text/html"],
  ["csv", "text/csv"],
  ["mp3", "audio/mp3"],
  ["wav", "audio/wav"],
  ["mp4", "video/mp4"],
]);

/** By the extension of the address's path; `fallback` where it has none that is known. */
export function guessMediaType(url: string, fallback: string): string {
  const path = url.split(/[?#]/, 1)[0] ?? "";
  const extension = /\.([a-z0-9]+)$/i.exec(path)?.[1]?.toLowerCase() ?? "";
  return BY_EXTENSION.get(extension) ?? fallback;
}
