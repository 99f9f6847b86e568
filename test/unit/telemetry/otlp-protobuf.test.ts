// OTLP as Protobuf, read back by the protocol's own definitions.
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  createEnvelope,
  encodeTrace,
  fillEnvelope,
  joinResourceSpans,
} from "../../../src/telemetry/otlp/otlp.ts";
import { toProtobuf } from "../../../src/telemetry/otlp/otlp-protobuf.ts";
import { fallbackTrace } from "../../support/builders/sample-traces.ts";
import { protobufToJson } from "../../support/checkers/otlp-proto.ts";

const ENVELOPE = createEnvelope({ serviceName: "headgate", serviceVersion: "1.2.3" });

/** Protobuf doesn't tell an absent field from one with its type's default, except in a value. */
function readJson(json: string): unknown {
  return JSON.parse(json, (name, field: unknown) => {
    const isDefault = field === "" || field === 0 || (Array.isArray(field) && field.length === 0);
    return isDefault && !name.endsWith("Value") ? undefined : field;
  });
}

const requestOf = (spans: string): string => joinResourceSpans([fillEnvelope(ENVELOPE, spans)]);

test.each([undefined, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"])(
  "every field of a trace is read back (traceparent %s)",
  async (traceparent) => {
    const { spans, rootedSpans } = encodeTrace(await fallbackTrace(traceparent));
    for (const text of [spans, rootedSpans]) {
      const json = requestOf(text);
      expect(readJson(protobufToJson(toProtobuf(json)))).toEqual(readJson(json));
    }
  },
);

const value = fc.oneof(
  fc.string({ unit: "grapheme" }).map((text) => ({ stringValue: text })),
  fc.boolean().map((flag) => ({ boolValue: flag })),
  fc.maxSafeInteger().map((count) => ({ intValue: String(count) })),
  fc
    .double({ noNaN: true, noDefaultInfinity: true })
    .map((number) => ({ doubleValue: number === 0 ? 0 : number })),
  fc
    .array(fc.string(), { minLength: 1 })
    .map((texts) => ({ arrayValue: { values: texts.map((text) => ({ stringValue: text })) } })),
);
const attributes = fc.array(fc.record({ key: fc.string(), value }), { minLength: 1 });
const id = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((digits) => Buffer.from(digits).toString("hex"));
const nanos = fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }).map(String);
const count = fc.nat();
const span = fc.record({
  traceId: id(16),
  spanId: id(8),
  parentSpanId: id(8),
  flags: count,
  name: fc.string(),
  kind: fc.constantFrom(1, 2, 3),
  startTimeUnixNano: nanos,
  endTimeUnixNano: nanos,
  attributes,
  events: fc.array(fc.record({ timeUnixNano: nanos, name: fc.string(), attributes }), { minLength: 1 }),
  links: fc.array(fc.record({ traceId: id(16), spanId: id(8), attributes }), { minLength: 1 }),
  status: fc.constant({ code: 2 }),
  droppedAttributesCount: count,
  droppedEventsCount: count,
  droppedLinksCount: count,
});

test("whatever the values and lengths", () => {
  fc.assert(
    fc.property(fc.array(span, { minLength: 1, maxLength: 5 }), (spans) => {
      const json = requestOf(spans.map((one) => JSON.stringify(one)).join(","));
      expect(readJson(protobufToJson(toProtobuf(json)))).toEqual(readJson(json));
    }),
    { numRuns: 100 },
  );
});

test("a body larger than the first buffer", () => {
  const text = "grüße ".repeat(20_000);
  const json = requestOf(
    JSON.stringify({ name: text, attributes: [{ key: "k", value: { stringValue: text } }] }),
  );
  expect(readJson(protobufToJson(toProtobuf(json)))).toEqual(readJson(json));
});
