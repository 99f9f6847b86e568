/**
 * Brings one target of the outbox up to date with the directory's tables: a KV entry, or a tenant's queue object. Reads
 * the tables when it sends, so a late send is never out of date.
 */

import type { QueueRpc } from "../../limits/protocol.ts";
import { withDeadline } from "../../runtime/waits.ts";
import type { KeyPointer } from "./directory-api.ts";
import type { DirectoryStore } from "./directory-store.ts";
import type { KeyPointers } from "./key-pointers.ts";
import { effectiveLimits, type LimitRules } from "../records/limit-rules.ts";
import { toQueueLimits } from "../records/queue-limits.ts";
import { KEY_PREFIX, keyEntry, QUEUE_PREFIX, TENANT_PREFIX, tenantEntry } from "../storage-keys.ts";

/** A write's answer waits this long at most for the queue object; after that the alarm retries. */
const PUSH_TIMEOUT_MS = 2000;
/** After this a KV write counts as failed and is retried. */
const KV_TIMEOUT_MS = 10_000;
/** KV refuses an `expiration` less than 60 s away; twice that allows for the time to get there. */
const MIN_EXPIRY_MS = 120_000;
const MS_PER_SECOND = 1000;

export interface PublisherDeps {
  readonly records: Pick<DirectoryStore, "getTenant" | "readBundle" | "version">;
  readonly pointers: Pick<KeyPointers, "find">;
  readonly kv: Pick<KVNamespace, "put" | "delete">;
  readonly queue: (tenantId: string) => Pick<QueueRpc, "configChanged">;
  readonly limitRules: LimitRules;
  readonly now: () => number;
}

/** The outbox's `send`: rejects where the target could not be reached in time. */
export function createPublisher({ records, pointers, kv, queue, limitRules, now }: PublisherDeps) {
  async function publishVersion(tenantId: string): Promise<void> {
    const tenant = records.getTenant(tenantId)?.value;
    const own = effectiveLimits(tenant?.limits ?? {}, limitRules);
    const limits = toQueueLimits(own, tenant?.budget, limitRules.id, tenant?.objectives);
    const published = queue(tenantId).configChanged(records.version(tenantId), limits);
    await withDeadline(published, PUSH_TIMEOUT_MS, "the queue object");
  }

  function publishBundle(tenantId: string): Promise<void> {
    const bundle = records.readBundle(tenantId);
    return bundle === undefined ? kv.delete(tenantEntry(tenantId)) : kv.put(tenantEntry(tenantId), bundle);
  }

  function publishPointer(hash: string): Promise<void> {
    const place = pointers.find(hash);
    if (place === undefined) return kv.delete(keyEntry(hash));
    const { tenantId, keyId, validUntil } = place;
    const pointer: KeyPointer = { tenantId, keyId };
    return kv.put(keyEntry(hash), JSON.stringify(pointer), expiry(validUntil));
  }

  function expiry(validUntil: number | null): KVNamespacePutOptions {
    if (validUntil === null) return {};
    return { expiration: Math.ceil(Math.max(validUntil, now() + MIN_EXPIRY_MS) / MS_PER_SECOND) };
  }

  return async (target: string): Promise<void> => {
    const subject = target.slice(target.indexOf("/") + 1);
    if (target.startsWith(QUEUE_PREFIX)) return publishVersion(subject);
    if (target.startsWith(TENANT_PREFIX)) return withDeadline(publishBundle(subject), KV_TIMEOUT_MS, "KV");
    if (target.startsWith(KEY_PREFIX)) return withDeadline(publishPointer(subject), KV_TIMEOUT_MS, "KV");
  };
}
