/**
 * Packs a tenant's traces into batches for the store, so that a write costs one row and not one per request,
 * and unpacks them into rows. Pure; knows no SQL.
 */

import { createByteWriter, MAX_BYTES_PER_CHAR, type ByteWriter } from "../otlp/byte-writer.ts";
import { fillEnvelope, type Envelope } from "../otlp/otlp.ts";
import { readSpans } from "../otlp/otlp-read.ts";
import type { TraceBatch, TraceRow } from "./stored-trace.ts";
import { summarize } from "../trace/summary.ts";
import type { FinishedSpan } from "../trace/trace.ts";

export interface BatchPacker {
  /** Adds one trace; `startedAt` in ms since the epoch. */
  append(startedAt: number, spans: string): void;
  /** The traces in their order, in batches that fit a row; ends the packer. */
  take(): readonly TraceBatch[];
}

/** A SQLite row holds 2 MB on Workers; the rest is for lengths and envelope. */
const MAX_BATCH_BYTES = 1_900_000;
/** Longest stored trace, for any encoding of its characters. */
export const MAX_STORED_CHARS = 600_000;

/** Packs one tenant's traces, none longer than MAX_STORED_CHARS. */
export function createBatchPacker(tenantId: string | undefined, envelope: Envelope): BatchPacker {
  const batches: TraceBatch[] = [];
  let open: { readonly writer: ByteWriter; readonly lengths: number[]; newestAt: number } | undefined;

  function close(): void {
    if (open === undefined) return;
    const { writer, lengths, newestAt } = open;
    const traces = lengths.length;
    const spans = writer.take();
    batches.push({ traces, tenantId, newestAt, lengths: JSON.stringify(lengths), spans, envelope });
    open = undefined;
  }

  return {
    append(startedAt, spans) {
      const isFull =
        open !== undefined && open.writer.length() + spans.length * MAX_BYTES_PER_CHAR > MAX_BATCH_BYTES;
      if (isFull) close();
      open ??= { writer: createByteWriter(), lengths: [], newestAt: 0 };
      open.lengths.push(open.writer.append(spans));
      open.newestAt = Math.max(open.newestAt, startedAt);
    },
    take() {
      close();
      return batches;
    },
  };
}

type Packed = Pick<TraceBatch, "tenantId" | "lengths" | "spans" | "envelope">;

export interface UnpackedTrace {
  readonly row: TraceRow;
  readonly spans: readonly FinishedSpan[];
}

/** The traces of a batch as rows: each text unchanged, with its summary. */
export function unpackBatch({ tenantId, lengths, spans, envelope }: Packed): readonly UnpackedTrace[] {
  const decoder = new TextDecoder();
  let end = 0;
  // Written by the packer, kept in our own store.
  return (JSON.parse(lengths) as readonly number[]).flatMap((length) => {
    const text = decoder.decode(spans.subarray(end, (end += length)));
    const read = readSpans(text);
    const [root] = read;
    if (root === undefined) return [];
    const summary = summarize({ traceId: root.traceId, tenantId, root, spans: read });
    return [{ row: { ...summary, otlp: fillEnvelope(envelope, text) }, spans: read }];
  });
}
