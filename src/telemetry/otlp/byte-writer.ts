/**
 * Appends texts as UTF-8 to one buffer. Strings that wait are copied by V8's collector, and a long one stays in
 * its old space until a full collection; bytes are outside its heap (decision 072). Pure except for buffers it
 * reuses.
 */

const FIRST_BYTES = 16_384;
/** UTF-8 takes up to three bytes for a character of a JavaScript string. */
export const MAX_BYTES_PER_CHAR = 3;

/** Number of buffers kept for reuse, and the largest size of one. */
const MAX_SPARES = 4;
const MAX_SPARE_BYTES = 1_048_576;

const encoder = new TextEncoder();
/** Buffers of finished writers: allocating outside V8's heap triggers full collections, too. */
const spares: Uint8Array<ArrayBuffer>[] = [];

export interface ByteWriter {
  /** Bytes written so far. */
  readonly length: () => number;
  /** Returns the number of bytes written. */
  append(text: string): number;
  /** The bytes written, in a buffer of their length; ends the writer. */
  take(): Uint8Array<ArrayBuffer>;
}

export function createByteWriter(): ByteWriter {
  let bytes = spares.pop() ?? new Uint8Array(FIRST_BYTES);
  let used = 0;

  function makeRoom(room: number): void {
    if (bytes.length - used >= room) return;
    const larger = new Uint8Array(Math.max(2 * bytes.length, used + room));
    larger.set(bytes.subarray(0, used));
    bytes = larger;
  }

  return {
    length: () => used,
    append(text) {
      const before = used;
      // Enough for plain ASCII, as traces mostly are.
      makeRoom(text.length);
      const { read, written } = encoder.encodeInto(text, bytes.subarray(used));
      used += written;
      if (read < text.length) {
        const rest = text.slice(read);
        makeRoom(MAX_BYTES_PER_CHAR * rest.length);
        used += encoder.encodeInto(rest, bytes.subarray(used)).written;
      }
      return used - before;
    },
    take() {
      const taken = bytes.slice(0, used);
      if (spares.length < MAX_SPARES && bytes.length <= MAX_SPARE_BYTES) spares.push(bytes);
      // The buffer may be another tenant's from now on.
      bytes = new Uint8Array(0);
      return taken;
    },
  };
}
