/** Text as UTF-8. */

const encoder = new TextEncoder();

/** One text's bytes: their buffer is their own and never shared, which Workers' types don't say. */
export function encodeText(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text) as Uint8Array<ArrayBuffer>;
}
