/**
 * Secrets in records that are being written: given ones are sealed, masks that were sent back keep the stored ones. The
 * Worker that took the request seals, so the directory never sees a secret in the clear.
 */

import { GatewayError } from "../../errors.ts";
import { isMask, maskSecret, sealSecret, type SecretPlace } from "./sealing.ts";
import type {
  IncomingSecret,
  ProviderInput,
  ProviderRecord,
  ProviderWith,
  SealedSecret,
  StoredTenant,
  TenantRecord,
  TenantWith,
} from "./records.ts";

/** A provider with each given secret sealed. */
export async function sealProvider(
  tenantId: string,
  name: string,
  input: ProviderInput,
  masterKey: string | undefined,
): Promise<ProviderWith<IncomingSecret>> {
  const { apiKey, headers, ...rest } = input;
  const owner = { tenantId, kind: "provider.header", name } as const;
  return {
    ...rest,
    ...(apiKey !== undefined && {
      apiKey: await seal(apiKey, { tenantId, kind: "provider.apiKey", name }, masterKey),
    }),
    headers: await sealHeaders(headers, owner, masterKey),
  };
}

/** A tenant with each given header value of its trace destinations sealed. */
export async function sealTenant(
  tenantId: string,
  record: TenantRecord,
  masterKey: string | undefined,
): Promise<TenantWith<IncomingSecret>> {
  const destinations = await Promise.all(
    record.tracing.destinations.map(async (destination) => ({
      ...destination,
      headers: await sealHeaders(
        destination.headers,
        { tenantId, kind: "destination.header", name: destination.name },
        masterKey,
      ),
    })),
  );
  return { ...record, tracing: { ...record.tracing, destinations } };
}

/** The provider to store: each mask becomes the stored secret. Throws `invalid_request` for a mask without one. */
export function keepProviderSecrets(
  incoming: ProviderWith<IncomingSecret>,
  stored: ProviderRecord | undefined,
): ProviderRecord {
  const { apiKey, headers, ...rest } = incoming;
  return {
    ...rest,
    ...(apiKey !== undefined && { apiKey: keep(apiKey, stored?.apiKey, "apiKey") }),
    headers: keepHeaders(headers, stored?.headers, "headers"),
  };
}

/** The tenant to store; destinations are matched by name. */
export function keepTenantSecrets(
  incoming: TenantWith<IncomingSecret>,
  stored: StoredTenant | undefined,
): StoredTenant {
  const before = new Map(stored?.tracing.destinations.map(({ name, headers }) => [name, headers]));
  const destinations = incoming.tracing.destinations.map((destination, at) => ({
    ...destination,
    headers: keepHeaders(
      destination.headers,
      before.get(destination.name),
      `tracing.destinations[${at}].headers`,
    ),
  }));
  return { ...incoming, tracing: { ...incoming.tracing, destinations } };
}

async function seal(
  text: string,
  place: SecretPlace,
  masterKey: string | undefined,
): Promise<IncomingSecret> {
  if (isMask(text)) return { masked: text };
  return { sealed: await sealSecret(text, place, masterKey), masked: maskSecret(text) };
}

async function sealHeaders(
  headers: Readonly<Record<string, string>>,
  owner: SecretPlace,
  masterKey: string | undefined,
): Promise<Record<string, IncomingSecret>> {
  const entries = await Promise.all(
    Object.entries(headers).map(async ([anyCase, value]) => {
      const header = anyCase.toLowerCase();
      return [header, await seal(value, { ...owner, name: `${owner.name}/${header}` }, masterKey)] as const;
    }),
  );
  return Object.fromEntries(entries);
}

function keepHeaders(
  incoming: Readonly<Record<string, IncomingSecret>>,
  stored: Readonly<Record<string, SealedSecret>> | undefined,
  param: string,
): Record<string, SealedSecret> {
  const before = new Map(Object.entries(stored ?? {}));
  return Object.fromEntries(
    Object.entries(incoming).map(([name, secret]) => [
      name,
      keep(secret, before.get(name), `${param}.${name}`),
    ]),
  );
}

function keep(incoming: IncomingSecret, stored: SealedSecret | undefined, param: string): SealedSecret {
  const { sealed, masked } = incoming;
  if (sealed !== undefined) return { sealed, masked };
  if (stored?.masked === masked) return stored;
  throw new GatewayError(
    "invalid_request",
    `${param}: is a mask, but there is no stored secret with this mask. Send the secret again.`,
    {
      param,
    },
  );
}
