/**
 * The name of the directory's object, of the KV entries of the TENANTS namespace, and of the marks in the directory's
 * outbox: src/storage.md.
 */

/** There is one directory. */
export const DIRECTORY_NAME = "directory";

export const TENANT_PREFIX = "tenant/";
export const KEY_PREFIX = "key/";
export const QUEUE_PREFIX = "queue/";

/** Holds the TenantBundle. */
export function tenantEntry(tenantId: string): string {
  return TENANT_PREFIX + tenantId;
}

/** Holds the KeyPointer of a key's SHA-256 in hex. */
export function keyEntry(hash: string): string {
  return KEY_PREFIX + hash;
}

/** Only in the outbox: the tenant's queue object. */
export function queueMark(tenantId: string): string {
  return QUEUE_PREFIX + tenantId;
}
