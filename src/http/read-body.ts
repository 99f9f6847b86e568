/** Reads a request body up to a limit: a larger one is refused before it fills the isolate's memory. */

import { type Compression, compressionOf, decompressed } from "./content-encoding.ts";
import { GatewayError } from "../errors.ts";

/** Where the tenant's record sets no limit. */
export const DEFAULT_MAX_BODY_BYTES = 10 * 1024 * 1024;

/**
 * Throws `request_too_large`, `unsupported_encoding`, or `client_disconnected` where the client disconnects before its end. A body with
 * a content-length is checked by that; another is counted while it arrives, one with a content-encoding as it is decompressed.
 */
export function readBodyText(request: Request, maxBytes: number): Promise<string> {
  return unlessGone(readText(request, maxBytes));
}

async function readText(request: Request, maxBytes: number): Promise<string> {
  const format = compressionOf(request.headers);
  if (isDeclared(request, maxBytes) && format === undefined) return request.text();
  if (!request.body) return "";
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of limited(request.body, format, maxBytes))
    text += decoder.decode(chunk, { stream: true });
  return text + decoder.decode();
}

/** The same as bytes. */
export function readBodyBytes(request: Request, maxBytes: number): Promise<Uint8Array> {
  return unlessGone(readBytes(request, maxBytes));
}

async function readBytes(request: Request, maxBytes: number): Promise<Uint8Array> {
  const format = compressionOf(request.headers);
  const isBounded = isDeclared(request, maxBytes) && format === undefined;
  if (isBounded || !request.body) return request.bytes();
  const chunks: Uint8Array[] = [];
  for await (const chunk of limited(request.body, format, maxBytes)) chunks.push(chunk);
  return new Blob(chunks).bytes();
}

/**
 * The body to be passed on: as a stream where its length is known, else read first, so that one that is too large is
 * refused before the upstream is called. A compressed one is passed on decompressed. Undefined where there is none.
 */
export async function passBody(request: Request, maxBytes: number) {
  if (!request.body) return undefined;
  const isBounded = isDeclared(request, maxBytes) && compressionOf(request.headers) === undefined;
  return isBounded ? request.body : readBodyBytes(request, maxBytes);
}

/** A body that can't be read to its end means that the client disconnected; a TypeError is a bug of the gateway. */
async function unlessGone<T>(reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (thrown) {
    if (thrown instanceof GatewayError || thrown instanceof TypeError) throw thrown;
    throw new GatewayError("client_disconnected", "The client disconnected while it was sending the body.", {
      cause: thrown,
    });
  }
}

async function* limited(
  body: ReadableStream<Uint8Array>,
  format: Compression | undefined,
  maxBytes: number,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  const pieces = format === undefined ? body : decompressed(body, format, maxBytes, () => tooLarge(maxBytes));
  for await (const chunk of pieces) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    yield chunk;
  }
}

/** Whether the body has a content-length; throws where that is over the limit. */
function isDeclared(request: Request, maxBytes: number): boolean {
  const declared = request.headers.get("content-length");
  if (declared !== null && Number(declared) > maxBytes) throw tooLarge(maxBytes);
  return declared !== null;
}

function tooLarge(maxBytes: number): GatewayError {
  return new GatewayError(
    "request_too_large",
    `The body is larger than ${maxBytes} bytes (limits.maxBodyBytes). Send a smaller one, or ask the operator for a higher limit.`,
    {
      param: "body",
    },
  );
}
