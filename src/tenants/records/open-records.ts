/**
 * Sealed records opened for use: a provider's account for an attempt, the trace destinations for an export. Opened ones
 * are kept for as long as the isolate's copy of the record.
 */

import { GatewayError } from "../../errors.ts";
import type { ProviderAccount } from "../../wires/upstream-wire.ts";
import { refuseUrl } from "../../runtime/public-url.ts";
import type { DeploymentRules } from "./parse-record.ts";
import { audienceOfDestination, audienceOfProvider } from "./audience.ts";
import { webhookPlace } from "./seal-records.ts";
import { type MasterKeys, openSecret, type SecretPlace } from "./sealing.ts";
import type { DestinationWith, ProviderRecord, SealedSecret, StoredTenant, TenantBundle } from "./records.ts";

/** A trace destination that can be called. */
export type OpenDestination = DestinationWith<string>;

/** One whose credential can't be opened: its traces count as dropped, the others are sent. */
export interface ClosedDestination {
  readonly name: string;
  readonly fault: "credential";
}

export interface RecordOpener {
  /**
   * Throws `model_not_found` for an unknown provider, `unavailable` for a credential that can't be opened or an address
   * that the deployment does not allow.
   */
  openProvider(bundle: TenantBundle, name: string): Promise<ProviderAccount>;
  openDestinations(bundle: TenantBundle): Promise<readonly (OpenDestination | ClosedDestination)[]>;
}

/** One for an isolate. */
export function createRecordOpener(masterKeys: MasterKeys, rules: DeploymentRules): RecordOpener {
  // Keyed by the record: a new copy of the tenant has new records, and the old secrets are collected.
  const accounts = new WeakMap<ProviderRecord, ProviderAccount>();
  const destinations = new WeakMap<StoredTenant, readonly (OpenDestination | ClosedDestination)[]>();

  return {
    async openProvider(bundle, name) {
      // Own members only: `constructor` is a valid name.
      const record = Object.hasOwn(bundle.providers, name) ? bundle.providers[name] : undefined;
      if (record === undefined) {
        throw new GatewayError("model_not_found", `The tenant has no provider "${name}".`, {
          param: "model",
        });
      }
      const known = accounts.get(record);
      if (known !== undefined) return known;
      checkAddress(name, record, rules);
      const audience = audienceOfProvider(record);
      const place = { tenantId: bundle.id, kind: "provider.apiKey", name, audience } as const;
      const [apiKey, headers] = await Promise.all([
        record.apiKey === undefined ? undefined : openSecret(record.apiKey.sealed, place, masterKeys),
        openHeaders(record.headers, { ...place, kind: "provider.header" }, masterKeys),
      ]);
      const account: ProviderAccount = {
        name,
        kind: record.kind,
        baseUrl: record.baseUrl ?? rules.defaultBaseUrl(record.kind) ?? "",
        ...(apiKey !== undefined && { apiKey }),
        headers,
        options: record.options,
        propagateTrace: record.propagateTrace,
        ...(record.passthroughAuth === true && { passthroughAuth: true }),
        ...(record.scrubAnswers === true && { scrubAnswers: true }),
      };
      accounts.set(record, account);
      return account;
    },

    async openDestinations(bundle) {
      const known = destinations.get(bundle.tenant);
      if (known !== undefined) return known;
      const opened = await Promise.all(
        bundle.tenant.tracing.destinations.map((destination) =>
          openDestination(bundle.id, destination, masterKeys),
        ),
      );
      destinations.set(bundle.tenant, opened);
      return opened;
    },
  };
}

/** The secret that signs what the tenant's webhook gets. Throws `unavailable` where it can't be opened. */
export function openWebhookSecret(
  { id, tenant }: TenantBundle,
  masterKeys: MasterKeys,
): Promise<string> | undefined {
  const { webhook } = tenant.alerts ?? {};
  return webhook && openSecret(webhook.secret.sealed, webhookPlace(id, webhook.url), masterKeys);
}

/** The record was checked when it was written, but perhaps by a deployment that allowed more. */
function checkAddress(
  name: string,
  { kind, ...record }: ProviderRecord,
  { allowPrivateUpstreams: allowPrivate, defaultBaseUrl }: DeploymentRules,
): void {
  // The simulator runs in the Worker: its address names it, and is not called.
  if (kind === "sim") return;
  const baseUrl = record.baseUrl ?? defaultBaseUrl(kind);
  const refusal = baseUrl === undefined ? undefined : refuseUrl(baseUrl, { allowPrivate });
  if (refusal === undefined) return;
  throw new GatewayError("unavailable", `The base URL of "${name}" ${refusal}.`, { param: "model" });
}

async function openDestination(
  tenantId: string,
  destination: DestinationWith<SealedSecret>,
  masterKeys: MasterKeys,
): Promise<OpenDestination | ClosedDestination> {
  const { name } = destination;
  const audience = audienceOfDestination(destination);
  const place = { tenantId, kind: "destination.header", name, audience } as const;
  try {
    return { ...destination, headers: await openHeaders(destination.headers, place, masterKeys) };
  } catch {
    return { name, fault: "credential" };
  }
}

async function openHeaders(
  headers: Readonly<Record<string, SealedSecret>>,
  owner: SecretPlace,
  masterKeys: MasterKeys,
): Promise<Record<string, string>> {
  const entries = await Promise.all(
    Object.entries(headers).map(async ([header, { sealed }]) => {
      const place = { ...owner, name: `${owner.name}/${header}` };
      return [header, await openSecret(sealed, place, masterKeys)] as const;
    }),
  );
  return Object.fromEntries(entries);
}
