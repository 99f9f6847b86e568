/**
 * A streamed answer whose client speaks another wire than its upstream: read, decoded, encoded and written, event by
 * event. The same promises as stream.ts gives for forwarded streams, which never come here.
 */

import type { ChatChunk } from "../schema/chat.ts";
import type { ChunkEncoder } from "../wires/client-wire.ts";
import { createSideReader, readAsTheyCome, type SideReader, type StreamFormat } from "./stream-reader.ts";
import {
  awaitFirstEvent,
  bodyOf,
  closeClient,
  judge,
  leave,
  type OpenStream,
  type PumpOptions,
} from "./stream.ts";
import { report, type StreamReport } from "./stream.ts";
import type { Attempt } from "./call.ts";

export interface TranslatedObserver {
  onChunks(chunks: readonly ChatChunk[]): void;
  /** What the client is sent, in pieces; absent when nobody keeps it. The error event of a failed stream is not in it. */
  onText?(text: string): void;
}

/** As `openStream` in stream.ts, with `encoder` between the upstream's chunks and the client. */
export async function openTranslated(
  attempt: Attempt,
  name: string,
  format: StreamFormat,
  encoder: ChunkEncoder,
  observer: TranslatedObserver,
  limits: { readonly idleMs: number },
  now: () => number,
): Promise<OpenStream> {
  let pending = "";
  const onChunks = (chunks: readonly ChatChunk[]): void => {
    observer.onChunks(chunks);
    // The error is told in the client's own words, once the stream is judged.
    pending += encoder.push(chunks.filter(({ type }) => type !== "error"));
  };
  const side = createSideReader(readAsTheyCome(bodyOf(attempt, name)), format, { onChunks }, now);
  await awaitFirstEvent(side, attempt, name);
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
      const options = { name, idleMs: limits.idleMs, errorEvent, now };
      return { body: readable, done: pump(writable.getWriter(), side, { take, end }, attempt, options) };
    },
  };
}

interface Outbox {
  /** The text that waits to be sent. */
  take(): string;
  /** The last text of a complete stream. */
  end(): string;
}

/** Never rejects: each way a stream can end is a report. */
async function pump(
  writer: WritableStreamDefaultWriter<Uint8Array>,
  side: SideReader,
  outbox: Outbox,
  attempt: Attempt,
  options: PumpOptions & Required<Pick<PumpOptions, "errorEvent">>,
): Promise<StreamReport> {
  const upstream = await follow(writer, side, outbox, attempt, options.idleMs);
  attempt.release();
  if (upstream.end === "left") return leave(side, attempt);
  const { outcome, error } = judge(side, attempt, upstream.fault, options.name);
  if (outcome === "client_disconnected") return leave(side, attempt);
  if (upstream.end === "done" && error === undefined) void side.cancel();
  else attempt.abort("idle");
  const last = error === undefined ? outbox.end() : options.errorEvent(error);
  const isSent = await closeClient(writer, last === "" ? undefined : last);
  return isSent ? report(side, outcome, error) : leave(side, attempt);
}

/** Reads and writes in turn until the upstream has ended, failed, or lost its client. */
async function follow(
  writer: WritableStreamDefaultWriter<Uint8Array>,
  side: SideReader,
  outbox: Outbox,
  attempt: Attempt,
  idleMs: number,
): Promise<{ readonly end: "done" | "failed" | "left"; readonly fault?: unknown }> {
  const encoder = new TextEncoder();
  let isGone = false;
  // Ends a read that waits for a silent upstream. Our own closing comes here as well, when there is nothing left to end.
  const onClosed = (): void => {
    isGone = true;
    void side.cancel();
  };
  writer.closed.then(onClosed, onClosed);
  // Ends a write that waits for a client who takes no more.
  attempt.signal.addEventListener("abort", () => {
    if (attempt.abortedBy() === "client") void writer.abort().catch(() => {});
  });
  for (;;) {
    const text = outbox.take();
    if (text !== "" && !(await write(writer, encoder.encode(text)))) return { end: "left" };
    if (side.seen.failure || side.seen.isEnded) return { end: "done" };
    attempt.arm("idle", idleMs);
    try {
      const more = await side.read();
      if (isGone) return { end: "left" };
      if (!more) return { end: "done" };
    } catch (fault) {
      return { end: "failed", fault };
    } finally {
      attempt.disarm();
    }
  }
}

/** Waits until the client has taken the bytes; false when nobody is there any more. */
async function write(writer: WritableStreamDefaultWriter<Uint8Array>, bytes: Uint8Array): Promise<boolean> {
  try {
    await writer.write(bytes);
    return true;
  } catch {
    return false;
  }
}
