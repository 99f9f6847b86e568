/**
 * Renews the leases of one tenant's running requests in this isolate for as long as they run. Each request has a timer of
 * its own, since it may not use another's; the one that fires first renews all leases that are due with one call, and the
 * others find that it did. Shared plain data, no promises of one request in another.
 */

import { LEASE_RENEW_MS, type RenewReply } from "../protocol.ts";
import type { StartTimer } from "../../runtime/waits.ts";

/** A lease is renewed along with others from this age on. */
const MIN_AGE_MS = LEASE_RENEW_MS / 2;
/** A renewal without a reply by then has died with its request: another request renews. */
const RENEWAL_LOST_MS = 5000;
/** Lease ids of one call. */
const MAX_IDS = 1000;

export interface HeartbeatHooks {
  /**
   * The lease's slot was given to another request, and this one must stop. Where it is absent the slot is taken back
   * instead, over the limits if need be.
   */
  readonly onLost?: () => void;
  /** The newest version of the tenant's records that the object has received. */
  readonly onVersion?: (version: number) => void;
}

/** What a request lends for its own heartbeat. */
export interface HeartbeatPorts {
  readonly now: () => number;
  readonly startTimer: StartTimer;
  /** May reject. With `isStrict` a lease is lost whose slot was given to another request. */
  readonly renew: (leaseIds: readonly string[], isStrict: boolean) => Promise<RenewReply>;
}

export interface Heartbeats {
  /** Renews until the returned function is called, or the lease is lost. */
  start(leaseId: string, ports: HeartbeatPorts, hooks: HeartbeatHooks): () => void;
}

interface Renewed {
  renewedAt: number;
  /** When a call for it began that has not replied yet; -Infinity while there is none. */
  callingSince: number;
  isLost: boolean;
}

export function createHeartbeats(): Heartbeats {
  const leases = new Map<string, Renewed>();
  let configVersion = -1;

  function takeDue(now: number): readonly string[] {
    const due: string[] = [];
    for (const [id, lease] of leases) {
      if (due.length === MAX_IDS) break;
      if (now - lease.renewedAt < MIN_AGE_MS || now - lease.callingSince < RENEWAL_LOST_MS) continue;
      lease.callingSince = now;
      due.push(id);
    }
    return due;
  }

  async function renewDue({ now, renew }: HeartbeatPorts, isStrict: boolean): Promise<void> {
    const startedAt = now();
    const ids = takeDue(startedAt);
    if (ids.length === 0) return;
    try {
      const reply = await renew(ids, isStrict);
      configVersion = Math.max(configVersion, reply.configVersion);
      const lost = new Set(reply.lost);
      for (const id of ids) {
        const lease = leases.get(id);
        if (lease === undefined) continue;
        lease.renewedAt = startedAt;
        lease.isLost = lost.has(id);
      }
    } catch {
      // The next heartbeat makes up for a lost one: a lease lives for three of them.
    }
    for (const id of ids) {
      const lease = leases.get(id);
      if (lease !== undefined) lease.callingSince = -Infinity;
    }
  }

  return {
    start(leaseId, ports, { onLost, onVersion }) {
      const { now, startTimer } = ports;
      const lease: Renewed = { renewedAt: now(), callingSince: -Infinity, isLost: false };
      leases.set(leaseId, lease);
      let isStopped = false;
      let stop = startTimer(LEASE_RENEW_MS, beat);

      function end(): void {
        isStopped = true;
        stop();
        leases.delete(leaseId);
      }

      function beat(): void {
        const waitMs = lease.renewedAt + LEASE_RENEW_MS - now();
        stop = startTimer(waitMs > 0 ? waitMs : LEASE_RENEW_MS, beat);
        if (waitMs > 0) tellHolder();
        else void renewDue(ports, onLost !== undefined).then(tellHolder);
      }

      function tellHolder(): void {
        if (isStopped) return;
        if (configVersion >= 0) onVersion?.(configVersion);
        if (!lease.isLost) return;
        end();
        onLost?.();
      }

      return end;
    },
  };
}
