/**
 * A streamed answer whose client speaks another wire than its upstream: read, decoded, encoded and written, event by
 * event, with the same guarantees as the forwarded streams of stream.ts.
 */

import type { ChatChunk } from "../schema/chat.ts";
import type { ChunkEncoder } from "../wires/client-wire.ts";
import { createStreamReader, readAsTheyCome, type StreamFormat, type StreamReader } from "./stream-reader.ts";
import {
  awaitFirstEvent,
  bodyOf,
  classifyStreamEnd,
  closeClient,
  type OpenStream,
  type PumpOptions,
  stopForClient,
  type StreamReport,
  toReport,
} from "./stream.ts";
import type { UpstreamCall } from "./call.ts";

export interface TranslatedObserver {
  onChunks(chunks: readonly ChatChunk[]): void;
  /** What the client is sent, in pieces; absent where it is not kept. The error event of a failed stream is not in it. */
  onText?(text: string): void;
}

export interface TranslationOptions {
  readonly format: StreamFormat;
  readonly encoder: ChunkEncoder;
  readonly observer: TranslatedObserver;
  readonly idleMs: number;
  readonly now: () => number;
}

/** As `openStream` in stream.ts, with `encoder` between the upstream's chunks and the client. */
export async function openTranslated(call: UpstreamCall, options: TranslationOptions): Promise<OpenStream> {
  const { format, encoder, observer, idleMs, now } = options;
  let pending = "";
  const onChunks = (chunks: readonly ChatChunk[]): void => {
    observer.onChunks(chunks);
    // An error is sent in the client's own form, once it is known how the stream ended.
    pending += encoder.push(chunks.filter(({ type }) => type !== "error"));
  };
  const reader = createStreamReader(readAsTheyCome(bodyOf(call)), format, { onChunks }, now);
  await awaitFirstEvent(reader, call, idleMs);
  const take = (): string => {
    const text = pending;
    pending = "";
    if (text !== "") observer.onText?.(text);
    return text;
  };
  const end = (): string => {
    pending += encoder.end();
    return take();
  };
  return {
    firstChunkAt: now(),
    send({ errorEvent }) {
      const { readable, writable } = new IdentityTransformStream();
      const done = pump(writable.getWriter(), reader, { take, end }, call, { idleMs, errorEvent, now });
      return { body: readable, done };
    },
  };
}

interface TextBuffer {
  /** The text that waits to be sent. */
  take(): string;
  /** The last text of a complete stream. */
  end(): string;
}

/** Never rejects: each way a stream can end is a report. */
async function pump(
  writer: WritableStreamDefaultWriter<Uint8Array>,
  reader: StreamReader,
  buffer: TextBuffer,
  call: UpstreamCall,
  options: PumpOptions & Required<Pick<PumpOptions, "errorEvent">>,
): Promise<StreamReport> {
  const upstream = await follow(writer, reader, buffer, call, options.idleMs);
  call.release();
  if (upstream.end === "left") return stopForClient(reader, call);
  const end = classifyStreamEnd(reader, call, upstream.fault);
  if (end.outcome === "client_disconnected") return stopForClient(reader, call);
  if (upstream.end === "done" && end.error === undefined) void reader.cancel();
  else call.abort("idle");
  const last = end.error === undefined ? buffer.end() : options.errorEvent(end.error);
  const isSent = await closeClient(writer, last === "" ? undefined : last);
  return isSent ? toReport(reader, end) : stopForClient(reader, call);
}

/** Reads and writes in turn until the upstream has ended or failed, or its client has left. */
async function follow(
  writer: WritableStreamDefaultWriter<Uint8Array>,
  reader: StreamReader,
  buffer: TextBuffer,
  call: UpstreamCall,
  idleMs: number,
): Promise<{ readonly end: "done" | "failed" | "left"; readonly fault?: unknown }> {
  const encoder = new TextEncoder();
  let isGone = false;
  // Ends a read that waits for a silent upstream. Our own close fires it too, when nothing is left to end.
  const onClosed = (): void => {
    isGone = true;
    void reader.cancel();
  };
  writer.closed.then(onClosed, onClosed);
  // Ends a write that waits for a client that reads no more.
  call.signal.addEventListener("abort", () => {
    if (call.abortedBy() === "client") void writer.abort().catch(() => {});
  });
  for (;;) {
    const text = buffer.take();
    if (text !== "" && !(await write(writer, encoder.encode(text)))) return { end: "left" };
    if (reader.seen.failure || reader.seen.isEnded) return { end: "done" };
    call.arm("idle", idleMs);
    try {
      const more = await reader.read();
      if (isGone) return { end: "left" };
      if (!more) return { end: "done" };
    } catch (fault) {
      return { end: "failed", fault };
    } finally {
      call.disarm();
    }
  }
}

/** Waits until the client has received the bytes; false when it has left. */
async function write(writer: WritableStreamDefaultWriter<Uint8Array>, bytes: Uint8Array): Promise<boolean> {
  try {
    await writer.write(bytes);
    return true;
  } catch {
    return false;
  }
}
