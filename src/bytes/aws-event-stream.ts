/**
 * AWS's binary event stream: bytes to events, with both checksums checked. What events mean is the wires'.
 * https://smithy.io/2.0/aws/amazon-eventstream.html (seen 2026-11)
 */

import { GatewayError } from "../errors.ts";
import { crc32 } from "./digest.ts";
import type { EventParser, ServerSentEvent } from "./sse.ts";

/** Total length, headers' length, and the checksum of the two. */
const PRELUDE_BYTES = 12;
const CRC_BYTES = 4;
/** The protocol's own bounds: 24 MB of payload, 128 KB of headers. */
const MAX_MESSAGE_BYTES = 25_165_824 + 131_072 + PRELUDE_BYTES + CRC_BYTES;

/** Prefix of the event name of an exception or error message; its own name follows. */
export const FAULT_PREFIX = "fault:";

/**
 * A parser for one stream. An event's name is its `:event-type`, its data the payload as text. Throws
 * `upstream_malformed` once the events before the broken one have been returned.
 */
export function createEventStreamParser(): EventParser {
  let rest: Uint8Array = new Uint8Array(0);
  let fault: GatewayError | undefined;

  return {
    push(bytes) {
      if (fault !== undefined) throw fault;
      rest = rest.length === 0 ? bytes : concat(rest, bytes);
      const events: ServerSentEvent[] = [];
      try {
        for (;;) {
          const length = messageLength(rest);
          if (length === undefined || rest.length < length) break;
          events.push(readMessage(rest.subarray(0, length)));
          rest = rest.subarray(length);
        }
      } catch (thrown) {
        fault = thrown instanceof GatewayError ? thrown : malformed("a message that ends too soon");
        if (events.length === 0) throw fault;
      }
      // What is kept must not be the caller's buffer, which may be reused.
      rest = rest.slice();
      return events;
    },
    isMidEvent() {
      return rest.length > 0;
    },
  };
}

/** The whole message's length; undefined while its prelude is incomplete. */
function messageLength(bytes: Uint8Array): number | undefined {
  if (bytes.length < PRELUDE_BYTES) return undefined;
  const view = viewOf(bytes);
  const total = view.getUint32(0);
  const headers = view.getUint32(4);
  if (view.getUint32(8) !== crc32(bytes.subarray(0, 8))) throw malformed("a prelude with a wrong checksum");
  if (total > MAX_MESSAGE_BYTES || total < PRELUDE_BYTES + headers + CRC_BYTES) {
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

function concat(left: Uint8Array, right: Uint8Array): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(left.length + right.length);
  joined.set(left);
  joined.set(right, left.length);
  return joined;
}

function malformed(what: string): GatewayError {
  return new GatewayError("upstream_malformed", `The upstream sent ${what}.`);
}
