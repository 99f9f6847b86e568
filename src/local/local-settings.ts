/**
 * The settings of a local run: `.dev.vars`, then environment variables of the same names, then defaults for a
 * developer's machine. Written to a file for the local runtime that only its owner can read.
 */

import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { SETTING_NAMES } from "../config.ts";

/** Only for the demo tenant's providers; not in the Worker's environment. */
const PROVIDER_SETTINGS = [
  "OPENAI_API_KEY",
  "OPENAI_BASE_URL",
  "OLLAMA_BASE_URL",
  "ANTHROPIC_API_KEY",
  "GEMINI_API_KEY",
];

const SECRET_FILE_MODE = 0o600;
const MASTER_KEY_BYTES = 32;
const ADMIN_TOKEN_BYTES = 24;

export interface LocalSettings {
  readonly values: Readonly<Record<string, string>>;
  /** Path of the file with the Worker's part of them. */
  readonly envFile: string;
  /** Names in `.dev.vars` that nothing reads: probably misspelt. */
  readonly unknownNames: readonly string[];
}

/** Reads the settings, and keeps generated secrets in `stateDir`. `varsFile` is the path of `.dev.vars`. */
export function prepareSettings(
  stateDir: string,
  env: NodeJS.ProcessEnv,
  varsFile = ".dev.vars",
): LocalSettings {
  const dir = join(stateDir, "headgate");
  mkdirSync(dir, { recursive: true });
  const file = existsSync(varsFile) ? parseEnv(readFileSync(varsFile, "utf8")) : {};
  const names = [...SETTING_NAMES, ...PROVIDER_SETTINGS];
  const given: Record<string, string> = {};
  for (const name of names) {
    const value = file[name] ?? env[name];
    if (value !== undefined && value !== "") given[name] = value;
  }
  const values = {
    UPSTREAM_ALLOW_PRIVATE: "true",
    DEV_TENANT: "true",
    ...given,
    ADMIN_TOKEN: given["ADMIN_TOKEN"] ?? keptSecret(join(dir, "admin-token"), ADMIN_TOKEN_BYTES, "base64url"),
    MASTER_KEY: given["MASTER_KEY"] ?? keptSecret(join(dir, "master-key"), MASTER_KEY_BYTES, "base64"),
  };
  const envFile = join(dir, "worker.vars");
  const lines = Object.entries(values)
    .filter(([name]) => SETTING_NAMES.includes(name))
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  writeFileSync(envFile, `${lines.join("\n")}\n`, { mode: SECRET_FILE_MODE });
  return { values, envFile, unknownNames: Object.keys(file).filter((name) => !names.includes(name)) };
}

/**
 * Random, created once and kept: without the master key the stored credentials can't be decrypted, and a constant admin token
 * would be known to every web page.
 */
function keptSecret(path: string, bytes: number, encoding: "base64" | "base64url"): string {
  if (existsSync(path)) return readFileSync(path, "utf8").trim();
  const secret = randomBytes(bytes).toString(encoding);
  writeFileSync(path, `${secret}\n`, { mode: SECRET_FILE_MODE });
  return secret;
}
