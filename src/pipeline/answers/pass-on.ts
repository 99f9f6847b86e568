/**
 * A shared stream on its way to one client, natively: no JavaScript on the path of its bytes, and an end that is
 * reported.
 */

import { closeClient } from "../../upstream/stream.ts";

/** `failed`: the stream itself has said so to the client. */
export type PassEnd = "complete" | "failed" | "left";

/**
 * `errorEvent` is what the client is sent where the stream breaks off; `hasFailed` says whether a stream that has ended has
 * a failure in its bytes.
 */
export function passOn(
  source: ReadableStream<Uint8Array>,
  errorEvent: string,
  hasFailed: () => Promise<boolean>,
): { readonly body: ReadableStream<Uint8Array>; readonly end: Promise<PassEnd> } {
  const { readable, writable } = new IdentityTransformStream();
  return { body: readable, end: follow(source, writable, errorEvent, hasFailed) };
}

/** Never rejects. */
async function follow(
  source: ReadableStream<Uint8Array>,
  writable: WritableStream<Uint8Array>,
  errorEvent: string,
  hasFailed: () => Promise<boolean>,
): Promise<PassEnd> {
  try {
    await source.pipeTo(writable, { preventAbort: true });
  } catch {
    // Where the client left, nothing more can be written.
    const last = errorEvent === "" ? undefined : `\n\n${errorEvent}`;
    return (await closeClient(writable.getWriter(), last)) ? "failed" : "left";
  }
  // Where the object is unavailable, the stream's clean end is all that is known.
  return (await hasFailed().catch(() => false)) ? "failed" : "complete";
}
