/**
 * A streamed answer that is forwarded natively: the upstream's body is split by `tee()`, one branch flows into the
 * response without JavaScript, the other is read for the first event and then at most every POLL_MS, for usage and for
 * how the stream ends. Measurements: src/decisions/050-streams.md. Translated streams are stream-translate.ts.
 */

import { GatewayError } from "../errors.ts";
import { orTimeout } from "../runtime/waits.ts";
import {
  createStreamReader,
  readInBursts,
  type StreamFormat,
  type StreamObserver,
  type StreamReader,
} from "./stream-reader.ts";
import { STALL_MS } from "./gap-tracker.ts";
import { toUpstreamError, type UpstreamCall } from "./call.ts";

/** How often the second branch is read: four times a second costs nothing and finds every stall that matters. */
const POLL_MS = 250;
/** After the client's branch broke: how long the upstream has to show that it was the cause. */
const BLAME_MS = 50;

/** How a stream ended. */
export type StreamOutcome = "complete" | "cut" | "stalled" | "upstream_error" | "client_disconnected";

/** What was seen of a stream by its reader. */
export interface StreamReport {
  readonly outcome: StreamOutcome;
  /** Events, the end mark included. */
  readonly events: number;
  readonly bytes: number;
  /** Longest gap of the upstream after its first byte, ± POLL_MS. */
  readonly maxGapMs: number;
  /** When that gap began, where it was a long one or the stream's end; ms since the epoch. */
  readonly stalledAt?: number;
  /** The error event's cause, when the stream failed after its first byte. */
  readonly error?: GatewayError;
}

export interface OpenStream {
  readonly firstChunkAt: number;
  /** Sends the stream: `body` goes to the client, `done` resolves once, whatever happens. */
  send(options: {
    /** What the client gets in place of an end mark when the stream fails. */
    readonly errorEvent: (error: GatewayError) => string;
  }): { readonly body: ReadableStream<Uint8Array>; readonly done: Promise<StreamReport> };
}

export interface StreamOptions {
  readonly format: StreamFormat;
  readonly observer: StreamObserver;
  readonly idleMs: number;
  readonly now: () => number;
}

/**
 * Opens a stream: waits for its first whole event, so that a stream that fails at once can still be answered by another
 * target. Throws `upstream_error`, `upstream_malformed` or `upstream_timeout` for an empty, broken or silent one.
 */
export async function openStream(call: UpstreamCall, options: StreamOptions): Promise<OpenStream> {
  const { format, observer, idleMs, now } = options;
  const [forClient, aside] = bodyOf(call).tee();
  const reader = createStreamReader(readInBursts(aside), format, observer, now);
  // Opened before the first event is awaited: its bytes are then ready at the client's end.
  const pipe = openPipe(forClient);
  try {
    await awaitFirstEvent(reader, call, idleMs);
  } catch (thrown) {
    void pipe.readable.cancel().catch(() => {});
    throw thrown;
  }
  return {
    firstChunkAt: now(),
    send({ errorEvent }) {
      return { body: pipe.readable, done: pump(pipe, reader, call, { idleMs, errorEvent, now }) };
    },
  };
}

/** The response's body; throws `upstream_malformed` where it has none. */
export function bodyOf(call: UpstreamCall): ReadableStream<Uint8Array> {
  const { body } = call.response;
  if (body) return body;
  call.release();
  throw new GatewayError("upstream_malformed", `'${call.name}' answered a streaming request without a body.`);
}

/**
 * Reads until the stream has begun; where it doesn't, ends the call and throws as `openStream` does. Comments, pings and
 * white space before the first event end the first-byte limit, and restart the idle one.
 */
export async function awaitFirstEvent(
  reader: StreamReader,
  call: UpstreamCall,
  idleMs: number,
): Promise<void> {
  try {
    while (reader.seen.events === 0) {
      if (!(await reader.read()))
        throw new GatewayError("upstream_malformed", `'${call.name}' sent an empty stream.`);
      call.arm("idle", idleMs);
    }
    if (reader.seen.failure) throw reader.seen.failure;
  } catch (thrown) {
    // Before our own abort, which would be named as the cause.
    const error = call.toError(thrown);
    call.abort("idle");
    void reader.cancel();
    call.release();
    throw error;
  }
  call.disarm();
}

export interface PumpOptions {
  readonly idleMs: number;
  /** Without it a stream that fails breaks off. */
  readonly errorEvent?: (error: GatewayError) => string;
  readonly now: () => number;
}

/** The native way from an upstream's branch to a client's body. */
export interface Pipe {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  /** Never rejects. */
  readonly piped: Promise<"ended" | "broken">;
}

/** Neither end closes the other: after the upstream's last byte an error event may follow. */
export function openPipe(branch: ReadableStream<Uint8Array>): Pipe {
  const { readable, writable } = new IdentityTransformStream();
  const piped = branch.pipeTo(writable, { preventClose: true, preventAbort: true }).then(
    () => "ended" as const,
    () => "broken" as const,
  );
  return { readable, writable, piped };
}

