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

/**
 * The name of an object that one tenant has and no later one of its name gets: `acme`, `acme~1`. Names of tenants have no `~`.
 */
export function generationObject(tenantId: string, generation = 0): string {
  return generation === 0 ? tenantId : `${tenantId}~${generation}`;
}

/** The object of a flight: those of a generation are spread over sixteen by the first hex digit of their key. */
export function flightObject(owner: string, key: string): string {
  return `${owner}/${key.slice(0, 1)}`;
}

/** All sixteen. */
export function flightObjects(owner: string): readonly string[] {
  return [..."0123456789abcdef"].map((digit) => flightObject(owner, digit));
}
