/** Digests against independent implementations and published test vectors. */

import { createHash } from "node:crypto";
import { crc32 as zlibCrc32 } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  crc32,
  crc32OfAscii,
  encodeText,
  fnv1a,
  rememberDigests,
  sha256Hex,
} from "../../../src/bytes/digest.ts";

test("CRC-32 gives the check value of its specification", () => {
  expect(crc32(encodeText("123456789"))).toBe(0xcb_f4_39_26);
});

test("CRC-32 agrees with zlib, for bytes and for ASCII text", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary-ascii" }), (text) => {
      const expected = zlibCrc32(text);
      expect(crc32(encodeText(text))).toBe(expected);
      expect(crc32OfAscii(text)).toBe(expected);
    }),
  );
});

// https://datatracker.ietf.org/doc/html/draft-eastlake-fnv, appendix C (seen 2026-11)
test.each([
  ["", 0x81_1c_9d_c5],
  ["a", 0xe4_0c_29_2c],
  ["foobar", 0xbf_9c_f9_68],
])("FNV-1a of %j", (text, hash) => {
  expect(fnv1a(text)).toBe(hash);
});

test("SHA-256 in hex agrees with Node's, remembered or not", async () => {
  const remembered = rememberDigests(2);
  for (const text of ["", "hg_key", "ü € 😀", "hg_key"]) {
    const expected = createHash("sha256").update(text).digest("hex");
    expect(await sha256Hex(text)).toBe(expected);
    expect(await remembered(text)).toBe(expected);
  }
});
