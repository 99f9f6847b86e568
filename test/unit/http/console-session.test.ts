import fc from "fast-check";
import { expect, test } from "vitest";
import {
  beginConsoleSession,
  endConsoleSession,
  readConsoleSession,
} from "../../../src/http/console-session.ts";
import { openSecret, sealSecret } from "../../../src/tenants/records/sealing.ts";

const key = (letter: string): string => btoa(letter.repeat(32));
const DEPLOYED = { isLocal: false, masterKeys: [key("m")], adminToken: "the-operators-token-0123456789" };
const LOCAL = { ...DEPLOYED, isLocal: true };
const HOURS_12 = 12 * 3_600_000;
const NOW = 1_800_000_000_000;

const pairOf = (cookie: string): string => cookie.slice(0, cookie.indexOf(";"));

test("a session holds any token, shows none of it, and comes back among other cookies", async () => {
  const setting = fc.constantFrom(DEPLOYED, LOCAL, { ...DEPLOYED, masterKeys: [] });
  await fc.assert(
    fc.asyncProperty(fc.stringMatching(/^[!-~]{1,80}$/), setting, async (token, settings) => {
      const cookie = await beginConsoleSession(token, settings, NOW);
      expect(cookie).toMatch(/^[\x20-\x7E]+$/);
      expect(pairOf(cookie)).toMatch(/^[\w-]+=[\w.+/=]+$/);
      if (token.length > 5) expect(cookie).not.toContain(token);
      expect(await readConsoleSession(`theme=dark; ${pairOf(cookie)}; other=1`, settings, NOW)).toBe(token);
    }),
    { numRuns: 50 },
  );
});

test("deployed it is bound to the host and to HTTPS; a local run has no HTTPS", async () => {
  expect(await beginConsoleSession("t", DEPLOYED, NOW)).toMatch(
    /^__Host-headgate-session=v3\.[^;]+; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure$/,
  );
  expect(await beginConsoleSession("t", LOCAL, NOW)).toMatch(
    /^headgate-session=v3\.[^;]+; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/,
  );
});

test("it ends after 12 hours, whatever the browser keeps", async () => {
  const cookie = pairOf(await beginConsoleSession("t", DEPLOYED, NOW));
  expect(await readConsoleSession(cookie, DEPLOYED, NOW + HOURS_12 - 1)).toBe("t");
  expect(await readConsoleSession(cookie, DEPLOYED, NOW + HOURS_12)).toBeUndefined();
});

test("it outlives a change of MASTER_KEY, and no change to a key that is not accepted", async () => {
  const cookie = pairOf(await beginConsoleSession("t", DEPLOYED, NOW));
  const rotated = { ...DEPLOYED, masterKeys: [key("n"), key("m")] };
  expect(await readConsoleSession(cookie, rotated, NOW)).toBe("t");
  expect(await readConsoleSession(cookie, { ...DEPLOYED, masterKeys: [key("n")] }, NOW)).toBeUndefined();
  const keyless = { ...DEPLOYED, masterKeys: [] };
  const ofToken = pairOf(await beginConsoleSession("t", keyless, NOW));
  expect(
    await readConsoleSession(ofToken, { ...keyless, adminToken: "another-token-0123456789" }, NOW),
  ).toBeUndefined();
});

test("neither a stored credential nor a session opens as the other", async () => {
  const place = {
    tenantId: "acme",
    kind: "provider.apiKey",
    name: "openai",
    audience: "openai default",
  } as const;
  const credential = await sealSecret(`${NOW + HOURS_12} t`, place, DEPLOYED.masterKeys);
  expect(await readConsoleSession(`__Host-headgate-session=${credential}`, DEPLOYED, NOW)).toBeUndefined();
  const [, session = ""] = /=([^;]+)/.exec(await beginConsoleSession("t", DEPLOYED, NOW)) ?? [];
  await expect(openSecret(session, place, DEPLOYED.masterKeys)).rejects.toMatchObject({
    code: "unavailable",
  });
  expect(await readConsoleSession(`headgate-session=${session}`, LOCAL, NOW)).toBeUndefined();
});

test("its end removes it, and what is not a session reads as none", async () => {
  expect(endConsoleSession(true)).toContain("headgate-session=; Path=/; Max-Age=0;");
  const sealed = pairOf(await beginConsoleSession("t", LOCAL, NOW));
  for (const cookies of [
    undefined,
    "",
    "headgate-session=",
    "headgate-session=%",
    "headgate-session=the-operators-token-0123456789",
    `x${sealed}`,
    `__Host-${sealed}`,
    sealed.slice(0, -6),
    sealed.replace("v3", "v2"),
  ]) {
    expect(await readConsoleSession(cookies, LOCAL, NOW), cookies).toBeUndefined();
  }
});
