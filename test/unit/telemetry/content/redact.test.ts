import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isSecretField, redactNumber, redactText } from "../../../../src/telemetry/content/redact.ts";

const letters = fc.stringMatching(/^[a-z]{3,12}$/);
/** Text around a secret, which may end and begin with anything a sentence has. */
const around = fc.stringMatching(/^[A-Za-z ,.;:()"'\n]{0,40}$/);
const token = fc.stringMatching(/^[A-Za-z0-9]{32}$/);

const email = fc
  .tuple(
    letters,
    fc.constantFrom(".", "_", "+", "-", ""),
    letters,
    letters,
    fc.constantFrom("com", "co.uk", "dev"),
  )
  .map(([first, separator, last, host, zone]) => `${first}${separator}${last}@${host}.${zone}`);

/** A number of a card: 13 to 19 digits, the last one by Luhn. */
const card = fc
  .tuple(
    fc.constantFrom("4", "51", "2221", "34", "6011", "3566"),
    fc.integer({ min: 13, max: 19 }),
    fc.infiniteStream(fc.nat(9)),
  )
  .map(([head, length, digits]) => {
    const payload = [...head, ...[...digits.take(length - 1 - head.length)].map(String)].map(Number);
    const sum = payload.toReversed().reduce((total, digit, at) => {
      const weighted = at % 2 === 0 ? digit * 2 : digit;
      return total + (weighted > 9 ? weighted - 9 : weighted);
    }, 0);
    return [...payload, (10 - (sum % 10)) % 10].join("");
  });

const grouped = (digits: string, separator: string): string =>
  digits.replace(/(\d{4})(?=\d)/g, `$1${separator}`);

const secret = fc.oneof(
  token.map((text) => `sk-proj-${text}`),
  token.map((text) => `hg_${text}`),
  token.map((text) => `ghp_${text}`),
  token.map((text) => `xoxb-${text}`),
  token.map((text) => `AKIA${text.toUpperCase().slice(0, 16)}`),
  token.map((text) => `AIza${text}`),
  token.map((text) => `eyJ${text}.${text}.${text}`),
  token.map((text) => `gsk_${text}`),
);

describe("redaction", () => {
  test("leaves no e-mail address, wherever it stands", () => {
    fc.assert(
      fc.property(around, email, around, (before, address, after) => {
        const redacted = redactText(`${before} ${address} ${after}`);
        expect(redacted).not.toContain(address.split("@")[0] + "@");
        expect(redacted).toContain("[email]");
      }),
    );
  });

  test("leaves no card number, in one or in groups", () => {
    fc.assert(
      fc.property(around, card, fc.constantFrom("", " ", "-"), around, (before, digits, separator, after) => {
        const written = grouped(digits, separator);
        const redacted = redactText(`${before} ${written} ${after}`);
        expect(redacted).not.toContain(written);
        expect(redacted).toContain("[card]");
      }),
    );
  });

  test("leaves no key that is marked as one, whatever stands around it", () => {
    fc.assert(
      fc.property(around, secret, around, (before, key, after) => {
        const redacted = redactText(`${before} ${key} ${after}`);
        expect(redacted).not.toContain(key);
        expect(redacted).not.toContain(key.slice(-16));
      }),
    );
  });

  test("leaves no bearer token", () => {
    fc.assert(
      fc.property(fc.constantFrom("Bearer", "bearer", "authorization: Bearer"), token, (scheme, text) => {
        fc.pre(/\d/.test(text));
        expect(redactText(`${scheme} ${text}`)).not.toContain(text);
      }),
    );
  });

  test("changes nothing that it has changed before, and no plain text", () => {
    fc.assert(
      fc.property(fc.oneof(around, email, card, secret, fc.string()), (text) => {
        const once = redactText(text);
        expect(redactText(once)).toBe(once);
      }),
    );
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z ,.\n]{0,80}$/), (text) => {
        expect(redactText(text)).toBe(text);
      }),
    );
  });

  test.each([
    ["Write to Zoë.Müller@bücher.example today", "Write to [email] today"],
    ["1 4111 1111 1111 1111, please", "1 [card], please"],
    ["order 1795600000123 of 4111111111111112", "order 1795600000123 of 4111111111111112"],
    ["call 2026-11-25 10:00:00", "call 2026-11-25 10:00:00"],
    ["OPENAI_API_KEY=abc123def", "OPENAI_API_KEY=[secret]"],
    ['{"password": "hunter22"}', '{"password": "[secret]"}'],
    ["Authorization: Basic cGs6c2s9MTIzNDU=", "Authorization: [secret] [secret]"],
    ["a basic understanding of token authentication", "a basic understanding of token authentication"],
    ["-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKC\n-----END RSA PRIVATE KEY----- end", "[secret] end"],
    ["-----BEGIN PRIVATE KEY-----\nMIIEpAIBAAKC and no end", "[secret]"],
  ])("of %j is %j", (text, expected) => {
    expect(redactText(text)).toBe(expected);
  });

  test("takes a card that comes as a number, and leaves other numbers", () => {
    expect(redactNumber(4_111_111_111_111_111)).toBe("[card]");
    expect([redactNumber(42), redactNumber(1_795_600_000_123), redactNumber(0.5)]).toEqual([
      42, 1_795_600_000_123, 0.5,
    ]);
  });

  test.each([
    ["password", true],
    ["api_key", true],
    ["openaiApiKey", false],
    ["OPENAI_API_KEY", true],
    ["access_token", true],
    ["max_tokens", false],
    ["secretary", false],
  ])("knows by its name whether the field %j holds a secret: %j", (name, expected) => {
    expect(isSecretField(name)).toBe(expected);
  });

  test("takes time in proportion to the text, for texts made to be slow", () => {
    const slow = [
      "a".repeat(200_000),
      "a@".repeat(100_000),
      "a.".repeat(100_000),
      "1 ".repeat(100_000),
      "4".repeat(200_000),
      "-----BEGIN PRIVATE KEY-----".repeat(5000),
      "eyJaaaaaaaaa.".repeat(15_000),
      "Bearer ".repeat(30_000),
      "password".repeat(25_000),
      "sk-".repeat(60_000),
      `${"password=".repeat(1)}${" ".repeat(200_000)}`,
    ];
    const startedAt = performance.now();
    for (const text of slow) redactText(text);
    // A quadratic pattern takes minutes here.
    expect(performance.now() - startedAt).toBeLessThan(5000);
  });
});
