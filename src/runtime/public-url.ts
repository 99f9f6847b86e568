/**
 * The one guard for addresses that a record names: upstreams and trace destinations. When deployed they must be https
 * and public, or the gateway would be a way into its operator's network (SSRF). Checked when a record is written and
 * again before each call; redirects are never followed. What it can't see is a public name that resolves to a private
 * address: a Worker resolves no names itself.
 */

/** Why a URL may not be called, or undefined when it may. */
export function refuseUrl(text: string, options: { readonly allowPrivate: boolean }): string | undefined {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return "is not a URL";
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") return "must be an http(s) URL";
  if (url.username !== "" || url.password !== "") return "must hold no user name or password";
  if (url.hash !== "") return "must hold no fragment";
  if (options.allowPrivate) return undefined;
  if (url.protocol !== "https:") return "must be https";
  if (isPrivateHost(url.hostname)) return "must be a public address";
  return undefined;
}

/** Names that never mean the public internet: RFC 6761, RFC 6762, RFC 8375, and clusters' own. */
const PRIVATE_SUFFIXES = [
  "localhost",
  "local",
  "localdomain",
  "internal",
  "home.arpa",
  "lan",
  "test",
  "invalid",
  "onion",
];

function isPrivateHost(hostname: string): boolean {
  const host = hostname.toLowerCase().replace(/\.+$/, "");
  // IPv6 stands in brackets. A literal of either family is refused: no vendor is reached by number.
  if (host.startsWith("[")) return true;
  // The URL parser has already turned 0x7f.1, 2130706433 and the like into four decimal parts.
  if (/^\d+\.\d+\.\d+\.\d+$/.test(host)) return true;
  if (!host.includes(".")) return true;
  return PRIVATE_SUFFIXES.some((suffix) => host === suffix || host.endsWith(`.${suffix}`));
}
