/**
 * JSON Merge Patch, RFC 7396: a member of null takes the target's away, an object goes deeper, anything else replaces.
 * Pure: neither argument is changed.
 */

/** The target with the patch laid over it. Own members only, so that `__proto__` is a name like any other. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isPlainObject(patch)) return patch;
  const merged = new Map(isPlainObject(target) ? Object.entries(target) : []);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) merged.delete(name);
    else merged.set(name, mergePatch(merged.get(name), value));
  }
  return Object.fromEntries(merged);
}

function isPlainObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