/** Never rejects: each way a stream can end is a report. */
export async function pump(
  { writable, piped }: Pipe,
  reader: StreamReader,
  call: UpstreamCall,
  options: PumpOptions,
): Promise<StreamReport> {
  const upstream = await readAside(reader, piped, call, options);
  call.release();
  const end = upstream.end === "left" ? LEFT : classifyStreamEnd(reader, call, upstream.fault);
  // Where only the reader has failed the upstream still sends, and the pipe would not end.
  if (upstream.end === "failed") call.abort("idle");
  if (end.outcome === "client_disconnected") return stopForClient(reader, call);
  // A slow client may still be receiving what the upstream has long sent.
  const pipe = await piped;
  // An upstream that fails breaks the pipe itself; whether the client is still there shows when it is closed.
  if (pipe === "broken" && upstream.end === "done" && !end.error) return stopForClient(reader, call);
  const writer = writable.getWriter();
  if (end.error && !options.errorEvent) {
    await writer.abort(end.error).catch(() => {});
    return toReport(reader, end);
  }
  const isSent = await closeClient(writer, closingText(reader, end.error, options));
  return isSent ? toReport(reader, end) : stopForClient(reader, call);
}

/** Follows the second branch until the upstream has ended or failed, or its client has left. */
async function readAside(
  reader: StreamReader,
  piped: Promise<"ended" | "broken">,
  call: UpstreamCall,
  { idleMs, now }: PumpOptions,
): Promise<{ readonly end: "done" | "failed" | "left"; readonly fault?: unknown }> {
  let pipe: "open" | "ended" | "broken" = "open";
  let blameUntil = Infinity;
  try {
    for (;;) {
      // A fast stream is followed without pauses, or the branches would drift apart by all that it sends meanwhile.
      if (pipe === "open" && !reader.hasMore())
        pipe = (await orTimeout(piped, POLL_MS, call.startTimer)) ?? "open";
      if (pipe === "broken") {
        // Both branches break when the upstream does; where this one goes on, the client has left.
        blameUntil = Math.min(blameUntil, now() + BLAME_MS);
        const more = await orTimeout(reader.read(), BLAME_MS);
        if (more === undefined || (more && now() >= blameUntil)) return { end: "left" };
        if (!more) return { end: "done" };
        continue;
      }
      call.arm("idle", idleMs);
      const more = await reader.read();
      call.disarm();
      if (!more) return { end: "done" };
    }
  } catch (fault) {
    return { end: "failed", fault };
  }
}

/** The client has left: stops the upstream. */
export function stopForClient(reader: StreamReader, call: UpstreamCall): StreamReport {
  call.abort("client");
  void reader.cancel();
  return toReport(reader, LEFT);
}

export function toReport(reader: StreamReader, { outcome, error }: StreamVerdict): StreamReport {
  const { events, bytes } = reader.seen;
  const { ms: maxGapMs, sinceAt } = reader.longestGap() ?? { ms: 0, sinceAt: 0 };
  const hasStalled = maxGapMs > 0 && (outcome === "stalled" || maxGapMs >= STALL_MS);
  return {
    outcome,
    events,
    bytes,
    maxGapMs,
    ...(hasStalled && { stalledAt: sinceAt }),
    ...(error !== undefined && { error }),
  };
}

export interface StreamVerdict {
  readonly outcome: StreamOutcome;
  readonly error?: GatewayError;
}

const LEFT: StreamVerdict = { outcome: "client_disconnected" };

/** How the stream of an upstream that has ended, or failed with `fault`, counts. */
export function classifyStreamEnd(reader: StreamReader, call: UpstreamCall, fault: unknown): StreamVerdict {
  const abortedBy = call.abortedBy();
  const { failure } = reader.seen;
  if (abortedBy === "client") return LEFT;
  // What an upstream does after the end of its answer (silence, a reset connection) changes nothing about the answer.
  if (reader.isComplete() && !failure) return { outcome: "complete" };
  if (abortedBy !== undefined) {
    const isStopped = abortedBy === "revoked" || abortedBy === "lease_lost";
    return { outcome: isStopped ? "cut" : "stalled", error: call.toError(fault) };
  }
  if (failure) return { outcome: "upstream_error", error: failure };
  if (fault instanceof GatewayError) return { outcome: "upstream_error", error: fault };
  if (fault !== undefined) return { outcome: "cut", error: toUpstreamError(fault, undefined, call.name) };
  const message = `'${call.name}' ended its stream before the answer was complete.`;
  return { outcome: "cut", error: new GatewayError("upstream_error", message) };
}

/**
 * The error event, on a line of its own even when the upstream was cut inside one of its events. Nothing where the
 * upstream's own error event was forwarded already, or, behind a broken event, its end mark: the client has then stopped
 * reading, or would take a second end for a fault of ours. A complete stream gets the end mark that its last event lacks.
 */
function closingText(
  reader: StreamReader,
  error: GatewayError | undefined,
  options: PumpOptions,
): string | undefined {
  const { hasReportedFailure, isEnded } = reader.seen;
  if (!options.errorEvent) return undefined;
  const endMark = reader.isMidEvent() ? "\n\n" : "";
  if (error === undefined) return endMark === "" ? undefined : endMark;
  if (hasReportedFailure || isEnded) return undefined;
  return `${endMark}${options.errorEvent(error)}`;
}

/** Ends the client's body, after a last text if there is one; false when the client has left. */
export async function closeClient(
  writer: WritableStreamDefaultWriter<Uint8Array>,
  last: string | undefined,
): Promise<boolean> {
  try {
    if (last !== undefined) await writer.write(new TextEncoder().encode(last));
    await writer.close();
    return true;
  } catch {
    return false;
  }
}
