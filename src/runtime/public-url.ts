/**
 * The one guard for addresses: upstreams and trace destinations. When deployed they must be https and public, or the
 * gateway would be a way into its operator's network (SSRF). Checked when a record is written and again on the final URL
 * of each upstream call; redirects are never followed. It can't see a public name that resolves to a private address: a
 * Worker doesn't resolve names itself.
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
  if (url.username !== "" || url.password !== "") return "must not contain a user name or password";
  if (url.hash !== "") return "must not contain a fragment";
  if (DOT_SEGMENT.test(pathOf(text)))
    return "must not contain the path segments '.' and '..', in any encoding";
  if (options.allowPrivate) return undefined;
  if (url.protocol !== "https:") return "must be https";
  if (isPrivateHost(url.hostname)) return "must be a public address";
  if (url.port !== "" && Number(url.port) <= MAX_SYSTEM_PORT) return "must use port 443, or one above 1023";
  return undefined;
}

/** Below it are mail, shells and other services that never serve a model API (RFC 6335, section 6). */
const MAX_SYSTEM_PORT = 1023;

/** What URL parsers resolve as a step within or out of a path (WHATWG URL, "double-dot URL path segment"). */
const DOT_SEGMENT = /[\\/](?:\.|%2e){1,2}(?:[;\\/]|$)/i;

/** As it was written: parsing would have resolved its dot segments. */
function pathOf(url: string): string {
  return url.replace(/[?#].*$/s, "");
}

/** Names that never mean the public internet: RFC 6761, RFC 6762, RFC 8375, RFC 9476, clusters' and companies' own. */
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
  "svc",
  "cluster",
  "corp",
  "home",
  "intra",
  "intranet",
  "private",
  "alt",
  "consul",
  "default",
  "dhcp",
  "docker",
  "domain",
  "k8s",
  "kube",
  "mail",
  "mesh",
  "workgroup",
  // Private networks with public names, and public services that resolve names to any address.
  "ts.net",
  "nip.io",
  "sslip.io",
  "xip.io",
  "localtest.me",
  "lvh.me",
  "1u.ms",
  "rbndr.us",
  "traefik.me",
  "vcap.me",
].map((suffix) => `.${suffix}`);

function isPrivateHost(hostname: string): boolean {
  const host = hostname.toLowerCase().replace(/(?<!\.)\.+$/, "");
  // IPv6 is in brackets. A literal of either family is refused: no vendor is called by number.
  if (host.startsWith("[")) return true;
  // The URL parser has already turned 0x7f.1, 2130706433 and the like into four decimal parts.
  if (/^\d+\.\d+\.\d+\.\d+$/.test(host)) return true;
  if (!host.includes(".")) return true;
  const dotted = `.${host}`;
  return PRIVATE_SUFFIXES.some((suffix) => dotted.endsWith(suffix));
}
