/** Request bodies that are sent compressed: gzip, deflate, Brotli and zstd, and a 415 for all others. */

import { GatewayError } from "../errors.ts";

type Streamed = "gzip" | "deflate";
/** Without a native stream on the platform (2026-11): read to their end, then decompressed at once. */
type Whole = "br" | "zstd";
export type Compression = Streamed | Whole;

/** By the names of RFC 9110, section 8.4.1, and RFC 8878. */
const FORMATS: ReadonlyMap<string, Compression> = new Map([
  ["gzip", "gzip"],
  ["x-gzip", "gzip"],
  ["deflate", "deflate"],
  ["br", "br"],
  ["zstd", "zstd"],
]);
const TAKEN = "gzip, deflate, br, zstd";

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
 * The body as it was before its compression, at most `maxBytes` of it and some more. Reading it throws `invalid_request` where the bytes
 * are not of that format, and calls `tooLarge` where they are, or become, more than that; the caller bounds what comes out in pieces.
 */
export async function* decompressed(
  body: ReadableStream<Uint8Array>,
  format: Compression,
  maxBytes: number,
  tooLarge: () => Error,
): AsyncGenerator<Uint8Array> {
  if (format === "br" || format === "zstd") {
    yield decompress(await readWhole(body, maxBytes, tooLarge), await wholeDecoder(format), {
      format,
      maxBytes,
      tooLarge,
    });
    return;
  }
  const stream = body.pipeThrough(new DecompressionStream(format));
  try {
    yield* stream;
  } catch (thrown) {
    // The client's disconnect has another type.
    if (!(thrown instanceof TypeError)) throw thrown;
    throw notOfFormat(format, thrown);
  }
}

type WholeDecoder = (bytes: Uint8Array, options: { readonly maxOutputLength: number }) => Uint8Array;

/** Loaded at the first body of that format: others do not pay for it. */
async function wholeDecoder(format: Whole): Promise<WholeDecoder> {
  const { brotliDecompressSync, zstdDecompressSync } = await import("node:zlib");
  return format === "br" ? brotliDecompressSync : zstdDecompressSync;
}

interface Bounds {
  readonly format: Whole;
  readonly maxBytes: number;
  readonly tooLarge: () => Error;
}

function decompress(bytes: Uint8Array, decoder: WholeDecoder, { format, maxBytes, tooLarge }: Bounds) {
  try {
    return decoder(bytes, { maxOutputLength: maxBytes });
  } catch (thrown) {
    if (thrown instanceof RangeError) throw tooLarge();
    throw notOfFormat(format, thrown);
  }
}

async function readWhole(
  body: ReadableStream<Uint8Array>,
  maxBytes: number,
  tooLarge: () => Error,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of body) {
    bytes += piece.byteLength;
    if (bytes > maxBytes) throw tooLarge();
    pieces.push(piece);
  }
  return new Blob(pieces).bytes();
}

function notOfFormat(format: Compression, cause: unknown): GatewayError {
  const message = `The body is not valid ${format}. Check the content-encoding header.`;
  return new GatewayError("invalid_request", message, { param: "body", cause });
}
