/** Which client an address stands for where failures are counted. Pure. */

const GROUPS = 8;
const NETWORK_GROUPS = 4;

/**
 * An IPv4 address as it is; of an IPv6 address the first 64 bits, which one client has all addresses of (RFC 6177). A text
 * that is neither counts as it is, up to a length that can be kept.
 */
export function clientNetwork(address: string): string {
  const text = address.slice(0, 64).toLowerCase();
  if (!text.includes(":") || text.includes(".")) return text;
  const [head = "", tail] = text.split("::", 2);
  const [left, right] = [head, tail ?? ""].map((part) => (part === "" ? [] : part.split(":")));
  const missing = tail === undefined ? 0 : GROUPS - (left?.length ?? 0) - (right?.length ?? 0);
  const groups = [
    ...(left ?? []),
    ...Array.from({ length: Math.max(0, missing) }, () => "0"),
    ...(right ?? []),
  ];
  return `${groups
    .slice(0, NETWORK_GROUPS)
    .map((group) => group.replace(/^0{1,3}(?=.)/, ""))
    .join(":")}::/64`;
}
