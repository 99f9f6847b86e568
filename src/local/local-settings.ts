/**
 * The settings of a local run: `.dev.vars`, then the environment of the same names, then defaults that only make sense
 * on one's own machine. Written to a file that only its owner can read, which the local runtime is given.
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

/** What only the demo tenant is made of; the Worker never sees them in its environment. */
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

/** Made once and kept beside the state it seals: without it the stored credentials could not be opened again. */
function keptMasterKey(path: string): string {
  if (existsSync(path)) return readFileSync(path, "utf8").trim();
  const key = randomBytes(MASTER_KEY_BYTES).toString("base64");
  writeFileSync(path, `${key}\n`, { mode: SECRET_FILE_MODE });
  return key;
}
