/**
 * Which headers are forwarded between a client and a vendor's own API: those that are named here and no others, so that
 * neither can change who is called, who pays, or what a browser does. Pure. Headers of translated calls are the wires' own.
 */

/** What describes a body or asks for a part of one (RFC 9110), and the vendors' versions of their API. */
const TO_EVERY_VENDOR: readonly string[] = [
  "accept",
  "accept-language",
  "content-disposition",
  "content-language",
  "content-type",
  "idempotency-key",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "range",
  "user-agent",
  "x-client-request-id",
  "anthropic-beta",
  "anthropic-version",
  "openai-beta",
];

/** By kind; `*` at the end is any ending. Sources: the vendors' API references, seen 2026-11. */
const TO_KIND: Readonly<Record<string, readonly string[]>> = {
  bedrock: ["x-amzn-bedrock-*"],
  cohere: ["x-client-name"],
  gemini: ["x-goog-api-client", "x-goog-upload-*"],
  "hugging-face": ["x-use-cache", "x-wait-for-model"],
  openrouter: ["http-referer", "x-title"],
  vertex: ["x-goog-api-client", "x-goog-upload-*"],
};

const TO_CLIENT: readonly string[] = [
  "accept-ranges",
  "content-disposition",
  "content-language",
  "content-range",
  "content-type",
  "etag",
  "last-modified",
  "openai-model",
  "openai-processing-ms",
  "openai-version",
  "retry-after",
  "retry-after-ms",
  "x-amzn-bedrock-*",
  "x-goog-upload-*",
  "x-should-retry",
];

/**
 * A vendor's answer is shown on the gateway's own origin: a browser must take it for the type that it says it is, and
 * run nothing of it.
 */
const FOR_BROWSERS = {
  "cache-control": "no-store",
  "content-security-policy": "sandbox; default-src 'none'",
  "x-content-type-options": "nosniff",
} as const;

/** The client's headers that a vendor of this kind gets, by their lower-case names. */
export function headersToVendor(headers: Headers, kind: string): Record<string, string> {
  return pick(headers, [TO_EVERY_VENDOR, Object.hasOwn(TO_KIND, kind) ? (TO_KIND[kind] ?? []) : []]);
}

/**
 * The vendor's response headers that the client gets; the gateway's own are set over them. None that holds one of the
 * account's secrets.
 */
export function headersToClient(
  headers: Headers,
  secrets: readonly string[] = [],
): Readonly<Record<string, string>> {
  const passed = pick(headers, [TO_CLIENT]);
  for (const [name, value] of Object.entries(passed)) {
    if (secrets.some((secret) => secret !== "" && value.includes(secret))) delete passed[name];
  }
  return { ...passed, ...FOR_BROWSERS };
}

function pick(headers: Headers, lists: readonly (readonly string[])[]): Record<string, string> {
  const picked: Record<string, string> = {};
  const named = namedByConnection(headers);
  for (const [name, value] of headers) {
    if (named.has(name)) continue;
    const isListed = (listed: string): boolean =>
      listed.endsWith("*") ? name.startsWith(listed.slice(0, -1)) : listed === name;
    if (lists.some((list) => list.some(isListed))) picked[name] = value;
  }
  return picked;
}

/** A `connection` header names further headers of that connection. */
function namedByConnection(headers: Headers): ReadonlySet<string> {
  const value = headers.get("connection") ?? "";
  return new Set(value.split(",").map((name) => name.trim().toLowerCase()));
}
