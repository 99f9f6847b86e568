/**
 * OTLP/JSON of otlp.ts as OTLP's binary Protobuf, for back ends that take nothing else. It knows only the fields that
 * otlp.ts writes, by the field numbers of opentelemetry-proto 1.11; what has no number here is left out. Pure.
 */

import { encodeText } from "../../bytes/digest.ts";

/** The wire types of Protobuf's encoding (protobuf.dev/programming-guides/encoding, seen 2026-11). */
const VARINT = 0;
const FIXED_64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED_32 = 5;

type Scalar = "text" | "hex" | "varint" | "fixed64" | "fixed32" | "double";
/** The fields of a message by their JSON names. */
interface Message {
  readonly [name: string]: readonly [field: number, type: Scalar | Message];
}

const VALUE: Record<string, Message[string]> = {
  stringValue: [1, "text"],
  boolValue: [2, "varint"],
  intValue: [3, "varint"],
  doubleValue: [4, "double"],
};
// A list holds values again.
VALUE["arrayValue"] = [5, { values: [1, VALUE] }];
const ATTRIBUTE: Message = { key: [1, "text"], value: [2, VALUE] };
const EVENT: Message = { timeUnixNano: [1, "fixed64"], name: [2, "text"], attributes: [3, ATTRIBUTE] };
const LINK: Message = { traceId: [1, "hex"], spanId: [2, "hex"], attributes: [4, ATTRIBUTE] };
const SPAN: Message = {
  traceId: [1, "hex"],
  spanId: [2, "hex"],
  parentSpanId: [4, "hex"],
  name: [5, "text"],
  kind: [6, "varint"],
  startTimeUnixNano: [7, "fixed64"],
  endTimeUnixNano: [8, "fixed64"],
  attributes: [9, ATTRIBUTE],
  droppedAttributesCount: [10, "varint"],
  events: [11, EVENT],
  droppedEventsCount: [12, "varint"],
  links: [13, LINK],
  droppedLinksCount: [14, "varint"],
  status: [15, { code: [3, "varint"] }],
  flags: [16, "fixed32"],
};
const SCOPE_SPANS: Message = {
  scope: [1, { name: [1, "text"], version: [2, "text"] }],
  spans: [2, SPAN],
  schemaUrl: [3, "text"],
};
const RESOURCE_SPANS: Message = {
  resource: [1, { attributes: [1, ATTRIBUTE] }],
  scopeSpans: [2, SCOPE_SPANS],
  schemaUrl: [3, "text"],
};
const REQUEST: Message = { resourceSpans: [1, RESOURCE_SPANS] };

const BITS_64 = 64;
const FIRST_BYTES = 16_384;

/** `json` is an ExportTraceServiceRequest as otlp.ts writes it. */
export function toProtobuf(json: string): Uint8Array<ArrayBuffer> {
  const writer = createBackwardWriter();
  // Our own encoder's text.
  writeMessage(writer, JSON.parse(json) as object, REQUEST);
  return writer.take();
}

/** Last field first: a length is known when it is written, and nothing is measured or copied twice. */
function writeMessage(writer: BackwardWriter, message: object, fields: Message): void {
  for (const [name, value] of Object.entries(message).toReversed()) {
    const field = fields[name];
    if (field === undefined) continue;
    for (const item of Array.isArray(value) ? value.toReversed() : [value]) writeField(writer, item, field);
  }
}

function writeField(writer: BackwardWriter, value: unknown, [field, type]: Message[string]): void {
  const tag = (wireType: number): void => writer.varint(BigInt((field << 3) | wireType));
  if (type === "varint") {
    // Negative ones are sent as two's complement of 64 bits.
    writer.varint(BigInt.asUintN(BITS_64, BigInt(value as string | number | boolean)));
    tag(VARINT);
  } else if (type === "fixed64" || type === "double") {
    writer.fixed(8, (view) =>
      type === "double"
        ? view.setFloat64(0, Number(value), true)
        : view.setBigUint64(0, BigInt(String(value)), true),
    );
    tag(FIXED_64);
  } else if (type === "fixed32") {
    writer.fixed(4, (view) => view.setUint32(0, Number(value), true));
    tag(FIXED_32);
  } else {
    const end = writer.length();
    if (type === "text") writer.bytes(encodeText(String(value)));
    else if (type === "hex") writer.bytes(fromHex(String(value)));
    // Each message of OTLP/JSON is an object.
    else writeMessage(writer, value as object, type);
    writer.varint(BigInt(writer.length() - end));
    tag(LENGTH_DELIMITED);
  }
}

function fromHex(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, at) =>
    Number.parseInt(hex.slice(2 * at, 2 * at + 2), 16),
  );
}

/** Writes each value before those already written. */
interface BackwardWriter {
  /** Bytes written so far. */
  length(): number;
  bytes(bytes: Uint8Array): void;
  varint(value: bigint): void;
  fixed(bytes: number, set: (view: DataView) => void): void;
  take(): Uint8Array<ArrayBuffer>;
}

function createBackwardWriter(): BackwardWriter {
  let buffer = new Uint8Array(FIRST_BYTES);
  let start = buffer.length;

  /** The place of the next `count` bytes. */
  function reserve(count: number): number {
    if (start < count) {
      const larger = new Uint8Array(2 * buffer.length + count);
      const added = larger.length - buffer.length;
      larger.set(buffer.subarray(start), start + added);
      buffer = larger;
      start += added;
    }
    start -= count;
    return start;
  }

  return {
    length: () => buffer.length - start,
    bytes(bytes) {
      const at = reserve(bytes.length);
      buffer.set(bytes, at);
    },
    varint(value) {
      const groups: number[] = [];
      let left = value;
      do {
        groups.push(Number(left & 0x7fn) | (left > 0x7fn ? 0x80 : 0));
        left >>= 7n;
      } while (left > 0n);
      const at = reserve(groups.length);
      buffer.set(groups, at);
    },
    fixed(bytes, set) {
      const at = reserve(bytes);
      set(new DataView(buffer.buffer, at, bytes));
    },
    take: () => buffer.slice(start),
  };
}
