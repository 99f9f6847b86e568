/** Whether a presented key is one of the tenant's, today. Pure. */

import type { KeyRecord } from "./records/records.ts";

/** The key's record when its hash is the current one, or the one before a rotation within its overlap. */
export function findValidKey(
  keys: readonly KeyRecord[],
  keyId: string,
  hash: string,
  now: number,
): KeyRecord | undefined {
  const key = keys.find(({ id }) => id === keyId);
  if (!key) return undefined;
  if (key.expiresAt !== undefined && Date.parse(key.expiresAt) <= now) return undefined;
  const isCurrent = key.hash === hash;
  const isOverlapping = key.previous?.hash === hash && now < key.previous.validUntil;
  return isCurrent || isOverlapping ? key : undefined;
}
