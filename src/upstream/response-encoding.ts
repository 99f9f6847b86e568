/** Upstream bodies in a content-encoding that the platform does not decode: refused by name, since their bytes would read as garbage. */

import { GatewayError } from "../errors.ts";

/** What `fetch` decodes by itself: https://developers.cloudflare.com/workers/runtime-apis/fetch/ (tried in workerd, 2026-11). */
const DECODED: ReadonlySet<string> = new Set(["", "identity", "gzip", "x-gzip", "br"]);

/** The fault of a response whose body can't be read; undefined for all others. */
export function encodingFault({ headers }: Response, name: string): GatewayError | undefined {
  const said = headers.get("content-encoding");
  if (said === null || DECODED.has(said.trim().toLowerCase())) return undefined;
  const encoding = said.trim().slice(0, 64);
  const message = `'${name}' answered with the content-encoding '${encoding}', which can't be decoded here.`;
  return new GatewayError("upstream_malformed", message);
}
