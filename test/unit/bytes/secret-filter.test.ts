import fc from "fast-check";
import { expect, test } from "vitest";
import { createSecretFilter, starSecrets, withoutCutSecret } from "../../../src/bytes/secret-filter.ts";

async function through(pieces: readonly Uint8Array[], secrets: readonly string[]): Promise<string> {
  const filter = createSecretFilter(secrets);
  const read = new Response(filter.readable).text();
  const writer = filter.writable.getWriter();
  for (const piece of pieces) await writer.write(piece);
  await writer.close();
  return read;
}

/** The bytes in pieces of these sizes, over and over. */
function split(bytes: Uint8Array, sizes: readonly number[]): readonly Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    pieces.push(bytes.slice(at, at + size));
    at += size;
  }
  return pieces;
}

test("a stream loses its secrets however it is split, and nothing else", async () => {
  // Few letters, so that secrets overlap, begin alike and begin again within themselves.
  const letters = fc.stringMatching(/^[ab]{1,12}$/);
  const text = fc.string({ unit: fc.constantFrom("a", "b", "é", "\n"), maxLength: 200 });
  const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(text, letters, sizes, async (given, secret, pieces) => {
      const bytes = new TextEncoder().encode(given);
      expect(await through(split(bytes, pieces), [secret])).toBe(starSecrets(given, [secret]));
    }),
    { numRuns: 300 },
  );
});

test("several secrets, one inside the other and one cut off at the end", async () => {
  const secrets = ["Bearer sk-canary-1", "sk-canary-1", "other-secret"];
  const text = 'data: {"a":"Bearer sk-canary-1"}\n\ndata: sk-canary-1 other-secret other-secr';
  const stars = 'data: {"a":"******************"}\n\ndata: *********** ************ other-secr';
  expect(starSecrets(text, secrets)).toBe(stars);
  for (const size of [1, 3, 7, 1000])
    expect(await through(split(new TextEncoder().encode(text), [size]), secrets), String(size)).toBe(stars);
});

test("the pieces themselves are not changed: another branch may read them", async () => {
  const piece = new TextEncoder().encode("x sk-canary-1 y");
  expect(await through([piece], ["sk-canary-1"])).toBe("x *********** y");
  expect(new TextDecoder().decode(piece)).toBe("x sk-canary-1 y");
});

test("a text that is cut within a secret has no part of it, and loses nothing else", () => {
  const letters = fc.stringMatching(/^[ab]{2,12}$/);
  const text = fc.string({ unit: fc.constantFrom("é", "-", "\n"), maxLength: 20 });
  fc.assert(
    fc.property(text, letters, (before, secret) => {
      for (let shown = 1; shown < secret.length; shown += 1) {
        const cut = before + secret.slice(0, shown);
        expect(withoutCutSecret(cut, ["other-secret", secret])).toBe(before);
      }
    }),
    { numRuns: 200 },
  );
  expect(withoutCutSecret("no secret at its end", ["secret-1"])).toBe("no secret at its end");
  // It ends as it begins, and is whole.
  expect(withoutCutSecret("x ab-secret-ab", ["ab-secret-ab"])).toBe("x ab-secret-ab");
});
