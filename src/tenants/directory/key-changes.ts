/**
 * The directory's changes of gateway keys: the record, and the pointers from its hashes. Synchronous SQL; the caller runs
 * each inside one transaction and notes it in the audit.
 */

import { keyEntry } from "../storage-keys.ts";
import type { KeyInput, KeyRecord } from "../records/records.ts";
import type { Versioned } from "./directory-api.ts";
import type { DirectoryStore } from "./directory-store.ts";
import type { KeyPointers } from "./key-pointers.ts";
import type { PublishOutbox } from "./publish-outbox.ts";

/** `now` is ms since the epoch. */
export function createKeyChanges(
  store: DirectoryStore,
  pointers: KeyPointers,
  outbox: Pick<PublishOutbox, "mark">,
  now: () => number,
) {
  function writePointer(hash: string, tenantId: string, keyId: string, validUntil: number | null): void {
    pointers.write(hash, { tenantId, keyId, validUntil });
    outbox.mark(keyEntry(hash));
  }

  /** Of one key, or of all keys of a tenant. */
  function erasePointers(tenantId: string, keyId?: string): void {
    for (const hash of pointers.hashesOf(tenantId, keyId)) {
      pointers.erase(hash);
      outbox.mark(keyEntry(hash));
    }
  }

  return {
    erasePointers,

    /** Throws `conflict` where the tenant has as many keys as it can have. */
    add(tenantId: string, record: KeyRecord): KeyRecord {
      store.checkKeyCount(tenantId);
      store.writeRecord(tenantId, "key", record.id, store.nextVersion(tenantId), record);
      writePointer(record.hash, tenantId, record.id, null);
      return record;
    },

    /** `before` with other rights; the key itself, and one that is rotated out, stay. */
    replace(tenantId: string, before: KeyRecord, input: KeyInput): Versioned<KeyRecord> {
      const { id, hash, previous, createdAt } = before;
      const value: KeyRecord = { ...input, id, hash, ...(previous !== undefined && { previous }), createdAt };
      const revision = store.nextVersion(tenantId);
      store.writeRecord(tenantId, "key", id, revision, value);
      return { value, revision };
    },

    /** `before` with a new hash; the old one stays valid for `overlapMs`. */
    rotate(tenantId: string, before: KeyRecord, hash: string, overlapMs: number): KeyRecord {
      const { previous: _ended, ...kept } = before;
      const previous = { hash: before.hash, validUntil: now() + overlapMs };
      const record: KeyRecord = { ...kept, hash, ...(overlapMs > 0 && { previous }) };
      store.writeRecord(tenantId, "key", record.id, store.nextVersion(tenantId), record);
      erasePointers(tenantId, record.id);
      if (overlapMs > 0) writePointer(before.hash, tenantId, record.id, previous.validUntil);
      writePointer(hash, tenantId, record.id, null);
      return record;
    },
  };
}
