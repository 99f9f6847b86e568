/**
 * Which headers are forwarded between a client and a vendor's own API: all but those of a single connection, of the
 * gateway, and of the proxies in front of it. Pure. Headers of translated calls are the wires' own.
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

/** Trace context is forwarded only where the account says so. */
const OF_THE_GATEWAY = ["traceparent", "tracestate", "baggage", "origin", "referer"];

const BLOCKED: ReadonlySet<string> = new Set([...OF_ONE_CONNECTION, ...CREDENTIALS, ...OF_THE_GATEWAY]);
const BLOCKED_PREFIXES = /^(x-headgate-|cf-|x-forwarded-|x-real-ip|forwarded|true-client-ip|sec-)/;

/** The client's headers that the vendor gets, by their lower-case names. */
export function headersToVendor(headers: Headers): Record<string, string> {
  const named = namedByConnection(headers);
  const passed: Record<string, string> = {};
  for (const [name, value] of headers) {
    if (BLOCKED.has(name) || BLOCKED_PREFIXES.test(name) || named.has(name)) continue;
    passed[name] = value;
  }
  return passed;
}

/** Response headers about the vendor's own connection, site or session. */
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

/** The vendor's response headers that the client gets; the gateway's own are set over them. */
export function headersToClient(headers: Headers): Record<string, string> {
  const named = namedByConnection(headers);
  const passed: Record<string, string> = {};
  for (const [name, value] of headers) {
    if (OF_THE_VENDOR.has(name) || OF_THE_VENDOR_PREFIXES.test(name) || named.has(name)) continue;
    passed[name] = value;
  }
  return passed;
}

/** A `connection` header names further headers of that connection. */
function namedByConnection(headers: Headers): ReadonlySet<string> {
  const value = headers.get("connection") ?? "";
  return new Set(value.split(",").map((name) => name.trim().toLowerCase()));
}
