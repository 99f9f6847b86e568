/**
 * The tenant `demo` of a local run, created through the admin API: a `sim` provider whose models are simulated
 * in the Worker, a route `demo`, and the real providers that the settings have a key for.
 */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LocalSettings } from "./local-settings.ts";

const TENANT = "demo";
const SECRET_FILE_MODE = 0o600;

export interface DemoTenant {
  readonly key: string;
  readonly route: string;
  /** `provider/model` examples of the configured real providers. */
  readonly models: readonly string[];
}

interface Context {
  readonly url: string;
  readonly stateDir: string;
  readonly settings: LocalSettings;
}

/** Generous limits, so that headers and spans show them. */
const TENANT_RECORD = { name: "Demo", limits: { requestsPerMinute: 600, concurrency: 8 } };

/** The first target fails every other time, so that a first trace shows a fallback. */
const ROUTE_RECORD = {
  strategy: "fallback",
  targets: [
    { provider: "sim", model: "flaky" },
    { provider: "sim", model: "storyteller" },
  ],
  retries: { maxAttempts: 1 },
};

interface RealProvider {
  readonly name: string;
  readonly record: Readonly<Record<string, unknown>>;
  readonly example: string;
}

/**
 * Creates what is missing and changes nothing else; the key is kept in the state folder, so that it stays the
 * same.
 */
export async function ensureDemoTenant(context: Context): Promise<DemoTenant> {
  const tenant = `/admin/tenants/${TENANT}`;
  if ((await call(context, "GET", tenant)).status === 404) await ok(context, "PUT", tenant, TENANT_RECORD);
  await putIfMissing(context, `${tenant}/providers/sim`, { kind: "sim", native: "all" });
  await putIfMissing(context, `${tenant}/routes/demo`, ROUTE_RECORD);
  const real = realProviders(context.settings.values);
  for (const { name, record } of real) await ok(context, "PUT", `${tenant}/providers/${name}`, record);
  return { key: await keptKey(context, tenant), route: "demo", models: real.map(({ example }) => example) };
}

function realProviders(values: Readonly<Record<string, string>>): readonly RealProvider[] {
  const found: RealProvider[] = [];
  const { OPENAI_API_KEY: openaiKey, OPENAI_BASE_URL: openaiUrl, OLLAMA_BASE_URL: ollamaUrl } = values;
  if (openaiKey !== undefined) {
    const record = {
      kind: "openai",
      apiKey: openaiKey,
      ...(openaiUrl !== undefined && { baseUrl: openaiUrl }),
    };
    found.push({ name: "openai", record, example: "openai/gpt-4o-mini" });
  }
  const { ANTHROPIC_API_KEY: anthropicKey, GEMINI_API_KEY: geminiKey } = values;
  if (anthropicKey !== undefined) {
    const record = { kind: "anthropic", apiKey: anthropicKey };
    found.push({ name: "anthropic", record, example: "anthropic/claude-haiku-4-5" });
  }
  if (geminiKey !== undefined) {
    const record = { kind: "gemini", apiKey: geminiKey };
    found.push({ name: "gemini", record, example: "gemini/gemini-2.5-flash" });
  }
  if (ollamaUrl !== undefined) {
    const baseUrl = ollamaUrl.endsWith("/v1") ? ollamaUrl : `${ollamaUrl.replace(/(?<!\/)\/+$/, "")}/v1`;
    found.push({
      name: "ollama",
      record: { kind: "ollama", baseUrl },
      example: "ollama/llama3.2",
    });
  }
  return found;
}

async function keptKey(context: Context, tenant: string): Promise<string> {
  const path = join(context.stateDir, "headgate", "demo-key");
  if (existsSync(path)) {
    const key = readFileSync(path, "utf8").trim();
    const response = await fetch(`${context.url}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
    if (response.ok) return key;
  }
  const made = await ok(context, "POST", `${tenant}/keys`, { name: "npm start" });
  const key: unknown = Reflect.get(Object(made), "key");
  if (typeof key !== "string") throw new Error("the admin API returned no key");
  writeFileSync(path, `${key}\n`, { mode: SECRET_FILE_MODE });
  return key;
}

async function putIfMissing(context: Context, path: string, record: unknown): Promise<void> {
  if ((await call(context, "GET", path)).status === 404) await ok(context, "PUT", path, record);
}

async function ok(context: Context, method: string, path: string, body: unknown): Promise<unknown> {
  const response = await call(context, method, path, body);
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
  return JSON.parse(text);
}

function call({ url, settings }: Context, method: string, path: string, body?: unknown): Promise<Response> {
  return fetch(url + path, {
    method,
    headers: {
      authorization: `Bearer ${settings.values["ADMIN_TOKEN"] ?? ""}`,
      "content-type": "application/json",
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
}
