/** Reads a request body as text, at most so many bytes: a larger one is refused before it fills the isolate. */

import { GatewayError } from "../src/errors.ts";

/** Where the tenant's records set no limit: api.md §4. */
export const DEFAULT_MAX_BODY_BYTES = 10 * 1024 * 1024;

/** Throws `request_too_large`. A body that tells its length is judged by it; another is counted while it comes. */
export async function readBodyText(request: Request, maxBytes: number): Promise<string> {
  const declared = request.headers.get("content-length");
  if (declared !== null) {
    if (Number(declared) > maxBytes) throw tooLarge(maxBytes);
    return request.text();
  }
  if (!request.body) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of request.body) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function tooLarge(maxBytes: number): GatewayError {
  return new GatewayError(
    "request_too_large",
    `The body is larger than the ${maxBytes} bytes allowed (limits.maxBodyBytes).`,
    {
      param: "body",
    },
  );
}
