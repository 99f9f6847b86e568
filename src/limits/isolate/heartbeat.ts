/** Renews one lease for as long as its request lives, and passes on what the replies say. */

import { LEASE_RENEW_MS } from "../protocol.ts";
import type { StartTimer } from "../../runtime/waits.ts";

export interface HeartbeatHooks {
  /** The lease is no longer in force: its holder must stop. */
  readonly onLost?: () => void;
  /** The newest version of the tenant's records that the object has received. */
  readonly onVersion?: (version: number) => void;
}

export interface Renewal {
  readonly isLost: boolean;
  readonly configVersion: number;
}

/** Renews until the returned function is called, or the lease is lost. `renew` may reject. */
export function startHeartbeat(
  renew: () => Promise<Renewal>,
  startTimer: StartTimer,
  { onLost, onVersion }: HeartbeatHooks,
): () => void {
  let stop = startTimer(LEASE_RENEW_MS, beat);
  let isStopped = false;

  function end(): void {
    isStopped = true;
    stop();
  }

  async function renewOnce(): Promise<void> {
    const { isLost, configVersion } = await renew();
    if (isStopped) return;
    onVersion?.(configVersion);
    if (!isLost) return;
    end();
    onLost?.();
  }

  function beat(): void {
    stop = startTimer(LEASE_RENEW_MS, beat);
    // The next renewal makes up for a lost one: a lease lives for three of them.
    renewOnce().catch(() => {});
  }

  return end;
}
