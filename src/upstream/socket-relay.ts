/**
 * Two WebSockets joined: each frame is passed on as it is, and so is the end, with its code and reason. Workers give no
 * native way for a socket that is also listened to, so there is JavaScript here, one call a frame. How full a slow peer's
 * buffer is can't be seen on this platform. Called by pipeline/answers/session.ts.
 */

import type { GatewayError } from "../errors.ts";
import { BROKEN, CLOSE, fitReason, isSendable, NO_CODE } from "./socket-close.ts";

/** After the first close, how long the other side may take for its own: the platform leaves 30 s after a client is gone. */
const CLOSE_GRACE_MS = 5000;

/** The platform's word that the client is gone may come before his own close frame, which says how. */
const SIGNAL_AHEAD_MS = 250;

type Closer = "client" | "upstream" | "gateway";

export interface SessionReport {
  /** Who was the first to end it. */
  readonly closedBy: Closer;
  /** Of that end: 1005 where none was given, 1006 where the connection broke. */
  readonly closeCode: number;
  /** Why the gateway ended it. */
  readonly stopped?: GatewayError;
  readonly upstreamFrames: number;
  readonly clientFrames: number;
  /** When the upstream's first frame came; ms since the epoch. */
  readonly firstFrameAt?: number;
  /** When the session ended, before the other side had answered to that; ms since the epoch. */
  readonly closedAt: number;
}

export interface SocketRelayOptions {
  readonly now: () => number;
  /** Ends the session; `stop` says with what. */
  readonly signal: AbortSignal;
  /** The fault that a fired `signal` stands for, and the code it closes with; undefined where the client has left. */
  readonly stop: () => { readonly error: GatewayError; readonly code: number } | undefined;
  /** Sees the upstream's text frames once they have been passed on; must not throw. */
  readonly onText: (frame: string) => void;
  /** The last event for a client whose session did not end as it should. */
  readonly lastEvent: (error: GatewayError) => string;
  /** What the client is told where the upstream's connection broke. */
  readonly broken: () => GatewayError;
  /** Lets go of an upstream that does not answer to a close. */
  readonly abandon: () => void;
}

export interface JoinedSockets {
  /** The end that is given to the client, with a 101. */
  readonly client: WebSocket;
  /** Resolves once, when both sides have closed, or have had the time to. */
  readonly done: Promise<SessionReport>;
}

type Side = "client" | "upstream";
const OTHER: Readonly<Record<Side, Side>> = { client: "upstream", upstream: "client" };

export function joinSockets(upstream: WebSocket, options: SocketRelayOptions): JoinedSockets {
  const { now, signal } = options;
  const { 0: client, 1: server } = new WebSocketPair();
  const sockets: Readonly<Record<Side, WebSocket>> = { client: server, upstream };
  const frames = { client: 0, upstream: 0 };
  const over = new Set<Side>();
  const told = new Set<Side>();
  const { promise: done, resolve } = Promise.withResolvers<SessionReport>();
  let grace: ReturnType<typeof setTimeout> | undefined;
  let firstFrameAt: number | undefined;
  let end: Pick<SessionReport, "closedBy" | "closeCode" | "stopped" | "closedAt"> | undefined;

  /** The first to call it is the one who ended the session. */
  function begin(closedBy: Closer, closeCode: number, stopped?: GatewayError): void {
    if (end !== undefined) return;
    end = { closedBy, closeCode, closedAt: now(), ...(stopped && { stopped }) };
    signal.removeEventListener("abort", onStop);
    grace = setTimeout(giveUp, CLOSE_GRACE_MS);
  }

  /** The other side has answered nothing: whoever closed first is answered in its place. */
  function giveUp(): void {
    if (end === undefined) return;
    const { closeCode } = end;
    for (const side of over) close(side, isSendable(closeCode) ? closeCode : NO_CODE, "");
    finish();
  }

  function finish(): void {
    if (end === undefined) return;
    clearTimeout(grace);
    if (!over.has("upstream")) options.abandon();
    resolve({
      ...end,
      upstreamFrames: frames.upstream,
      clientFrames: frames.client,
      ...(firstFrameAt !== undefined && { firstFrameAt }),
    });
  }

  function close(side: Side, code: number, reason: string): void {
    if (told.has(side)) return;
    told.add(side);
    trySend(() => {
      if (code === NO_CODE) sockets[side].close();
      else sockets[side].close(code, fitReason(reason));
    });
  }

  function onMessage(side: Side, data: string | ArrayBuffer): void {
    frames[side] += 1;
    // A side that is closing may not want it any more.
    trySend(() => sockets[OTHER[side]].send(data));
    if (side === "client") return;
    firstFrameAt ??= now();
    if (typeof data === "string") options.onText(data);
  }

  function onClose(side: Side, code: number, reason: string): void {
    if (over.has(side)) return;
    over.add(side);
    if (isSendable(code) || code === NO_CODE) {
      begin(side, code);
      close(OTHER[side], code, reason);
    } else onBroken(side);
    // To a close that we began there is nothing more to say.
    if (over.size === 2) finish();
  }

  function onBroken(side: Side): void {
    over.add(side);
    told.add(side);
    const isFirst = end === undefined;
    begin(side, BROKEN);
    if (side === "client") close("upstream", CLOSE.goingAway, "The client's connection broke.");
    else tellClient(options.broken(), CLOSE.internalError, isFirst);
  }

  function tellClient(error: GatewayError, code: number, withEvent: boolean): void {
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
    tellClient(why.error, why.code, true);
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
    // Half open: a close frame is answered by the peer it was passed on to, not by the platform.
    socket.accept({ allowHalfOpen: true });
  }
  if (signal.aborted) onStop();
  else signal.addEventListener("abort", onStop);
  return { client, done };
}

/** Sending to a socket that has just gone throws, and says nothing new. */
function trySend(send: () => void): void {
  try {
    send();
  } catch {
    // Its own close event has come, or is about to.
  }
}
