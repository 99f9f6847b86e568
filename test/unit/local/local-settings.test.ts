/** The settings of a local run: generated secrets, what is passed to the Worker, and names that nothing reads. */

import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readSettings, SETTING_NAMES } from "../../../src/config.ts";
import { prepareSettings } from "../../../src/local/local-settings.ts";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "headgate-settings-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const prepare = (vars = "", env: NodeJS.ProcessEnv = {}) => {
  const varsFile = join(dir, "vars");
  writeFileSync(varsFile, vars);
  const settings = prepareSettings(dir, env, varsFile);
  return { ...settings, passed: parseEnv(readFileSync(settings.envFile, "utf8")) };
};

test("the admin token is random, stays the same for a state folder, and is readable by its owner only", () => {
  const first = prepare();
  expect(first.values["ADMIN_TOKEN"]).toMatch(/^[\w-]{32}$/);
  expect(prepare().values["ADMIN_TOKEN"]).toBe(first.values["ADMIN_TOKEN"]);
  expect(statSync(join(dir, "headgate", "admin-token")).mode & 0o077).toBe(0);
  rmSync(join(dir, "headgate"), { recursive: true });
  expect(prepare().values["ADMIN_TOKEN"]).not.toBe(first.values["ADMIN_TOKEN"]);
});

test("a token that is set wins, from the file before the environment", () => {
  expect(prepare("", { ADMIN_TOKEN: "of-env" }).values["ADMIN_TOKEN"]).toBe("of-env");
  expect(prepare("ADMIN_TOKEN=of-file", { ADMIN_TOKEN: "of-env" }).values["ADMIN_TOKEN"]).toBe("of-file");
});

test("every setting of the Worker is passed on, and nothing else", () => {
  const given = Object.fromEntries(SETTING_NAMES.map((name) => [name, `value of ${name}`]));
  const { passed } = prepare("OPENAI_API_KEY=sk-x", { ...given, PATH: "/bin" });
  expect(Object.keys(passed).toSorted()).toEqual([...SETTING_NAMES].toSorted());
  for (const name of SETTING_NAMES) expect(passed[name]).toBe(`value of ${name}`);
});

test("the defaults are settings that the Worker accepts", () => {
  const settings = readSettings(prepare("CONTENT_CAPTURE=false").passed);
  expect(settings).toMatchObject({ isLocal: true, allowPrivateUpstreams: true, isContentAllowed: false });
});

test("names in the file that nothing reads are reported", () => {
  expect(prepare("ADMIN_TOKN=x\nOPENAI_API_KEY=sk-x\nSERVICE_NAME=y").unknownNames).toEqual(["ADMIN_TOKN"]);
});
