/**
 * Records as the admin API shows them (src/docs/admin-api.md, JSON shapes): secrets as masks, hashes left out. Pure. A view that
 * is sent back with PUT writes the same record again.
 */

import type {
  DestinationWith,
  KeyInput,
  KeyRecord,
  ProviderRecord,
  ProviderWith,
  SealedSecret,
  StoredTenant,
  TenantWith,
} from "./records.ts";
import { clampLimits, effectiveLimits, type LimitRules, NO_LIMIT_RULES } from "./limit-rules.ts";
import type { LimitsRecord } from "./limits-record.ts";
import type { RouteRecord } from "./route-record.ts";

export interface TenantView extends TenantWith<string> {
  readonly id: string;
  /** The limits in force, where the deployment has defaults or ceilings. */
  readonly effectiveLimits?: LimitsRecord;
}
export interface ProviderView extends ProviderWith<string> {
  readonly name: string;
}
export interface RouteView extends RouteRecord {
  readonly name: string;
}
export interface KeyView extends KeyInput {
  readonly id: string;
  readonly createdAt: string;
  /** To the minute; null for a key that was not used recently. */
  readonly lastUsedAt: string | null;
}

/** Its own limits are shown as far as the ceilings let them be in force. */
export function viewTenant(
  id: string,
  record: StoredTenant,
  limitRules: LimitRules = NO_LIMIT_RULES,
): TenantView {
  const destinations = record.tracing.destinations.map((destination): DestinationWith<string> => ({
    ...destination,
    headers: maskHeaders(destination.headers),
  }));
  const { alerts, ...rest } = record;
  return {
    id,
    ...rest,
    ...(alerts !== undefined && {
      alerts: { webhook: { ...alerts.webhook, secret: alerts.webhook.secret.masked } },
    }),
    limits: clampLimits(record.limits, limitRules),
    ...(limitRules.id !== undefined && { effectiveLimits: effectiveLimits(record.limits, limitRules) }),
    tracing: { ...record.tracing, destinations },
  };
}

export function viewProvider(name: string, record: ProviderRecord): ProviderView {
  const { apiKey, headers, ...rest } = record;
  return {
    name,
    ...rest,
    ...(apiKey !== undefined && { apiKey: apiKey.masked }),
    headers: maskHeaders(headers),
  };
}

export function viewRoute(name: string, record: RouteRecord): RouteView {
  return { name, ...record };
}

/** `usedAtMs`: ms since the epoch, from the tenant's queue object. Its limits are shown as a tenant's are. */
export function viewKey(
  record: KeyRecord,
  limitRules: LimitRules = NO_LIMIT_RULES,
  usedAtMs?: number,
): KeyView {
  const { hash: _hash, previous: _previous, status = "active", limits, ...shown } = record;
  return {
    ...shown,
    ...(limits !== undefined && { limits: clampLimits(limits, limitRules) }),
    status,
    lastUsedAt: usedAtMs === undefined ? null : new Date(usedAtMs).toISOString(),
  };
}

function maskHeaders(headers: Readonly<Record<string, SealedSecret>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, { masked }]) => [name, masked]));
}
