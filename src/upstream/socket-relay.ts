/**
 * Two WebSockets joined: each frame is forwarded as `scrub` leaves it, and so is the close, with its code and reason. Workers can't
 * forward a socket natively and listen to it, so there is JavaScript here, one call a frame. The platform doesn't show how
 * full a slow peer's buffer is. What frames mean is not known here.
 */

import type { GatewayError } from "../errors.ts";
import { BROKEN, CLOSE, fitReason, isSendable, NO_CODE } from "./socket-close.ts";

/** After the first close, how long the other side may take for its own: the platform allows 30 s after a client has left. */
const CLOSE_GRACE_MS = 5000;

/** The platform may report that the client is gone before the client's own close frame, which says how, is delivered. */
const SIGNAL_AHEAD_MS = 250;

type Closer = "client" | "upstream" | "gateway";

export interface SessionReport {
  /** Which side ended it first. */
  readonly closedBy: Closer;
  /** Of that close: 1005 where none was given, 1006 where the connection failed. */
  readonly closeCode: number;
  /** Why the gateway ended it. */
  readonly stopped?: GatewayError;
  readonly upstreamFrames: number;
  readonly clientFrames: number;
  /** When the upstream's first frame came; ms since the epoch. */
  readonly firstFrameAt?: number;
  /** When the session ended, before the other side had answered the close; ms since the epoch. */
  readonly closedAt: number;
}

export interface SocketRelayOptions {
  readonly now: () => number;
  /** Ends the session, as `stop` says. */
  readonly signal: AbortSignal;
  /** Why `signal` fired, and the code to close with; undefined where the client has left. */
  readonly stop: () => { readonly error: GatewayError; readonly code: number } | undefined;
  /** What the client gets of the upstream's texts: its frames, and its reason for a close. */
  readonly scrub: (text: string) => string;
  /** Gets the upstream's text frames once they have been forwarded; must not throw. */
  readonly onText: (frame: string) => void;
  /** The last event for a client whose session failed. */
  readonly lastEvent: (error: GatewayError) => string;
  /** The error for the client where the upstream's connection failed. */
  readonly connectionError: () => GatewayError;
  /** Ends an upstream that does not answer a close. */
  readonly abandon: () => void;
}

export interface JoinedSockets {
  /** The end that the client gets, with a 101. */
  readonly client: WebSocket;
  /** Resolves once, when both sides have closed or CLOSE_GRACE_MS has passed. */
  readonly done: Promise<SessionReport>;
}

type Side = "client" | "upstream";
const OTHER: Readonly<Record<Side, Side>> = { client: "upstream", upstream: "client" };

export function joinSockets(upstream: WebSocket, options: SocketRelayOptions): JoinedSockets {
  const { now, signal } = options;
  const { 0: client, 1: server } = new WebSocketPair();
  const sockets: Readonly<Record<Side, WebSocket>> = { client: server, upstream };
  const frames = { client: 0, upstream: 0 };
  /** Sides that have closed, or failed. */
  const closed = new Set<Side>();
  /** Sides that a close was sent to, or can't be. */
  const closeSent = new Set<Side>();
  const { promise: done, resolve } = Promise.withResolvers<SessionReport>();
  let grace: ReturnType<typeof setTimeout> | undefined;
  let firstFrameAt: number | undefined;
  let end: Pick<SessionReport, "closedBy" | "closeCode" | "stopped" | "closedAt"> | undefined;

  /** The first call names the side that ended the session. */
  function begin(closedBy: Closer, closeCode: number, stopped?: GatewayError): void {
    if (end !== undefined) return;
    end = { closedBy, closeCode, closedAt: now(), ...(stopped && { stopped }) };
    signal.removeEventListener("abort", onStop);
    grace = setTimeout(giveUp, CLOSE_GRACE_MS);
  }

  /** The other side has not answered: the side that closed first is answered in its place. */
  function giveUp(): void {
    if (end === undefined) return;
    const { closeCode } = end;
    for (const side of closed) close(side, isSendable(closeCode) ? closeCode : NO_CODE, "");
    finish();
  }

  function finish(): void {
    if (end === undefined) return;
    clearTimeout(grace);
    if (!closed.has("upstream")) options.abandon();
    resolve({
      ...end,
      upstreamFrames: frames.upstream,
      clientFrames: frames.client,
      ...(firstFrameAt !== undefined && { firstFrameAt }),
    });
  }

  function close(side: Side, code: number, reason: string): void {
    if (closeSent.has(side)) return;
    closeSent.add(side);
    trySend(() => {
      if (code === NO_CODE) sockets[side].close();
      else sockets[side].close(code, fitReason(reason));
    });
  }

  function onMessage(side: Side, data: string | ArrayBuffer): void {
    frames[side] += 1;
    const sent = side === "upstream" && typeof data === "string" ? options.scrub(data) : data;
    // A side that is closing may not take it any more.
    trySend(() => sockets[OTHER[side]].send(sent));
    if (side === "client") return;
    firstFrameAt ??= now();
    if (typeof data === "string") options.onText(data);
  }

  function onClose(side: Side, code: number, reason: string): void {
    if (closed.has(side)) return;
    closed.add(side);
    if (isSendable(code) || code === NO_CODE) {
      begin(side, code);
      close(OTHER[side], code, side === "upstream" ? options.scrub(reason) : reason);
    } else onBroken(side);
    if (closed.size === 2) finish();
  }

  function onBroken(side: Side): void {
    closed.add(side);
    closeSent.add(side);
    const isFirst = end === undefined;
    begin(side, BROKEN);
    if (side === "client") close("upstream", CLOSE.goingAway, "The client's connection failed.");
    else closeClient(options.connectionError(), CLOSE.internalError, isFirst);
  }

  function closeClient(error: GatewayError, code: number, withEvent: boolean): void {
    if (withEvent) trySend(() => sockets.client.send(options.lastEvent(error)));
    close("client", code, error.message);
  }

  function onStop(): void {
    const why = options.stop();
    if (why === undefined) {
      setTimeout(() => onClose("client", BROKEN, ""), SIGNAL_AHEAD_MS);
      return;
    }
    begin("gateway", why.code, why.error);
    closeClient(why.error, why.code, true);
    close("upstream", CLOSE.goingAway, "");
  }

  for (const side of ["client", "upstream"] as const) {
    const socket = sockets[side];
    socket.binaryType = "arraybuffer";
    // By the binary type it is never a Blob.
    socket.addEventListener("message", ({ data }) => onMessage(side, data as string | ArrayBuffer));
    socket.addEventListener("close", ({ code, reason }) => onClose(side, code, reason));
    // A frame that is too large or against the protocol; no close event follows one.
    socket.addEventListener("error", () => onClose(side, BROKEN, ""));
    // Half open: a close frame is answered by the peer it is forwarded to, not by the platform.
    socket.accept({ allowHalfOpen: true });
  }
  if (signal.aborted) onStop();
  else signal.addEventListener("abort", onStop);
  return { client, done };
}

/** Sending to a socket that has just closed throws; its own close event reports the same. */
function trySend(send: () => void): void {
  try {
    send();
  } catch {
    // The close event follows.
  }
}
