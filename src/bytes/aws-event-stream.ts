/**
 * AWS's binary event stream: bytes to events, with both checksums checked. What events mean is the wires'.
 * https://smithy.io/2.0/aws/amazon-eventstream.html (seen 2026-11)
 */

import { GatewayError } from "../errors.ts";
import { crc32 } from "./digest.ts";
import { type EventParser, MAX_EVENT_BYTES, type ServerSentEvent } from "./sse.ts";

/** Total length, headers' length, and the checksum of the two. */
const PRELUDE_BYTES = 12;
const CRC_BYTES = 4;
/** Prefix of the event name of an exception or error message; its own name follows. */
export const FAULT_PREFIX = "fault:";

/**
 * A parser for one stream. An event's name is its `:event-type`, its data the payload as text. Throws
 * `upstream_malformed` once the events before the broken one have been returned.
 */
export function createEventStreamParser(): EventParser {
  /** An unfinished message, in the pieces it came in: joined once, when `neededBytes` are there. */
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  let neededBytes = PRELUDE_BYTES;
  let fault: GatewayError | undefined;

  return {
    push(bytes) {
      if (fault !== undefined) throw fault;
      heldBytes += bytes.length;
      if (heldBytes < neededBytes) {
        // What is kept must not be the caller's buffer, which may be reused.
        if (bytes.length > 0) held.push(bytes.slice());
        return [];
      }
      let rest = held.length === 0 ? bytes : concat([...held, bytes], heldBytes);
      const events: ServerSentEvent[] = [];
      try {
        for (;;) {
          const length = messageLength(rest);
          neededBytes = length ?? PRELUDE_BYTES;
          if (rest.length < neededBytes) break;
          events.push(readMessage(rest.subarray(0, length)));
          rest = rest.subarray(length);
        }
      } catch (thrown) {
        fault = thrown instanceof GatewayError ? thrown : malformed("a message that ends too soon");
        if (events.length === 0) throw fault;
      }
      held = rest.length > 0 ? [rest.slice()] : [];
      heldBytes = rest.length;
      return events;
    },
    // A message has a length: one that is cut holds nothing that can be read.
    end: () => [],
    isMidEvent: () => heldBytes > 0,
  };
}

/** The whole message's length; undefined while its prelude is incomplete. */
function messageLength(bytes: Uint8Array): number | undefined {
  if (bytes.length < PRELUDE_BYTES) return undefined;
  const view = viewOf(bytes);
  const total = view.getUint32(0);
  const headers = view.getUint32(4);
  if (view.getUint32(8) !== crc32(bytes.subarray(0, 8))) throw malformed("a prelude with a wrong checksum");
  if (total > MAX_EVENT_BYTES) throw malformed("a message of more than 8 MB");
  if (total < PRELUDE_BYTES + headers + CRC_BYTES) {
    throw malformed("a message with an impossible length");
  }
  return total;
}

function readMessage(bytes: Uint8Array): ServerSentEvent {
  const view = viewOf(bytes);
  const payloadStart = PRELUDE_BYTES + view.getUint32(4);
  const payloadEnd = bytes.length - CRC_BYTES;
  if (view.getUint32(payloadEnd) !== crc32(bytes.subarray(0, payloadEnd))) {
    throw malformed("a message with a wrong checksum");
  }
  const headers = readHeaders(bytes.subarray(PRELUDE_BYTES, payloadStart));
  const data = new TextDecoder().decode(bytes.subarray(payloadStart, payloadEnd));
  const type = headers.get(":message-type");
  if (type === "exception") return { event: FAULT_PREFIX + (headers.get(":exception-type") ?? ""), data };
  if (type === "error") return { event: FAULT_PREFIX + (headers.get(":error-code") ?? ""), data };
  return { event: headers.get(":event-type") ?? "message", data };
}

const STRING_TYPE = 7;
const BYTES_TYPE = 6;
/** Size in bytes of a value of each type: true, false, byte, short, int, long, timestamp, UUID. */
const FIXED_SIZES: ReadonlyMap<number, number> = new Map([
  [0, 0],
  [1, 0],
  [2, 1],
  [3, 2],
  [4, 4],
  [5, 8],
  [8, 8],
  [9, 16],
]);

/** The headers of type string; others are skipped. */
function readHeaders(bytes: Uint8Array): ReadonlyMap<string, string> {
  const view = viewOf(bytes);
  const decoder = new TextDecoder();
  const headers = new Map<string, string>();
  let at = 0;
  while (at < bytes.length) {
    const nameEnd = at + 1 + view.getUint8(at);
    const name = decoder.decode(bytes.subarray(at + 1, nameEnd));
    const type = view.getUint8(nameEnd);
    const valueStart = nameEnd + 1;
    if (type === STRING_TYPE || type === BYTES_TYPE) {
      const end = valueStart + 2 + view.getUint16(valueStart);
      if (type === STRING_TYPE) headers.set(name, decoder.decode(bytes.subarray(valueStart + 2, end)));
      at = end;
    } else {
      const size = FIXED_SIZES.get(type);
      if (size === undefined) throw malformed("a header of an unknown type");
      at = valueStart + size;
    }
  }
  if (at !== bytes.length) throw malformed("a header that is longer than its message says");
  return headers;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function concat(pieces: readonly Uint8Array[], length: number): Uint8Array {
  const joined = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}

function malformed(what: string): GatewayError {
  return new GatewayError("upstream_malformed", `The upstream sent ${what}.`);
}
