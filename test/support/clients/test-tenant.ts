// Makes a tenant of its own for a test, through the admin API only (src/docs/admin-api.md): record, provider, routes and one gateway key.
// It asserts that each step was accepted and nothing else.
import { randomUUID } from "node:crypto";
import type { AdminPlane } from "./admin-client.ts";

export type TenantOptions = {
  /** Base URL of the scripted upstream without `/v1`; where absent the tenant gets a `sim` provider named `sim`. */
  readonly upstreamUrl?: string;
  readonly providerKind?: "openai" | "openai-compatible" | "anthropic" | "sim";
  readonly limits?: Readonly<Record<string, unknown>>;
  readonly cache?: Readonly<Record<string, unknown>>;
  /** `native` of the provider's record; all calls of its own API are open where absent. */
  readonly native?: "all" | readonly string[];
  /** Further fields of the tenant record (`tracing`, `status`, …). */
  readonly record?: Readonly<Record<string, unknown>>;
  /** Routes by name, as the admin API takes them. */
  readonly routes?: Readonly<Record<string, unknown>>;
};

export type TestTenant = {
  readonly id: string;
  /** The gateway key, `hg_…`. */
  readonly key: string;
  readonly keyId: string;
  /** Name of its provider: models are `${provider}/${model}`. */
  readonly provider: string;
  /** The upstream credential that must never leave the gateway except to the upstream. */
  readonly credential: string;
};

export async function makeTenant(gateway: AdminPlane, options: TenantOptions = {}): Promise<TestTenant> {
  const id = `t-${randomUUID().slice(0, 13)}`;
  const kind = options.providerKind ?? (options.upstreamUrl === undefined ? "sim" : "openai");
  const provider = kind === "sim" ? "sim" : "up";
  const credential = `sk-canary-${randomUUID()}`;
  const root = `/admin/tenants/${id}`;

  await put(gateway, root, {
    name: `Test ${id}`,
    ...options.record,
    ...(options.limits !== undefined && { limits: options.limits }),
    ...(options.cache !== undefined && { cache: options.cache }),
  });
  const account =
    kind === "sim"
      ? { kind }
      : { kind, baseUrl: `${options.upstreamUrl}/v1`, apiKey: credential, native: options.native ?? "all" };
  await put(gateway, `${root}/providers/${provider}`, account);
  for (const [name, route] of Object.entries(options.routes ?? {}))
    await put(gateway, `${root}/routes/${name}`, route);
  const { id: keyId, key } = await makeKey(gateway, id);
  return { id, key, keyId, provider, credential };
}

/** Makes a further key for a tenant; `fields` are those of a key record (src/docs/records.md). */
export async function makeKey(
  gateway: AdminPlane,
  tenantId: string,
  fields: Readonly<Record<string, unknown>> = {},
): Promise<{ readonly id: string; readonly key: string }> {
  const response = await gateway.admin("POST", `/admin/tenants/${tenantId}/keys`, {
    name: "test",
    ...fields,
  });
  const body: unknown = await response.json();
  if (response.status !== 201 || !isKey(body)) throw refused("POST key", response, body);
  return body;
}

async function put(gateway: AdminPlane, path: string, body: unknown): Promise<void> {
  const response = await gateway.admin("PUT", path, body);
  const text = await response.text();
  if (response.status !== 200 && response.status !== 201) throw refused(`PUT ${path}`, response, text);
}

function refused(what: string, response: Response, body: unknown): Error {
  return new Error(
    `${what} answered ${response.status}: ${typeof body === "string" ? body : JSON.stringify(body)}`,
  );
}

function isKey(body: unknown): body is { readonly id: string; readonly key: string } {
  if (typeof body !== "object" || body === null || !("id" in body) || !("key" in body)) return false;
  return typeof body.id === "string" && typeof body.key === "string";
}
