/**
 * Traces into bodies that a back end takes. Pure; called by exporter.ts for each batch.
 */

export interface PackedBody {
  /** Comma-separated spans of whole traces. */
  readonly spans: string;
  readonly traces: number;
}

export interface Packed {
  readonly bodies: readonly PackedBody[];
  /** Traces that are too large for the back end, each alone. */
  readonly tooLarge: number;
}

/** A character takes up to so many bytes in UTF-8 (a pair of surrogates, two characters, takes four). */
const MAX_BYTES_PER_CHAR = 3;
/** Below the smallest limit of a back end we know (New Relic, Honeycomb: 1 MB), and quickly sent again. */
const BODY_BYTES = 1_000_000;
/** Resource, scope and brackets around the spans. */
const ENVELOPE_BYTES = 2048;

const encoder = new TextEncoder();

/** Splits into bodies of up to a megabyte; one trace alone may take what the back end takes at most. */
export function packTraces(traces: readonly string[], maxBodyBytes: number): Packed {
  const chars = traces.reduce((sum, { length }) => sum + length + 1, 0);
  const roomy = Math.min(BODY_BYTES, maxBodyBytes) - ENVELOPE_BYTES;
  if (chars * MAX_BYTES_PER_CHAR <= roomy) {
    return { bodies: [{ spans: traces.join(","), traces: traces.length }], tooLarge: 0 };
  }
  const bodies: PackedBody[] = [];
  let open: string[] = [];
  let openBytes = 0;
  let tooLarge = 0;
  const close = (): void => {
    if (open.length > 0) bodies.push({ spans: open.join(","), traces: open.length });
    open = [];
    openBytes = 0;
  };
  for (const trace of traces) {
    const bytes = byteLength(trace) + 1;
    if (bytes > maxBodyBytes - ENVELOPE_BYTES) {
      tooLarge++;
      continue;
    }
    if (openBytes + bytes > roomy) close();
    open.push(trace);
    openBytes += bytes;
  }
  close();
  return { bodies, tooLarge };
}

function byteLength(text: string): number {
  return encoder.encode(text).byteLength;
}
