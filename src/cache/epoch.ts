/**
 * Whether a tenant's cache was purged since this isolate read its records. A hit makes no other call, so without this a
 * purge would be noticed only when the records are read next, after up to half a minute. Plain data, bounded.
 */

import { createBoundedMap } from "../runtime/bounded-map.ts";
import type { TenantBundle } from "../tenants/records/records.ts";

/**
 * An isolate checks at most this often, in parallel with its look-up. A purge answers only after the same time, so once it
 * has answered, no isolate serves an older entry.
 */
export const EPOCH_CHECK_MS = 1_000;
const MAX_TENANTS = 2_000;

export interface EpochPorts {
  /** The newest version of the tenant's records, as their queue object knows it; rejects where that is unreachable. */
  readonly versionOf: (tenantId: string) => Promise<number>;
  /** The tenant's records of that version or a newer one. */
  readonly reload: (tenantId: string, version: number) => Promise<TenantBundle | undefined>;
  /** ms since the epoch. */
  readonly now: () => number;
}

/** The epoch in force: the bundle's own, or a newer one. */
export type ConfirmEpoch = (bundle: TenantBundle) => Promise<number>;

export function createEpochCheck({ versionOf, reload, now }: EpochPorts): ConfirmEpoch {
  const checkedAt = createBoundedMap<string, number>(MAX_TENANTS);
  return async (bundle) => {
    const at = now();
    if (at - (checkedAt.get(bundle.id) ?? -Infinity) < EPOCH_CHECK_MS) return bundle.cacheEpoch;
    try {
      const version = await versionOf(bundle.id);
      checkedAt.set(bundle.id, at);
      if (version <= bundle.version) return bundle.cacheEpoch;
      return (await reload(bundle.id, version))?.cacheEpoch ?? bundle.cacheEpoch;
    } catch {
      // The records' own time limit still holds.
      return bundle.cacheEpoch;
    }
  };
}
