/**
 * Bodies that are read whole: answers and error bodies. One of known length is left to the platform, at less than half the
 * cost; others are read in pieces, so that each piece restarts the idle limit and a body that is too large is stopped where
 * it is, however well it was compressed. Streams are stream.ts.
 */

import { GatewayError } from "../errors.ts";
import type { Provider } from "../providers/provider.ts";
import type { Target } from "../wires/upstream-wire.ts";
import type { UpstreamCall } from "./call.ts";
import { type ByteSource, readAsTheyCome, readInBursts } from "./stream-reader.ts";

/** Decoded; an isolate has 128 MB for all tenants. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
/** A body of known length is ready when its head is sent: this much of it must come within each idle limit. */
const MIN_BYTES_PER_IDLE = 64 * 1024;
/** A body of known length and at least this size is kept as it came: below it, two reads cost more than a second encoding. */
const MIN_KEPT_BYTES = 16 * 1024;
/** Error bodies are read this far; the rest is never needed. */
const MAX_ERROR_BYTES = 64 * 1024;

/** A body that was read whole. */
export interface WholeBody {
  readonly text: string;
  /** `text` in UTF-8, to be passed on without being encoded again; only of a large body, and not to be written to. */
  readonly bytes?: Uint8Array<ArrayBuffer>;
}

/**
 * A whole answer. `idleMs` limits the gaps between its pieces, or 64 KB of a body whose length the head names; the time to
 * the first piece is limited only where the call has a first-byte limit. `hold` is given its bytes, of known length all at
 * once, else piece by piece; what it throws ends the call. Throws as `sendUpstream` does, `upstream_error` for a body that
 * is cut and `upstream_malformed` for one above 64 MB.
 */
export async function readBody(
  call: UpstreamCall,
  idleMs: number,
  hold: (bytes: number) => void,
): Promise<WholeBody> {
  let text = "";
  try {
    const bytes = knownBytes(call.response.headers);
    if (bytes !== undefined && bytes <= MAX_ANSWER_BYTES) {
      hold(bytes);
      call.arm("slow_body", idleMs * Math.max(1, Math.ceil(bytes / MIN_BYTES_PER_IDLE)));
      if (bytes < MIN_KEPT_BYTES) return { text: await call.response.text() };
      return decodeWhole(new Uint8Array(await call.response.arrayBuffer()));
    }
    // The head is the first byte of an answer that was given a limit for it.
    if (call.hasFirstByteLimit) call.arm("idle", idleMs);
    const isWhole = await readPieces(call, idleMs, MAX_ANSWER_BYTES, (piece, taken) => {
      hold(taken);
      text += piece;
    });
    if (isWhole) return { text };
  } catch (thrown) {
    // `hold` refused the bytes: the upstream must stop, and the client gets what was thrown.
    if (thrown instanceof GatewayError) call.abort("memory");
    throw call.toError(thrown);
  } finally {
    call.release();
  }
  throw new GatewayError("upstream_malformed", `'${call.name}' sent an answer of more than 64 MB.`);
}

const BYTE_ORDER_MARK = 0xef;

/** Bytes that are not the text's own, since some of them could not be read or mark their order, are not kept. */
function decodeWhole(bytes: Uint8Array<ArrayBuffer>): WholeBody {
  const text = new TextDecoder().decode(bytes);
  const isText = bytes[0] !== BYTE_ORDER_MARK && !text.includes("\u{FFFD}");
  return isText ? { text, bytes } : { text };
}

/** The provider's reading of a bad status, from as much of its body as arrives in time; ends the call. */
export async function readErrorResponse(
  call: UpstreamCall,
  provider: Provider,
  { account }: Target,
  idleMs: number,
  nowMs: number,
): Promise<GatewayError> {
  const { status, headers } = call.response;
  let text = "";
  call.arm("idle", idleMs);
  try {
    await readPieces(call, idleMs, MAX_ERROR_BYTES, (piece) => (text += piece));
  } catch (thrown) {
    // The status is known; a body that stays away or breaks takes nothing from it.
    const cause = call.abortedBy();
    if (cause !== undefined && cause !== "idle") return call.toError(thrown);
  } finally {
    call.release();
  }
  return provider.toError(status, headers, parseLoosely(text), { account, nowMs });
}

/** How long the body is by its head; undefined where it isn't said, or is said of the compressed form. */
function knownBytes(headers: Headers): number | undefined {
  const length = headers.get("content-length");
  if (length === null || headers.has("content-encoding")) return undefined;
  const bytes = Number(length);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** Gives `take` the body's text piece by piece; false where it was stopped at `maxBytes`. */
async function readPieces(
  call: UpstreamCall,
  idleMs: number,
  maxBytes: number,
  take: (piece: string, bytes: number) => void,
): Promise<boolean> {
  const { body } = call.response;
  if (!body) return true;
  const source = sourceOf(body);
  const decoder = new TextDecoder();
  let bytes = 0;
  for (let piece = await source.next(); piece !== undefined; piece = await source.next()) {
    bytes += piece.byteLength;
    const excess = Math.max(0, bytes - maxBytes);
    take(decoder.decode(piece.subarray(0, piece.byteLength - excess), { stream: true }), piece.byteLength);
    if (excess > 0) {
      void source.cancel().catch(() => {});
      return false;
    }
    call.arm("idle", idleMs);
  }
  take(decoder.decode(), 0);
  return true;
}

/** Few large pieces where the body can fill a buffer of ours, as all that come over the network can. */
function sourceOf(body: ReadableStream<Uint8Array>): ByteSource {
  try {
    return readInBursts(body);
  } catch {
    return readAsTheyCome(body);
  }
}

function parseLoosely(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
