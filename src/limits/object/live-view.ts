/**
 * The live view of a tenant's queue: hibernatable WebSockets that receive a sample after a change, at most one a second.
 * An object without traffic may hibernate while it is watched. A watcher whose admin token was revoked, or has expired, gets
 * no sample 15 s later, and its socket is closed in place of the next one.
 */

import { isTokenId } from "../../tenants/key-format.ts";
import type { QueueSnapshot } from "../protocol.ts";

/** Faster than this it is unreadable. */
const SAMPLE_EVERY_MS = 1000;
/** How long a watcher's admin token is taken to be what it was: as long as a lease of a request lives without renewal. */
const TRUSTED_MS = 15_000;
/** RFC 6455, section 7.4.1: the endpoint has a policy against it. */
const POLICY_VIOLATION = 1008;
const SWITCHING_PROTOCOLS = 101;
const UPGRADE_REQUIRED = 426;

/** What a socket keeps while the object sleeps. */
interface Watcher {
  /** The admin's token, by id; another name for ADMIN_TOKEN, whose change ends all sockets by itself: it is a deployment. */
  readonly actor: string;
  /** When the token was last known to be valid. Ms since the epoch. */
  readonly checkedAt: number;
}

export interface LiveView {
  /** Answers a WebSocket upgrade; the first sample is sent at once. `?actor=` is who watches. */
  open(request: Request): Response;
  /** Something may have changed. */
  changed(): void;
  /** A watcher has disconnected. */
  closed(): void;
}

export function createLiveView(
  ctx: DurableObjectState,
  ports: {
    readonly snapshot: () => QueueSnapshot;
    readonly isTokenValid: (id: string) => Promise<boolean>;
    readonly now: () => number;
  },
): LiveView {
  // Sockets outlive the object's sleep.
  let isWatched = ctx.getWebSockets().length > 0;
  let isDue = false;
  let sentAt = 0;
  ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));

  /** Rejects where the directory can't be reached. */
  async function mayWatch(socket: WebSocket): Promise<boolean> {
    // `open` has attached it.
    const { actor, checkedAt } = socket.deserializeAttachment() as Watcher;
    const now = ports.now();
    if (!isTokenId(actor) || now - checkedAt < TRUSTED_MS) return true;
    if (!(await ports.isTokenValid(actor))) return false;
    socket.serializeAttachment({ actor, checkedAt: now } satisfies Watcher);
    return true;
  }

  async function sendTo(socket: WebSocket, sample: string): Promise<void> {
    try {
      if (await mayWatch(socket)) socket.send(sample);
      else socket.close(POLICY_VIOLATION, "The admin token was revoked or has expired.");
    } catch {
      // It is closing, and `closed` comes next; or the token can't be checked, and the next sample is tried.
    }
  }

  function send(): void {
    isDue = false;
    sentAt = ports.now();
    const sample = JSON.stringify(ports.snapshot());
    for (const socket of ctx.getWebSockets()) void sendTo(socket, sample);
  }

  return {
    open(request) {
      if (request.headers.get("upgrade")?.toLowerCase() !== "websocket")
        return new Response(null, { status: UPGRADE_REQUIRED, headers: { upgrade: "websocket" } });
      const { 0: client, 1: server } = new WebSocketPair();
      ctx.acceptWebSocket(server);
      const actor = new URL(request.url).searchParams.get("actor") ?? "";
      server.serializeAttachment({ actor, checkedAt: ports.now() } satisfies Watcher);
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
