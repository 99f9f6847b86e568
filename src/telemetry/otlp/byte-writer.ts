/**
 * Texts gathered as UTF-8, one behind the other. Texts that wait would be copied by V8's collector, and a long one made
 * of them would lie in its old space until a full collection; bytes lie outside of its heap (decision 072). Pure but for the buffers it uses again.
 */

const FIRST_BYTES = 16_384;
/** UTF-8 takes up to three bytes for a character of a JavaScript string. */
export const MAX_BYTES_PER_CHAR = 3;

/** Buffers kept for the next writers, and how large one may be; the others go back to the runtime. */
const MAX_SPARES = 4;
const MAX_SPARE_BYTES = 1_048_576;

const encoder = new TextEncoder();
/** Of writers that have ended: memory outside of V8's heap brings full collections on, too. */
const spares: Uint8Array<ArrayBuffer>[] = [];

export interface ByteWriter {
  /** Bytes written so far. */
  readonly length: () => number;
  /** Gives how many bytes it took. */
  append(text: string): number;
  /** What was written, in a buffer of just its length; ends the writer. */
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
      // The buffer is another's from now on, and maybe another tenant's.
      bytes = new Uint8Array(0);
      return taken;
    },
  };
}
