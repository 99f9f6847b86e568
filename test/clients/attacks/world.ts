// The gateways that are attacked, and what the attacks name: two tenants, their keys in all states, a vendor that quotes what it gets.
import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { adminJson, TEST_VARS } from "../../support/clients/admin-client.ts";
import { makeKey, makeTenant } from "../../support/clients/test-tenant.ts";
import { startGateway, type Gateway } from "../../support/servers/gateway-process.ts";
import { startScriptedUpstream, type ScriptedUpstream } from "../../support/servers/scripted-upstream.ts";
import { generateKey, generateToken } from "../../../src/tenants/key-format.ts";
import type { Setting } from "./attack.ts";
import { FROM_VENDOR } from "./headers.ts";

export interface World {
  readonly urls: Readonly<Record<Setting, string>>;
  readonly upstream: ScriptedUpstream;
  /** `{name}` in a string of an attack, filled in. */
  fill(text: string): string;
  close(): Promise<void>;
}

const randomBytes = (length: number): Uint8Array => crypto.getRandomValues(new Uint8Array(length));
const EXPIRES_MS = 1000;
const PRICE = { "up/small": { input: 1, output: 1 } };

export async function startWorld(): Promise<World> {
  const upstream = await startScriptedUpstream();
  const settings: Readonly<Record<Setting, Readonly<Record<string, string>>>> = {
    open: { CORS_ORIGINS: "https://app.example" },
    deployed: { UPSTREAM_ALLOW_PRIVATE: "false" },
    local: { DEV_TENANT: "true" },
  };
  const [open, deployed, local] = await Promise.all([
    startGateway({ vars: settings.open }),
    startGateway({ vars: settings.deployed }),
    startGateway({ vars: settings.local }),
  ]);
  scriptVendor(upstream);
  const [names, deployedTenant] = await Promise.all([populate(open, upstream), makeTenant(deployed)]);
  return {
    urls: { open: open.url, deployed: deployed.url, local: local.url },
    upstream,
    fill(text) {
      // Records of the deployed gateway are written to a tenant of its own.
      const known = new Map(
        Object.entries({ ...names, deployedTenant: deployedTenant.id, deployedKey: deployedTenant.key }),
      );
      return text.replaceAll(/\{(\w+)\}/g, (whole, name: string) => known.get(name) ?? whole);
    },
    async close() {
      await Promise.all([open.stop(), deployed.stop(), local.stop()]);
      await upstream.close();
    },
  };
}

function scriptVendor(upstream: ScriptedUpstream): void {
  upstream.script("chatty", { kind: "answer", text: "hi", headers: FROM_VENDOR });
  upstream.script("quoting", (request) => ({
    kind: "error",
    status: 400,
    message: `bad request: ${JSON.stringify(request.headers)}`,
  }));
  upstream.script("said", { kind: "answer", text: "words of the victim" });
}

