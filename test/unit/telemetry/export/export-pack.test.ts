import fc from "fast-check";
import { expect, test } from "vitest";
import { createPacker, isTooLarge } from "../../../../src/telemetry/export/export-pack.ts";
import { createEnvelope, fillEnvelope, joinResourceSpans } from "../../../../src/telemetry/otlp/otlp.ts";

const ENVELOPE = createEnvelope({ serviceName: "headgate", serviceVersion: "0.1.0" });

function pack(traces: readonly string[], maxBodyBytes: number) {
  const packer = createPacker(ENVELOPE, maxBodyBytes);
  for (const spans of traces) packer.append(spans);
  return packer
    .take()
    .map(({ bytes, traces: count }) => ({ text: new TextDecoder().decode(bytes), bytes, count }));
}

const bodyOf = (traces: readonly string[]): string =>
  joinResourceSpans([fillEnvelope(ENVELOPE, traces.join(","))]);

test("few traces make one body, and their text stays as it is", () => {
  const [body, ...others] = pack(["a", "b"], 1_000_000);
  expect(body).toMatchObject({ text: bodyOf(["a", "b"]), count: 2 });
  expect(body?.bytes.buffer.byteLength).toBe(body?.bytes.byteLength);
  expect(others).toEqual([]);
  expect(pack([], 1_000_000)).toEqual([]);
});

test("no body is larger than the back end takes, and no trace is split, lost or doubled", () => {
  const trace = fc.tuple(fc.constantFrom("x", "ü", "界", "😀"), fc.integer({ min: 1, max: 400_000 }));
  fc.assert(
    fc.property(
      fc.array(trace, { maxLength: 8 }),
      fc.constantFrom(1_000_000, 600_000, 4_000_000),
      (parts, max) => {
        const all = parts.map(([letter, length]) => letter.repeat(length));
        const traces = all.filter((spans) => !isTooLarge(spans, max));
        for (const spans of all) expect(isTooLarge(spans, max)).toBe(Buffer.byteLength(spans) > max - 2048);
        let left = traces;
        for (const { text, bytes, count } of pack(traces, max)) {
          expect(text).toBe(bodyOf(left.slice(0, count)));
          left = left.slice(count);
          expect(bytes.byteLength).toBeLessThanOrEqual(max);
          if (count > 1) expect(bytes.byteLength).toBeLessThanOrEqual(1_000_000);
        }
        expect(left).toEqual([]);
      },
    ),
    { numRuns: 40 },
  );
});
