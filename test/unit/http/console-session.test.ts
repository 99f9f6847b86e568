import fc from "fast-check";
import { expect, test } from "vitest";
import { readSession, writeSession } from "../../../src/http/console-session.ts";

const pairOf = (cookie: string): string => cookie.slice(0, cookie.indexOf(";"));

test("a session holds any token, and comes back among other cookies", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, unit: "grapheme" }), fc.boolean(), (token, isLocal) => {
      const cookie = writeSession(token, isLocal);
      expect(cookie).toMatch(/^[\x20-\x7E]+$/);
      expect(readSession(`theme=dark; ${pairOf(cookie)}; other=1`, isLocal)).toBe(token);
    }),
  );
});

test("deployed it is bound to the host and to HTTPS; a local run has no HTTPS", () => {
  expect(writeSession("t", false)).toBe(
    "__Host-headgate-session=t; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure",
  );
  expect(writeSession("t", true)).toBe(
    "headgate-session=t; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict",
  );
});

test("its end removes it, and what is not a session reads as none", () => {
  expect(writeSession("", true)).toContain("Max-Age=0");
  for (const cookies of [
    undefined,
    "",
    "headgate-session=",
    "headgate-session=%",
    "xheadgate-session=t",
    "__Host-headgate-session=t",
  ]) {
    expect(readSession(cookies, true), cookies).toBeUndefined();
  }
});
