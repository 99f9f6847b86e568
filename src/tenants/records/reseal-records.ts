/**
 * A stored record's secrets sealed again under the first master key, for a change of MASTER_KEY: what was sealed under
 * another accepted key, or before texts named their key. Masks, addresses and everything else stay.
 */

import { audienceOfDestination, audienceOfProvider } from "./audience.ts";
import type { ProviderRecord, SealedSecret, StoredTenant } from "./records.ts";
import { webhookPlace } from "./seal-records.ts";
import { type MasterKeys, openSecret, sealSecret, type SecretPlace } from "./sealing.ts";

/** Every sealed text of a provider. */
export function sealedInProvider({ apiKey, headers }: ProviderRecord): readonly string[] {
  return [...(apiKey === undefined ? [] : [apiKey]), ...Object.values(headers)].map(({ sealed }) => sealed);
}

/** Every sealed text of a tenant's own record. */
export function sealedInTenant({ tracing, alerts }: StoredTenant): readonly string[] {
  const headers = tracing.destinations.flatMap((destination) => Object.values(destination.headers));
  return [...headers, ...(alerts === undefined ? [] : [alerts.webhook.secret])].map(({ sealed }) => sealed);
}

/** Throws `unavailable` where no accepted key opens one of its secrets. */
export async function resealProvider(
  tenantId: string,
  name: string,
  record: ProviderRecord,
  masterKeys: MasterKeys,
): Promise<ProviderRecord> {
  const audience = audienceOfProvider(record);
  const owner = { tenantId, kind: "provider.header", name, audience } as const;
  const { apiKey } = record;
  return {
    ...record,
    ...(apiKey !== undefined && {
      apiKey: await reseal(apiKey, { ...owner, kind: "provider.apiKey" }, masterKeys),
    }),
    headers: await resealHeaders(record.headers, owner, masterKeys),
  };
}

/** Throws `unavailable` as `resealProvider` does. */
export async function resealTenant(
  tenantId: string,
  record: StoredTenant,
  masterKeys: MasterKeys,
): Promise<StoredTenant> {
  const destinations = await Promise.all(
    record.tracing.destinations.map(async (destination) => {
      const audience = audienceOfDestination(destination);
      const owner = { tenantId, kind: "destination.header", name: destination.name, audience } as const;
      return { ...destination, headers: await resealHeaders(destination.headers, owner, masterKeys) };
    }),
  );
  const { webhook } = record.alerts ?? {};
  const secret = webhook && (await reseal(webhook.secret, webhookPlace(tenantId, webhook.url), masterKeys));
  return {
    ...record,
    ...(webhook && secret && { alerts: { webhook: { ...webhook, secret } } }),
    tracing: { ...record.tracing, destinations },
  };
}

async function resealHeaders(
  headers: Readonly<Record<string, SealedSecret>>,
  owner: SecretPlace,
  masterKeys: MasterKeys,
): Promise<Record<string, SealedSecret>> {
  const entries = await Promise.all(
    Object.entries(headers).map(async ([header, secret]) => {
      const place = { ...owner, name: `${owner.name}/${header}` };
      return [header, await reseal(secret, place, masterKeys)] as const;
    }),
  );
  return Object.fromEntries(entries);
}

async function reseal(
  { sealed, masked }: SealedSecret,
  place: SecretPlace,
  masterKeys: MasterKeys,
): Promise<SealedSecret> {
  const text = await openSecret(sealed, place, masterKeys);
  return { sealed: await sealSecret(text, place, masterKeys), masked };
}