async function populate(
  gateway: Gateway,
  upstream: ScriptedUpstream,
): Promise<Readonly<Record<string, string>>> {
  const admin = (method: string, path: string, body?: unknown) => adminJson(gateway, method, path, body);
  const [own, victim, suspended, small, budgeted] = await Promise.all([
    makeTenant(gateway, { upstreamUrl: upstream.url, record: { prices: PRICE } }),
    makeTenant(gateway, {
      upstreamUrl: upstream.url,
      cache: { enabled: true, share: "tenant" },
      routes: { "secret-route": { targets: [{ provider: "up", model: "said" }] } },
    }),
    makeTenant(gateway, { record: { status: "suspended" } }),
    makeTenant(gateway, { upstreamUrl: upstream.url, limits: { maxBodyBytes: 100_000 } }),
    makeTenant(gateway, { upstreamUrl: upstream.url, record: { budget: { usd: 1, period: "day" } } }),
  ]);
  const root = `/admin/tenants/${own.id}`;
  const key = (fields: object = {}) => makeKey(gateway, own.id, { ...fields });
  const [limited, chatOnly, revoked, expiring, rotated, paused] = await Promise.all([
    key({ allowedModels: ["up/small*"] }),
    key({ endpoints: ["chat"] }),
    key(),
    key({ expiresAt: new Date(Date.now() + EXPIRES_MS).toISOString() }),
    key(),
    key({ status: "paused" }),
  ]);
  const account = { kind: "openai", baseUrl: `${upstream.url}/v1`, apiKey: `sk-${randomUUID()}` };
  await Promise.all([
    admin("PUT", `${root}/providers/narrow`, { ...account, native: ["GET v1/models"] }),
    admin("PUT", `${root}/providers/gem`, { ...account, kind: "gemini", baseUrl: upstream.url }),
    admin("PUT", `/admin/tenants/${victim.id}/providers/secret-account`, { ...account, native: "all" }),
    admin("DELETE", `${root}/keys/${revoked.id}`),
    admin("POST", `${root}/keys/${rotated.id}/rotate`),
  ]);
  const { apiKey: mask } = await admin("GET", `${root}/providers/up`);
  const tokens = await makeTokens(gateway, own.id);
  const [victimTrace] = await Promise.all([plant(gateway, victim.key), setTimeout(EXPIRES_MS)]);
  const token = TEST_VARS["ADMIN_TOKEN"] ?? "";
  return {
    tenant: own.id,
    key: own.key,
    keyId: own.keyId,
    keyCut: own.key.slice(0, -1),
    keyUpper: own.key.toUpperCase(),
    keyBasic: btoa(`user:${own.key}`),
    unknown: generateKey(randomBytes),
    limited: limited.key,
    chatOnly: chatOnly.key,
    revoked: revoked.key,
    expired: expiring.key,
    rotated: rotated.key,
    paused: paused.key,
    suspended: suspended.key,
    smallBodies: small.key,
    budgeted: budgeted.key,
    victim: victim.id,
    victimKey: victim.key,
    victimKeyId: victim.keyId,
    victimTrace,
    admin: token,
    adminCut: token.slice(0, -1),
    adminAsUser: btoa(`${token}:`),
    adminBasic: btoa(`user:${token}`),
    ...tokens,
    credential: own.credential,
    mask: String(mask),
    upstream: upstream.url,
    upstreamTls: upstream.url.replace("http:", "https:"),
  };
}

/** Tokens of the admin plane, in all states. */
async function makeTokens(gateway: Gateway, tenant: string): Promise<Readonly<Record<string, string>>> {
  const make = async (fields: object): Promise<Readonly<Record<"id" | "token", string>>> => {
    const { id, token } = await adminJson(gateway, "POST", "/admin/tokens", { name: "test", ...fields });
    return { id: String(id), token: String(token) };
  };
  const gone = await makeTenant(gateway);
  const [viewer, tenantAdmin, tenantViewer, revoked, expiring, orphaned] = await Promise.all([
    make({ role: "viewer" }),
    make({ role: "tenant-admin", tenant }),
    make({ role: "tenant-viewer", tenant }),
    make({ role: "operator" }),
    make({ role: "operator", expiresAt: new Date(Date.now() + EXPIRES_MS).toISOString() }),
    make({ role: "tenant-admin", tenant: gone.id }),
  ]);
  await gateway.admin("DELETE", `/admin/tokens/${revoked.id}`);
  await gateway.admin("DELETE", `/admin/tenants/${gone.id}`);
  const { items } = await adminJson(gateway, "GET", "/admin/tokens");
  // The list of the API.
  const [first] = items as readonly { readonly token: string }[];
  return {
    viewer: viewer.token,
    tenantAdmin: tenantAdmin.token,
    tenantViewer: tenantViewer.token,
    tokenRevoked: revoked.token,
    tokenExpired: expiring.token,
    tokenOrphaned: orphaned.token,
    tokenUnknown: generateToken(randomBytes),
    tokenCut: tenantAdmin.token.slice(0, -1),
    tokenUpper: tenantAdmin.token.toUpperCase(),
    tokenMask: encodeURIComponent(first?.token ?? ""),
  };
}

/** The victim's own answer, cached and kept by an idempotency key; resolves with its trace's id. */
async function plant(gateway: Gateway, key: string): Promise<string> {
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${key}`,
      "content-type": "application/json",
      "idempotency-key": "job-1",
    },
    body: JSON.stringify({ model: "secret-route", messages: [{ role: "user", content: "hi" }] }),
  });
  const text = await response.text();
  if (!text.includes("words of the victim")) throw new Error(`the victim got: ${text}`);
  return response.headers.get("x-trace-id") ?? "";
}
