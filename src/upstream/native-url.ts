/**
 * The URL of a path of a vendor's own API: always below the account's base URL, however the path is encoded. Pure.
 */

import { GatewayError } from "../errors.ts";
import { leavesBase } from "../runtime/safe-names.ts";

/**
 * The path after the base URL's own, with one slash between them; the base's query stays, `search` follows it. A version
 * that both name (`/v1`) appears once. Throws `invalid_request` for a path that leaves its base.
 */
export function nativeUrl(baseUrl: string, path: string, search = ""): string {
  if (/[?#]/.test(path) || leavesBase(path))
    throw new GatewayError(
      "invalid_request",
      "The path must not contain '?', '#', or the segments '.' and '..', in any encoding.",
      { param: "path" },
    );
  const base = new URL(baseUrl);
  const root = base.pathname.replace(/(?<!\/)\/+$/, "");
  const version = /\/(v\d[^/]*)$/.exec(root)?.[1];
  const rest = path.replace(/^\/+/, "");
  const behind =
    version !== undefined && rest.startsWith(`${version}/`) ? rest.slice(version.length + 1) : rest;
  const query = [base.search.slice(1), search.replace(/^\?/, "")].filter((part) => part !== "").join("&");
  return `${base.origin}${root}/${behind}${query === "" ? "" : `?${query}`}`;
}
