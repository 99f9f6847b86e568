/** What an isolate keeps of each tenant between requests: plain data, shared by all requests, no I/O of any of them. */

import { createConcurrencyLimiter, type ConcurrencyLimiter } from "../../targets/concurrency-limiter.ts";
import { createIsolateCircuits, type IsolateCircuits } from "../../targets/isolate-circuits.ts";
import { type Availability, createAvailability } from "./availability.ts";
import { createHeartbeats, type Heartbeats } from "./heartbeat.ts";
import { createLocalLimits, type LocalLimits } from "./local-limits.ts";
import { createPiggybackBuffer, type PiggybackBuffer } from "./piggyback-buffer.ts";
import { createPrefetchedLeases, type PrefetchedLeases } from "./prefetched-leases.ts";

/** Tenants whose state an isolate keeps; beyond that, those with nothing to send are dropped. */
const MAX_TENANTS = 500;

export interface TenantState {
  readonly prefetched: PrefetchedLeases;
  readonly buffer: PiggybackBuffer;
  readonly concurrency: ConcurrencyLimiter;
  readonly circuits: IsolateCircuits;
  readonly heartbeats: Heartbeats;
  readonly availability: Availability;
  readonly localLimits: LocalLimits;
  /** Of the tenant: how many of its name were deleted before. */
  readonly generation: number;
  /** Of the object that replied last. */
  epoch: number;
  /** Since when a request is going to send the buffer; -Infinity while none is. */
  senderSince: number;
  /** Since when a request is going to send what was noted of the usage; -Infinity while none is. */
  noterSince: number;
}

/** The state of a tenant by its id and generation, made if it is new. */
export function createTenantStates(now: () => number): (tenantId: string, generation: number) => TenantState {
  const tenants = new Map<string, TenantState>();

  return (tenantId, generation) => {
    const known = tenants.get(tenantId);
    if (known?.generation === generation) return known;
    for (const [name, { buffer, prefetched }] of tenants) {
      buffer.forget(now());
      if (tenants.size >= MAX_TENANTS && buffer.isEmpty && !prefetched.hasLeases) tenants.delete(name);
    }
    const buffer = createPiggybackBuffer();
    const state: TenantState = {
      prefetched: createPrefetchedLeases(),
      buffer,
      concurrency: createConcurrencyLimiter((cooldown, at) => buffer.coolDown(cooldown, at)),
      circuits: createIsolateCircuits((update, at) => buffer.learn(update, at)),
      heartbeats: createHeartbeats(),
      availability: createAvailability(),
      localLimits: createLocalLimits(),
      generation,
      epoch: 0,
      senderSince: -Infinity,
      noterSince: -Infinity,
    };
    // What was kept of a deleted tenant is dropped with it: the money that a restarted object might miss is not the new one's.
    // A request of a tenant that was deleted meanwhile gets a state of its own.
    if (known === undefined || known.generation < generation) tenants.set(tenantId, state);
    return state;
  };
}
