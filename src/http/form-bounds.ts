/** How many parts a form may have: each costs a parser as much as a small request does. Pure. */

import { GatewayError } from "../errors.ts";

/** Fields and files. */
export const MAX_FORM_PARTS = 100;

/** RFC 2046, section 5.1.1. */
const BOUNDARY = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i;
const LINE_FEED = 0x0a;

/** Throws `invalid_request` for a form of more parts. One without a boundary passes: its parser refuses it. */
export function checkFormBounds(bytes: Uint8Array, contentType: string): void {
  const [, quoted, plain] = BOUNDARY.exec(contentType) ?? [];
  const boundary = quoted ?? plain;
  if (boundary === undefined) return;
  const delimiter = new TextEncoder().encode(`--${boundary}`);
  // The last delimiter ends the form and opens no part.
  let parts = -1;
  let at = 0;
  do {
    if (startsWith(bytes, delimiter, at)) parts += 1;
    if (parts > MAX_FORM_PARTS) throw tooMany();
    at = bytes.indexOf(LINE_FEED, at) + 1;
  } while (at !== 0);
}

function startsWith(bytes: Uint8Array, wanted: Uint8Array, from: number): boolean {
  for (let at = 0; at < wanted.length; at += 1) if (bytes[from + at] !== wanted[at]) return false;
  return true;
}

function tooMany(): GatewayError {
  return new GatewayError(
    "invalid_request",
    `The form has more than ${MAX_FORM_PARTS} parts, the most that is read. Send less in one request.`,
    { param: "body" },
  );
}
