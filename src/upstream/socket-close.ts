/**
 * Close codes and reasons of WebSockets by RFC 6455 §7.4: which codes may be forwarded, which are an orderly end, and
 * reasons that fit into a close frame. Pure.
 */

/** The close frame had no code. Never sent: it means the absence of one. */
export const NO_CODE = 1005;
/** There was no close frame: the connection failed. Never sent. */
export const BROKEN = 1006;

export const CLOSE = {
  normal: 1000,
  goingAway: 1001,
  policyViolation: 1008,
  internalError: 1011,
  tryAgainLater: 1013,
} as const;

/** Codes that an endpoint must not send (RFC 6455 §7.4.2): also 1004, and 1015 for a failed TLS handshake. */
const UNSENDABLE: ReadonlySet<number> = new Set([1004, NO_CODE, BROKEN, 1015]);
const MIN_CODE = 1000;
const MAX_CODE = 4999;

/** Whether a peer's close code may be forwarded to the other one. */
export function isSendable(code: number): boolean {
  return code >= MIN_CODE && code <= MAX_CODE && !UNSENDABLE.has(code);
}

/** Whether an upstream that closes with it reports no fault. 1001 also ends the longest session that an upstream allows. */
export function isOrderly(code: number): boolean {
  return code === CLOSE.normal || code === CLOSE.goingAway || code === NO_CODE;
}

/** A close frame holds 125 bytes, two of them the code. */
const MAX_REASON_BYTES = 123;

/** As much of a text as a close frame holds, cut between characters. */
export function fitReason(text: string): string {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(MAX_REASON_BYTES));
  return text.slice(0, read);
}
