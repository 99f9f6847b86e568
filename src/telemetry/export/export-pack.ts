/** Packs traces into bodies of the size a back end accepts: OTLP/JSON requests of one resource. Pure. */

import { encodeText } from "../../bytes/digest.ts";
import { createByteWriter, MAX_BYTES_PER_CHAR, type ByteWriter } from "../otlp/byte-writer.ts";
import { REQUEST_HEAD, REQUEST_TAIL, type Envelope } from "../otlp/otlp.ts";

export interface PackedBody {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly traces: number;
}

export interface Packer {
  /** Adds one trace as comma-separated spans; check `isTooLarge` first. */
  append(spans: string): void;
  /** The bodies in the order of the traces; ends the packer. */
  take(): readonly PackedBody[];
}

/** Below the smallest known limit of a back end (New Relic, Honeycomb: 1 MB), and quick to resend. */
const BODY_BYTES = 1_000_000;
/** Resource, scope and brackets around the spans. */
const ENVELOPE_BYTES = 2048;

/** Whether one trace alone is more than the back end accepts. */
export function isTooLarge(spans: string, maxBodyBytes: number): boolean {
  const allowed = maxBodyBytes - ENVELOPE_BYTES;
  // Counting bytes takes as long as writing them, so only where it matters.
  return spans.length * MAX_BYTES_PER_CHAR > allowed && encodeText(spans).byteLength > allowed;
}

/** Packs into bodies of up to 1 MB; a single trace may be as large as the back end accepts. */
export function createPacker({ head, tail }: Envelope, maxBodyBytes: number): Packer {
  const roomy = Math.min(BODY_BYTES, maxBodyBytes) - ENVELOPE_BYTES;
  const bodies: PackedBody[] = [];
  let open: { readonly writer: ByteWriter; traces: number } | undefined;

  function close(): void {
    if (open === undefined) return;
    open.writer.append(tail + REQUEST_TAIL);
    bodies.push({ bytes: open.writer.take(), traces: open.traces });
    open = undefined;
  }

  return {
    append(spans) {
      if (open !== undefined && open.writer.length() + spans.length * MAX_BYTES_PER_CHAR > roomy) close();
      if (open === undefined) {
        open = { writer: createByteWriter(), traces: 0 };
        open.writer.append(REQUEST_HEAD + head);
      } else open.writer.append(",");
      open.writer.append(spans);
      open.traces++;
    },
    take() {
      close();
      return bodies;
    },
  };
}
