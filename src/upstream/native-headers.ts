/**
 * Which headers pass between a client and a vendor's own API: all but those that belong to one connection, to the gateway,
 * or to whoever stands in front of it. Pure. Called by pipeline/operations/proxy.ts.
 */

/** https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1, and what the runtime writes itself. */
const OF_ONE_CONNECTION = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "host",
  "expect",
  "content-length",
  "accept-encoding",
  "content-encoding",
];

/** The client's keys, and what would bill another account of the vendor's than the one whose key is used. */
const CREDENTIALS = [
  "authorization",
  "x-api-key",
  "x-goog-api-key",
  "x-goog-user-project",
  "api-key",
  "cookie",
  "openai-organization",
  "openai-project",
];

/** Tracing goes on only where the account says so. */
const OF_THE_GATEWAY = ["traceparent", "tracestate", "baggage", "origin", "referer"];

const KEPT_BACK: ReadonlySet<string> = new Set([...OF_ONE_CONNECTION, ...CREDENTIALS, ...OF_THE_GATEWAY]);
const KEPT_BACK_PREFIXES = /^(x-headgate-|cf-|x-forwarded-|x-real-ip|forwarded|true-client-ip|sec-)/;

/** What the vendor gets of the client's headers, in lower case. */
export function headersToVendor(headers: Headers): Record<string, string> {
  const named = namedByConnection(headers);
  const passed: Record<string, string> = {};
  for (const [name, value] of headers) {
    if (KEPT_BACK.has(name) || KEPT_BACK_PREFIXES.test(name) || named.has(name)) continue;
    passed[name] = value;
  }
  return passed;
}

/** What of an answer speaks of the vendor's own connection, site or session. */
const OF_THE_VENDOR: ReadonlySet<string> = new Set([
  ...OF_ONE_CONNECTION,
  "set-cookie",
  "alt-svc",
  "nel",
  "report-to",
  "reporting-endpoints",
  "strict-transport-security",
  "server",
  "via",
]);
const OF_THE_VENDOR_PREFIXES = /^(access-control-|cf-|x-headgate-)/;

/** What the client gets of the vendor's. Ours are written over them. */
export function headersToClient(headers: Headers): Record<string, string> {
  const named = namedByConnection(headers);
  const passed: Record<string, string> = {};
  for (const [name, value] of headers) {
    if (OF_THE_VENDOR.has(name) || OF_THE_VENDOR_PREFIXES.test(name) || named.has(name)) continue;
    passed[name] = value;
  }
  return passed;
}

/** A `connection` header names others of its kind. */
function namedByConnection(headers: Headers): ReadonlySet<string> {
  const value = headers.get("connection") ?? "";
  return new Set(value.split(",").map((name) => name.trim().toLowerCase()));
}
