/**
 * A streamed answer on its way to the client, with no JavaScript on the path of its bytes: the upstream's body is split
 * by `tee()`, one branch flows natively into the response, the other is read beside it for the first event, and then
 * at most every POLL_MS, for usage and for the way it ends. src/decisions/050-streams.md has the measurements.
 */

import { GatewayError } from "../errors.ts";
import {
  createSideReader,
  readInBursts,
  type SideReader,
  type StreamFormat,
  type StreamObserver,
} from "./stream-reader.ts";
import { STALL_MS } from "./gap-tracker.ts";
import { type Attempt, toAttemptError } from "./call.ts";

/** How often the side branch is read: four times a second costs nothing and sees a stall of any length that matters. */
const POLL_MS = 250;
/** After the client's branch broke: how long the upstream has to show that it was its fault. */
const BLAME_MS = 50;

/** How a stream ended. */
export type StreamOutcome = "complete" | "cut" | "stalled" | "upstream_error" | "client_disconnected";

/** What was seen of a stream by the side branch. */
export interface StreamReport {
  readonly outcome: StreamOutcome;
  /** Events, the end mark included. */
  readonly events: number;
  readonly bytes: number;
  /** Longest silence of the upstream after its first byte; its grain is POLL_MS. */
  readonly maxGapMs: number;
  /** When that silence began, where it was a long one or the stream's end. */
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

/**
 * Opens a stream: waits for its first whole event, so that a stream that fails at once can still be answered by another
 * target. Throws `upstream_error`, `upstream_malformed` or `upstream_timeout` for an empty, broken or silent one.
 */
export async function openStream(
  attempt: Attempt,
  name: string,
  format: StreamFormat,
  observer: StreamObserver,
  limits: { readonly idleMs: number },
  now: () => number,
): Promise<OpenStream> {
  const [forClient, aside] = bodyOf(attempt, name).tee();
  const side = createSideReader(readInBursts(aside), format, observer, now);
  // Laid before the first event is awaited: its bytes then stand ready at the client's end.
  const pipe = layPipe(forClient);
  try {
    await awaitFirstEvent(side, attempt, name);
  } catch (thrown) {
    void pipe.readable.cancel().catch(() => {});
    throw thrown;
  }
  return {
    firstChunkAt: now(),
    send({ errorEvent }) {
      const done = pump(pipe, side, attempt, { name, idleMs: limits.idleMs, errorEvent, now });
      return { body: pipe.readable, done };
    },
  };
}

/** The answer's body; throws `upstream_malformed` where there is none. */
export function bodyOf(attempt: Attempt, name: string): ReadableStream<Uint8Array> {
  const { body } = attempt.response;
  if (body) return body;
  attempt.release();
  throw new GatewayError("upstream_malformed", `'${name}' answered a streamed call without a body.`);
}

/** Reads until the stream has begun; where it doesn't, ends the attempt and throws as openStream does. */
export async function awaitFirstEvent(side: SideReader, attempt: Attempt, name: string): Promise<void> {
  try {
    while (side.seen.events === 0) {
      if (!(await side.read()))
        throw new GatewayError("upstream_malformed", `'${name}' sent an empty stream.`);
    }
    if (side.seen.failure) throw side.seen.failure;
  } catch (thrown) {
    // Asked before our own abort, which would be named as the cause.
    const cause = attempt.abortedBy();
    attempt.abort("idle");
    void side.cancel();
    attempt.release();
    throw toAttemptError(thrown, cause, name);
  }
  attempt.disarm();
}

export interface PumpOptions {
  readonly name: string;
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

/** Neither end closes the other: after the upstream's last byte there may be an error event to add. */
export function layPipe(branch: ReadableStream<Uint8Array>): Pipe {
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
  side: SideReader,
  attempt: Attempt,
  options: PumpOptions,
): Promise<StreamReport> {
  const upstream = await readAside(side, piped, attempt, options);
  attempt.release();
  const ending = upstream.end === "left" ? LEFT : judge(side, attempt, upstream.fault, options.name);
  if (ending.outcome === "client_disconnected") return leave(side, attempt);
  // A slow client may still be taking what the upstream has long sent.
  const pipe = await piped;
  // An upstream that fails breaks the pipe itself; whether somebody is still there shows when it is closed.
  if (pipe === "broken" && upstream.end === "done" && !ending.error) return leave(side, attempt);
  const writer = writable.getWriter();
  if (ending.error && !options.errorEvent) {
    await writer.abort(ending.error).catch(() => {});
    return report(side, ending.outcome, ending.error);
  }
  const isSent = await closeClient(writer, closingText(side, ending.error, options));
  return isSent ? report(side, ending.outcome, ending.error) : leave(side, attempt);
}

/** Follows the side branch until the upstream has ended, failed, or lost its client. */
async function readAside(
  side: SideReader,
  piped: Promise<"ended" | "broken">,
  attempt: Attempt,
  { idleMs, now }: PumpOptions,
): Promise<{ readonly end: "done" | "failed" | "left"; readonly fault?: unknown }> {
  let pipe: "open" | "ended" | "broken" = "open";
  let blameUntil = Infinity;
  try {
    for (;;) {
      if (pipe === "open") pipe = (await orTimeout(piped, POLL_MS)) ?? "open";
      if (pipe === "broken") {
        // Both branches break when the upstream does; when this one lives on, it was the client who left.
        blameUntil = Math.min(blameUntil, now() + BLAME_MS);
        const more = await orTimeout(side.read(), BLAME_MS);
        if (more === undefined || (more && now() >= blameUntil)) return { end: "left" };
        if (!more) return { end: "done" };
        continue;
      }
      attempt.arm("idle", idleMs);
      const more = await side.read();
      attempt.disarm();
      if (!more) return { end: "done" };
    }
  } catch (fault) {
    return { end: "failed", fault };
  }
}

/** The client has left: the upstream is stopped. */
export function leave(side: SideReader, attempt: Attempt): StreamReport {
  attempt.abort("client");
  void side.cancel();
  return report(side, "client_disconnected");
}

export function report(side: SideReader, outcome: StreamOutcome, error?: GatewayError): StreamReport {
  const { events, bytes } = side.seen;
  const { ms: maxGapMs, sinceAt } = side.longestSilence() ?? { ms: 0, sinceAt: 0 };
  const hasStalled = maxGapMs > 0 && (outcome === "stalled" || maxGapMs >= STALL_MS);
  return {
    outcome,
    events,
    bytes,
    maxGapMs,
    ...(hasStalled && { stalledAt: sinceAt }),
    ...(error === undefined ? {} : { error }),
  };
}

export interface Ending {
  readonly outcome: StreamOutcome;
  readonly error?: GatewayError;
}

const LEFT: Ending = { outcome: "client_disconnected" };

/** What an upstream that has ended, or failed with `fault`, makes of its stream. */
export function judge(side: SideReader, attempt: Attempt, fault: unknown, name: string): Ending {
  const abortedBy = attempt.abortedBy();
  const { failure } = side.seen;
  if (abortedBy === "client") return LEFT;
  // What an upstream does after its answer's end (silence, a reset connection) takes nothing from the answer.
  if (side.isComplete() && !failure) return { outcome: "complete" };
  if (abortedBy !== undefined) {
    const isStopped = abortedBy === "revoked" || abortedBy === "lease_lost";
    return { outcome: isStopped ? "cut" : "stalled", error: toAttemptError(fault, abortedBy, name) };
  }
  if (failure) return { outcome: "upstream_error", error: failure };
  if (fault !== undefined) return { outcome: "cut", error: toAttemptError(fault, undefined, name) };
  const message = `'${name}' ended its stream in the middle of the answer.`;
  return { outcome: "cut", error: new GatewayError("upstream_error", message) };
}

/**
 * The error event, on a line of its own even when the upstream was cut inside one of its events. Nothing where the
 * upstream's own error event has gone by already, or, behind a broken event, its end mark: then the client has stopped
 * reading, or will take a second end for a fault of ours.
 */
function closingText(
  side: SideReader,
  error: GatewayError | undefined,
  options: PumpOptions,
): string | undefined {
  const { hasReportedFailure, isEnded } = side.seen;
  if (error === undefined || hasReportedFailure || isEnded || !options.errorEvent) return undefined;
  return `${side.isMidEvent() ? "\n\n" : ""}${options.errorEvent(error)}`;
}

/** Ends the client's body, after a last text if there is one; false when nobody is there any more. */
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

/** The promise's value, or undefined when it has none within `ms`. */
async function orTimeout<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), ms);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
