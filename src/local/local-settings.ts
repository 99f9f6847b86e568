/**
 * The settings of a local run: `.dev.vars`, then environment variables of the same names, then defaults for a
 * developer's machine. Written to a file for the local runtime that only its owner can read.
 */

import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";

/** What the Worker reads (src/config.ts). */
const WORKER_SETTINGS = [
  "ADMIN_TOKEN",
  "MASTER_KEY",
  "OTLP_ENDPOINT",
  "OTLP_HEADERS",
  "SERVICE_NAME",
  "CORS_ORIGINS",
  "UPSTREAM_ALLOW_PRIVATE",
  "DEV_TENANT",
];

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

export interface LocalSettings {
  readonly values: Readonly<Record<string, string>>;
  /** Path of the file with the Worker's part of them. */
  readonly envFile: string;
}

export function prepareSettings(stateDir: string, env: NodeJS.ProcessEnv): LocalSettings {
  const dir = join(stateDir, "headgate");
  mkdirSync(dir, { recursive: true });
  const file = existsSync(".dev.vars") ? parseEnv(readFileSync(".dev.vars", "utf8")) : {};
  const given: Record<string, string> = {};
  for (const name of [...WORKER_SETTINGS, ...PROVIDER_SETTINGS]) {
    const value = file[name] ?? env[name];
    if (value !== undefined && value !== "") given[name] = value;
  }
  const values = {
    ADMIN_TOKEN: "dev",
    UPSTREAM_ALLOW_PRIVATE: "true",
    DEV_TENANT: "true",
    ...given,
    MASTER_KEY: given["MASTER_KEY"] ?? keptMasterKey(join(dir, "master-key")),
  };
  const envFile = join(dir, "worker.vars");
  const lines = Object.entries(values)
    .filter(([name]) => WORKER_SETTINGS.includes(name))
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  writeFileSync(envFile, `${lines.join("\n")}\n`, { mode: SECRET_FILE_MODE });
  return { values, envFile };
}

/** Created once and kept in the state folder: without it the stored credentials can't be decrypted. */
function keptMasterKey(path: string): string {
  if (existsSync(path)) return readFileSync(path, "utf8").trim();
  const key = randomBytes(MASTER_KEY_BYTES).toString("base64");
  writeFileSync(path, `${key}\n`, { mode: SECRET_FILE_MODE });
  return key;
}
