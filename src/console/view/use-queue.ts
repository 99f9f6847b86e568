/** A tenant's queue while the screen is open: the last snapshot, when it came, and how many requests have ended since `reset`. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { QueueSnapshot } from "../../limits/protocol.ts";
import { type LiveState, watchQueue } from "../data/queue.ts";

export interface LiveQueue {
  readonly snapshot: QueueSnapshot | undefined;
  /** Epoch milliseconds; waits have grown by the time since then. */
  readonly receivedAt: number;
  readonly state: LiveState;
  readonly endedCount: number;
  readonly resetEnded: () => void;
}

/** Nothing is watched while `tenant` is null. */
export function useQueue(tenant: string | null): LiveQueue {
  const [received, setReceived] = useState<{ readonly snapshot: QueueSnapshot; readonly at: number }>();
  const [state, setState] = useState<LiveState>("connecting");
  const [endedCount, setEndedCount] = useState(0);
  const underWay = useRef<ReadonlySet<string>>(new Set());
  useEffect(() => {
    setReceived(undefined);
    underWay.current = new Set();
    if (tenant === null) return undefined;
    return watchQueue(
      tenant,
      (snapshot) => {
        const present = new Set([...snapshot.waiting, ...snapshot.holding].map(({ requestId }) => requestId));
        const ended = [...underWay.current].filter((id) => !present.has(id)).length;
        underWay.current = present;
        if (ended > 0) setEndedCount((count) => count + ended);
        setReceived({ snapshot, at: Date.now() });
      },
      setState,
    );
  }, [tenant]);
  return {
    snapshot: received?.snapshot,
    receivedAt: received?.at ?? 0,
    state,
    endedCount,
    resetEnded: () => setEndedCount(0),
  };
}
