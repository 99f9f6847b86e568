/** The tenant's queue, live: the gateway pushes a snapshot after each change, at most once a second. */

import type { QueueSnapshot } from "../../limits/protocol.ts";
import { sendJson } from "./api.ts";

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 15_000;

export type LiveState = "connecting" | "live" | "lost";

/** Watches until the returned function is called. A lost connection is tried again, with pauses that double. */
export function watchQueue(
  tenant: string,
  onSnapshot: (snapshot: QueueSnapshot) => void,
  onState: (state: LiveState) => void,
): () => void {
  let retryMs = FIRST_RETRY_MS;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let socket: WebSocket | undefined;
  let isOver = false;

  function connect(): void {
    const url = new URL(`/admin/tenants/${encodeURIComponent(tenant)}/queue/live`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    socket = new WebSocket(url);
    socket.addEventListener("message", ({ data }) => {
      retryMs = FIRST_RETRY_MS;
      onState("live");
      onSnapshot(JSON.parse(String(data)) as QueueSnapshot);
    });
    socket.addEventListener("close", () => {
      if (isOver) return;
      onState("lost");
      timer = setTimeout(connect, retryMs);
      retryMs = Math.min(LONGEST_RETRY_MS, retryMs * 2);
    });
  }

  onState("connecting");
  connect();
  return () => {
    isOver = true;
    clearTimeout(timer);
    socket?.close();
  };
}

/** Refuses new requests for a time; with `drop` those that wait too. 0 seconds ends it. */
export function drainQueue(
  tenant: string,
  forSeconds: number,
  waiting: "finish" | "drop" = "finish",
): Promise<unknown> {
  return sendJson("POST", `/admin/tenants/${encodeURIComponent(tenant)}/queue/drain`, {
    forSeconds,
    waiting,
  });
}

/** Limits in place of the record's for a time; 0 seconds ends it. */
export function raiseLimits(
  tenant: string,
  limits: Readonly<Record<string, number>>,
  forSeconds: number,
): Promise<unknown> {
  return sendJson("POST", `/admin/tenants/${encodeURIComponent(tenant)}/queue/limits`, {
    limits,
    forSeconds,
  });
}
