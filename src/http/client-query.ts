/** The query of a request, as a vendor may get it. */

import { isWellFormed } from "../tenants/key-format.ts";

/** Google's clients may send the gateway key as `key`, others by mistake under another name: the vendor must not get it. */
export function withoutKey(params: URLSearchParams, search: string): string {
  const names = [...params]
    .filter(([name, value]) => name === "key" || isWellFormed(value))
    .map(([name]) => name);
  if (names.length === 0) return search;
  for (const name of names) params.delete(name);
  return params.toString();
}
