/**
 * Reads a request body up to a limit: a larger one is refused before it fills the isolate's memory. How long it may take is
 * body-time.ts.
 */

import { type NoteBytes, passWithinTime, type TimedBody, withinBodyTime } from "./body-time.ts";
import { type Compression, compressionOf, decompressed } from "./content-encoding.ts";
import { GatewayError } from "../errors.ts";
import type { StartTimer } from "../runtime/waits.ts";

/** Is given each number of bytes before they are held; may throw `overloaded`. */
export type HoldBytes = (bytes: number) => void;

/** Where the tenant's record sets no limit. */
export const DEFAULT_MAX_BODY_BYTES = 10 * 1024 * 1024;

/**
 * Throws what `hold` throws, `request_too_large`, `unsupported_encoding`, `request_timeout`, or `client_disconnected` where the client disconnects
 * before its end. A body with a content-length is checked by that; another is counted while it arrives, one with a
 * content-encoding as it is decompressed.
 */
export function readBodyText(
  request: Request,
  maxBytes: number,
  hold: HoldBytes,
  startTimer?: StartTimer,
): Promise<string> {
  return unlessGone(readText(request, maxBytes, hold, startTimer));
}

async function readText(
  request: Request,
  maxBytes: number,
  hold: HoldBytes,
  startTimer?: StartTimer,
): Promise<string> {
  const { body } = request;
  if (!body) return withoutBody(request, maxBytes, "");
  return readWhole({ request, body, maxBytes, hold, startTimer }, () => request.text(), joinText);
}

async function joinText(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const piece of pieces) text += decoder.decode(piece, { stream: true });
  return text + decoder.decode();
}

/** The same as bytes. */
export function readBodyBytes(
  request: Request,
  maxBytes: number,
  hold: HoldBytes,
  startTimer?: StartTimer,
): Promise<Uint8Array> {
  return unlessGone(readBytes(request, maxBytes, hold, startTimer));
}

async function readBytes(
  request: Request,
  maxBytes: number,
  hold: HoldBytes,
  startTimer?: StartTimer,
): Promise<Uint8Array> {
  const { body } = request;
  if (!body) return withoutBody(request, maxBytes, new Uint8Array());
  return readWhole({ request, body, maxBytes, hold, startTimer }, () => request.bytes(), joinBytes);
}

async function joinBytes(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const piece of pieces) chunks.push(piece);
  return new Blob(chunks).bytes();
}

/** What its head says is checked all the same. */
function withoutBody<T>(request: Request, maxBytes: number, empty: T): T {
  compressionOf(request.headers);
  declaredLength(request, maxBytes);
  return empty;
}

interface Reading {
  readonly request: Request;
  readonly body: ReadableStream<Uint8Array>;
  readonly maxBytes: number;
  readonly hold: HoldBytes;
  readonly startTimer: StartTimer | undefined;
}

/** A body of known length is left to the platform (`native`); another is counted while it arrives, and joined. */
async function readWhole<T>(
  { request, body, maxBytes, hold, startTimer }: Reading,
  native: () => Promise<T>,
  join: (chunks: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<T> {
  const format = compressionOf(request.headers);
  const length = declaredLength(request, maxBytes);
  if (length !== undefined && format === undefined) {
    hold(length);
    return withinBodyTime(length, native, startTimer);
  }
  return withinBodyTime(0, (note) => join(limited(body, format, maxBytes, note, hold)), startTimer);
}

/** A body to be passed on. */
export interface PassedBody {
  readonly payload: ReadableStream<Uint8Array> | Uint8Array | undefined;
  /** Why its stream was cut while it was passed on; undefined where it was not. */
  fault(): GatewayError | undefined;
}

/**
 * The body as a stream where its length is known, else read first, so that one that is too large is refused before the
 * upstream is called. A compressed one is passed on decompressed.
 */
export async function passBody(request: Request, maxBytes: number, hold: HoldBytes): Promise<PassedBody> {
  const noFault = (): undefined => undefined;
  const length = declaredLength(request, maxBytes);
  const { body } = request;
  if (!body) return { payload: undefined, fault: noFault };
  if (length === undefined || compressionOf(request.headers) !== undefined)
    return { payload: await readBodyBytes(request, maxBytes, hold), fault: noFault };
  const { stream, fault }: TimedBody = passWithinTime(body, length);
  return { payload: stream, fault };
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
  note: NoteBytes,
  hold: HoldBytes,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  // The rest of a body that is too large is left to unread-body.ts.
  const pieces =
    format === undefined
      ? body.values({ preventCancel: true })
      : decompressed(body, format, maxBytes, () => tooLarge(maxBytes));
  for await (const chunk of pieces) {
    bytes += chunk.byteLength;
    note(chunk.byteLength);
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    hold(chunk.byteLength);
    yield chunk;
  }
}

/** The body's content-length, where it has one; throws where that is over the limit. */
function declaredLength(request: Request, maxBytes: number): number | undefined {
  const declared = request.headers.get("content-length");
  if (declared === null) return undefined;
  if (Number(declared) > maxBytes) throw tooLarge(maxBytes);
  return Number(declared);
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
