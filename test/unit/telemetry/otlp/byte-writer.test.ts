import fc from "fast-check";
import { expect, test } from "vitest";
import { createByteWriter } from "../../../../src/telemetry/otlp/byte-writer.ts";

test("what is appended comes out in UTF-8, each text's bytes told, in a buffer of just its length", () => {
  const text = fc.oneof(
    fc.string({ unit: "grapheme" }),
    fc
      .tuple(fc.constantFrom("x", "ü", "界", "😀"), fc.integer({ min: 1, max: 20_000 }))
      .map(([letter, length]) => letter.repeat(length)),
  );
  fc.assert(
    fc.property(fc.array(text, { maxLength: 12 }), (texts) => {
      const writer = createByteWriter();
      const lengths = texts.map((each) => writer.append(each));
      expect(lengths).toEqual(texts.map((each) => Buffer.byteLength(each)));
      expect(writer.length()).toBe(lengths.reduce((sum, each) => sum + each, 0));
      const bytes = writer.take();
      expect(bytes.buffer.byteLength).toBe(writer.length());
      expect(Buffer.compare(bytes, Buffer.from(texts.join("")))).toBe(0);
    }),
    { numRuns: 60 },
  );
});

test("a writer that has ended leaves its buffer to the next, and can't write into it", () => {
  const first = createByteWriter();
  first.append("the first tenant's");
  const taken = first.take();
  const second = createByteWriter();
  second.append("the second's");
  first.append("late, and longer than the second's");
  expect(new TextDecoder().decode(second.take())).toBe("the second's");
  expect(new TextDecoder().decode(taken)).toBe("the first tenant's");
});
