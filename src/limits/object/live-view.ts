/**
 * The live view of a tenant's queue: hibernatable WebSockets that receive a sample after a change, at most one a second.
 * An object without traffic may hibernate while it is watched.
 */

import type { QueueSnapshot } from "../protocol.ts";

/** Faster than this it is unreadable. */
const SAMPLE_EVERY_MS = 1000;
const SWITCHING_PROTOCOLS = 101;
const UPGRADE_REQUIRED = 426;

export interface LiveView {
  /** Answers a WebSocket upgrade; the first sample is sent at once. */
  open(request: Request): Response;
  /** Something may have changed. */
  changed(): void;
  /** A watcher has disconnected. */
  closed(): void;
}

export function createLiveView(
  ctx: DurableObjectState,
  ports: { readonly snapshot: () => QueueSnapshot; readonly now: () => number },
): LiveView {
  // Sockets outlive the object's sleep.
  let isWatched = ctx.getWebSockets().length > 0;
  let isDue = false;
  let sentAt = 0;
  ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));

  function send(): void {
    isDue = false;
    sentAt = ports.now();
    const sample = JSON.stringify(ports.snapshot());
    for (const socket of ctx.getWebSockets()) {
      try {
        socket.send(sample);
      } catch {
        // It is closing; `closed` comes next.
      }
    }
  }

  return {
    open(request) {
      if (request.headers.get("upgrade")?.toLowerCase() !== "websocket")
        return new Response(null, { status: UPGRADE_REQUIRED, headers: { upgrade: "websocket" } });
      const { 0: client, 1: server } = new WebSocketPair();
      ctx.acceptWebSocket(server);
      isWatched = true;
      server.send(JSON.stringify(ports.snapshot()));
      return new Response(null, { status: SWITCHING_PROTOCOLS, webSocket: client });
    },
    changed() {
      if (!isWatched || isDue) return;
      isDue = true;
      setTimeout(send, Math.max(0, sentAt + SAMPLE_EVERY_MS - ports.now()));
    },
    closed() {
      isWatched = ctx.getWebSockets().length > 0;
    },
  };
}
