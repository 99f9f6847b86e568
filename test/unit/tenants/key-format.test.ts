/** Gateway keys: how they are made, told from garbage, hashed, and matched with a record. */
import { createHash, randomBytes } from "node:crypto";
import fc from "fast-check";
import { crc32 } from "node:zlib";
import { describe, expect, it } from "vitest";
import {
  findValidKey,
  generateKey,
  generateId,
  hashKey,
  isWellFormed,
} from "../../../src/tenants/key-format.ts";

const fairBytes = (count: number): Uint8Array => randomBytes(count);

function base62(value: number): string {
  const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  let text = "";
  for (let rest = value; text.length < 6; rest = Math.floor(rest / 62))
    text = alphabet.charAt(rest % 62) + text;
  return text;
}

describe("a generated key", () => {
  it("is hg_ and 38 base62 characters, and passes its own check", () => {
    for (let round = 0; round < 200; round += 1) {
      const key = generateKey(fairBytes);
      expect(key).toMatch(/^hg_[0-9A-Za-z]{38}$/);
      expect(isWellFormed(key)).toBe(true);
    }
  });

  it("ends with the CRC-32 that zlib computes over what precedes", () => {
    const key = generateKey(fairBytes);
    expect(key.slice(-6)).toBe(base62(crc32(key.slice(0, -6))));
  });

  it("draws again in place of bytes that would favour some characters", () => {
    const draws = [new Uint8Array(32).fill(255), new Uint8Array(32).fill(248), new Uint8Array(32).fill(61)];
    const key = generateKey(() => draws.shift() ?? new Uint8Array(0));
    expect(key.slice(3, 35)).toBe("z".repeat(32));
  });

  it("uses each character about equally often", () => {
    const counts = new Map<string, number>();
    const keys = 2000;
    for (let round = 0; round < keys; round += 1) {
      for (const character of generateKey(fairBytes).slice(3, 35)) {
        counts.set(character, (counts.get(character) ?? 0) + 1);
      }
    }
    const expected = (keys * 32) / 62;
    // Nine standard deviations of a fair draw; a modulo bias would put eight characters 25 % above.
    const bound = 9 * Math.sqrt(expected);
    expect(counts.size).toBe(62);
    for (const count of counts.values()) expect(Math.abs(count - expected)).toBeLessThan(bound);
  });
});

describe("the check of a key", () => {
  it("refuses each change of one character", () => {
    const key = generateKey(fairBytes);
    fc.assert(
      fc.property(
        fc.integer({ min: 3, max: 40 }),
        fc.constantFrom("0", "5", "9", "A", "Z", "a", "z"),
        (at, character) => {
          const changed = key.slice(0, at) + character + key.slice(at + 1);
          expect(isWellFormed(changed)).toBe(changed === key);
        },
      ),
    );
  });

  it.each(["", "hg_", "sk-123", "hg_" + "0".repeat(38), "HG_" + "0".repeat(38)])("refuses %j", (text) => {
    expect(isWellFormed(text)).toBe(false);
  });

  it("refuses a key with anything before or after it", () => {
    const key = generateKey(fairBytes);
    for (const text of [` ${key}`, `${key} `, `${key}\n`, key + key]) expect(isWellFormed(text)).toBe(false);
  });
});

it("hashes a key to the hex of SHA-256", async () => {
  const key = generateKey(fairBytes);
  expect(await hashKey(key)).toBe(createHash("sha256").update(key).digest("hex"));
});

it("names a key by key_ and twelve characters", () => {
  expect(generateId("key_", fairBytes)).toMatch(/^key_[0-9A-Za-z]{12}$/);
});

const NOW = Date.UTC(2026, 5, 1);
const KEY = { id: "key_1", name: "k", hash: "h1", createdAt: "2026-01-01T00:00:00.000Z" };

describe("a key", () => {
  it("is valid by its id and hash together", () => {
    expect(findValidKey([KEY], "key_1", "h1", NOW)).toBe(KEY);
    expect(findValidKey([KEY], "key_1", "h2", NOW)).toBeUndefined();
    expect(findValidKey([KEY], "key_2", "h1", NOW)).toBeUndefined();
  });

  it("ends at its expiry", () => {
    const key = { ...KEY, expiresAt: new Date(NOW).toISOString() };
    expect(findValidKey([key], "key_1", "h1", NOW - 1)).toBe(key);
    expect(findValidKey([key], "key_1", "h1", NOW)).toBeUndefined();
  });

  it("is valid by its hash before a rotation as long as the overlap lasts", () => {
    const key = { ...KEY, hash: "h2", previous: { hash: "h1", validUntil: NOW } };
    expect(findValidKey([key], "key_1", "h1", NOW - 1)).toBe(key);
    expect(findValidKey([key], "key_1", "h1", NOW)).toBeUndefined();
    expect(findValidKey([key], "key_1", "h2", NOW)).toBe(key);
  });
});
