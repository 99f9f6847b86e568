/**
 * Secrets in records that are being written: given ones are sealed, masks that were sent back keep the stored ones. The
 * Worker that took the request seals, so the directory never sees a secret in the clear.
 */

import { GatewayError } from "../../errors.ts";
import type { AlertsWith } from "./alerts-record.ts";
import { audienceOfDestination, audienceOfProvider, audienceOfWebhook } from "./audience.ts";
import { isMask, type MasterKeys, maskSecret, sealSecret, type SecretPlace } from "./sealing.ts";
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
  masterKeys: MasterKeys,
): Promise<ProviderWith<IncomingSecret>> {
  const { apiKey, headers, ...rest } = input;
  const owner = { tenantId, kind: "provider.header", name, audience: audienceOfProvider(input) } as const;
  return {
    ...rest,
    ...(apiKey !== undefined && {
      apiKey: await seal(apiKey, { ...owner, kind: "provider.apiKey" }, masterKeys),
    }),
    headers: await sealHeaders(headers, owner, masterKeys),
  };
}

/** A tenant with each given header value of its trace destinations sealed. */
export async function sealTenant(
  tenantId: string,
  record: TenantRecord,
  masterKeys: MasterKeys,
): Promise<TenantWith<IncomingSecret>> {
  const destinations = await Promise.all(
    record.tracing.destinations.map(async (destination) => ({
      ...destination,
      headers: await sealHeaders(
        destination.headers,
        {
          tenantId,
          kind: "destination.header",
          name: destination.name,
          audience: audienceOfDestination(destination),
        },
        masterKeys,
      ),
    })),
  );
  const { alerts, ...rest } = record;
  return {
    ...rest,
    ...(alerts !== undefined && {
      alerts: { webhook: await sealWebhook(tenantId, alerts.webhook, masterKeys) },
    }),
    tracing: { ...record.tracing, destinations },
  };
}

async function sealWebhook(
  tenantId: string,
  { secret, ...rest }: AlertsWith<string>["webhook"],
  masterKeys: MasterKeys,
) {
  return { ...rest, secret: await seal(secret, webhookPlace(tenantId, rest.url), masterKeys) };
}

/** The provider to store: each mask becomes the stored secret. Throws `invalid_request` for a mask without one. */
export function keepProviderSecrets(
  incoming: ProviderWith<IncomingSecret>,
  stored: ProviderRecord | undefined,
): ProviderRecord {
  const { apiKey, headers, ...rest } = incoming;
  const isMoved = stored !== undefined && audienceOfProvider(stored) !== audienceOfProvider(incoming);
  return {
    ...rest,
    ...(apiKey !== undefined && { apiKey: keep(apiKey, stored?.apiKey, "apiKey", isMoved) }),
    headers: keepHeaders(headers, stored?.headers, "headers", isMoved),
  };
}

/** The tenant to store; destinations are matched by name. */
export function keepTenantSecrets(
  incoming: TenantWith<IncomingSecret>,
  stored: StoredTenant | undefined,
): StoredTenant {
  const before = new Map(stored?.tracing.destinations.map((destination) => [destination.name, destination]));
  const destinations = incoming.tracing.destinations.map((destination, at) => {
    const known = before.get(destination.name);
    const isMoved =
      known !== undefined && audienceOfDestination(known) !== audienceOfDestination(destination);
    const param = `tracing.destinations[${at}].headers`;
    return { ...destination, headers: keepHeaders(destination.headers, known?.headers, param, isMoved) };
  });
  const { alerts, ...rest } = incoming;
  return {
    ...rest,
    ...(alerts !== undefined && {
      alerts: { webhook: keepWebhook(alerts.webhook, stored?.alerts?.webhook) },
    }),
    tracing: { ...incoming.tracing, destinations },
  };
}

type WebhookWith<Secret> = AlertsWith<Secret>["webhook"];

function keepWebhook(
  { secret, ...rest }: WebhookWith<IncomingSecret>,
  stored: WebhookWith<SealedSecret> | undefined,
): WebhookWith<SealedSecret> {
  const isMoved = stored !== undefined && audienceOfWebhook(stored) !== audienceOfWebhook(rest);
  return { ...rest, secret: keep(secret, stored?.secret, "alerts.webhook.secret", isMoved) };
}

/** Where a webhook's secret belongs. */
export function webhookPlace(tenantId: string, url: string): SecretPlace {
  return { tenantId, kind: "webhook.secret", name: "webhook", audience: audienceOfWebhook({ url }) };
}

async function seal(text: string, place: SecretPlace, masterKeys: MasterKeys): Promise<IncomingSecret> {
  if (isMask(text)) return { masked: text };
  return { sealed: await sealSecret(text, place, masterKeys), masked: maskSecret(text) };
}

async function sealHeaders(
  headers: Readonly<Record<string, string>>,
  owner: SecretPlace,
  masterKeys: MasterKeys,
): Promise<Record<string, IncomingSecret>> {
  const entries = await Promise.all(
    Object.entries(headers).map(async ([anyCase, value]) => {
      const header = anyCase.toLowerCase();
      return [header, await seal(value, { ...owner, name: `${owner.name}/${header}` }, masterKeys)] as const;
    }),
  );
  return Object.fromEntries(entries);
}

function keepHeaders(
  incoming: Readonly<Record<string, IncomingSecret>>,
  stored: Readonly<Record<string, SealedSecret>> | undefined,
  param: string,
  isMoved: boolean,
): Record<string, SealedSecret> {
  const before = new Map(Object.entries(stored ?? {}));
  return Object.fromEntries(
    Object.entries(incoming).map(([name, secret]) => [
      name,
      keep(secret, before.get(name), `${param}.${name}`, isMoved),
    ]),
  );
}

/** A mask is good only for the service that the secret was given for: anywhere else it would hand the secret over. */
function keep(
  incoming: IncomingSecret,
  stored: SealedSecret | undefined,
  param: string,
  isMoved: boolean,
): SealedSecret {
  const { sealed, masked } = incoming;
  if (sealed !== undefined) return { sealed, masked };
  const isKnown = stored?.masked === masked;
  if (isKnown && !isMoved) return stored;
  const fault = isKnown
    ? "is a mask, and the kind or the address of the record has changed"
    : "is a mask, but there is no stored secret with this mask";
  throw new GatewayError("invalid_request", `${param}: ${fault}. Send the secret again.`, { param });
}
