/** Request bodies that are sent compressed: the ones that the platform's own streams decompress, and a 415 for all others. */

import { GatewayError } from "../errors.ts";

export type Compression = "gzip" | "deflate";

/** By the names of RFC 9110, section 8.4.1. Brotli and zstd have no native stream on the platform (2026-11). */
const FORMATS: ReadonlyMap<string, Compression> = new Map([
  ["gzip", "gzip"],
  ["x-gzip", "gzip"],
  ["deflate", "deflate"],
]);
const TAKEN = "gzip, deflate";

/** How the body has to be decompressed; undefined for one that is sent as it is. Throws `unsupported_encoding`. */
export function compressionOf(headers: Headers): Compression | undefined {
  const encoding = (headers.get("content-encoding") ?? "").trim().toLowerCase();
  if (encoding === "" || encoding === "identity") return undefined;
  const format = FORMATS.get(encoding);
  if (format !== undefined) return format;
  throw new GatewayError(
    "unsupported_encoding",
    `A body with the content-encoding '${encoding.slice(0, 64)}' can't be read. Send it as it is, or in one of: ${TAKEN}.`,
    { param: "content-encoding", headers: { "accept-encoding": TAKEN } },
  );
}

/**
 * The body as it was before its compression. Reading it throws `invalid_request` where the bytes are not of that format; the
 * caller bounds what comes out.
 */
export async function* decompressed(
  body: ReadableStream<Uint8Array>,
  format: Compression,
): AsyncGenerator<Uint8Array> {
  const stream = body.pipeThrough(new DecompressionStream(format));
  try {
    yield* stream;
  } catch (thrown) {
    // The client's disconnect has another type.
    if (!(thrown instanceof TypeError)) throw thrown;
    const message = `The body is not valid ${format}. Check the content-encoding header.`;
    throw new GatewayError("invalid_request", message, { param: "body", cause: thrown });
  }
}
