/**
 * What a refused request has left unsent: a server that answers and closes while the client still sends resets the
 * connection, and the client never sees the answer. The rest is read and dropped, within limits (RFC 9112, section 9.6).
 */

import { orTimeout } from "../runtime/waits.ts";

const MAX_BYTES = 32 * 1024 * 1024;
const MAX_MS = 5000;

/** Resolves once the body is over, too large or too slow; never rejects. */
export async function dropUnreadBody(request: Request): Promise<void> {
  const { body, headers } = request;
  if (body === null || body.locked || Number(headers.get("content-length") ?? 0) > MAX_BYTES) return;
  await orTimeout(drop(body), MAX_MS);
}

async function drop(body: ReadableStream<Uint8Array>): Promise<void> {
  try {
    let bytes = 0;
    for await (const chunk of body) {
      bytes += chunk.byteLength;
      if (bytes > MAX_BYTES) return;
    }
  } catch {
    // Read to its end before, or the client has left.
  }
}
