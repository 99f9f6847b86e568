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

/** The object of a flight: a tenant's are spread over sixteen by the first hex digit of their key. */
export function flightObject(tenantId: string, key: string): string {
  return `${tenantId}/${key.slice(0, 1)}`;
}

/** All sixteen. */
export function flightObjects(tenantId: string): readonly string[] {
  return [..."0123456789abcdef"].map((digit) => flightObject(tenantId, digit));
}
