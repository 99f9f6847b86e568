/**
 * An isolate's side of the outboxes: what it has counted and not yet told, which circuits are open, and the calls that
 * tell. Called by exporter.ts. Holds plain data between requests, since on Workers a promise of one request may not be
 * awaited in another.
 *
 * Counts travel with the next call and are never told twice: each call has an id, and one that got no answer is repeated
 * under the same id until it does.
 */

import {
  createExportCounter,
  type ExportCounter,
  type ExportStatus,
  type OpenCounter,
} from "./export-counters.ts";
import {
  OPERATOR_NAME,
  OPERATOR_OUTBOX,
  STORE_NAME,
  type HandedBatch,
  type TraceOutboxPort,
  type Push,
  type PushAnswer,
} from "./outbox-port.ts";

export interface OutboxClient {
  /** The counter of a tenant's destination; of the operator's when the tenant is undefined. */
  counter(tenantId: string | undefined, destination: string): ExportCounter;
  /** Whether the outbox has said to keep off the destination for now. */
  isOpen(tenantId: string | undefined, destination: string): boolean;
  /** Gives a batch away, counting it as handed over; a batch that can't be given away is counted as lost. */
  handOver(tenantId: string | undefined, batch: HandedBatch): Promise<void>;
  /** Tells a tenant's news in a while, unless another request is about to. */
  reportSoon(tenantId: string | undefined): Promise<void>;
  /** Of all isolates, this one's news included. Rejects when the outbox can't be asked. */
  status(tenantId: string | undefined): Promise<readonly ExportStatus[]>;
}

export interface OutboxClientDeps {
  /** A fresh stub each time: a stub belongs to the request that made it. */
  readonly outboxOf: (tenantId: string) => TraceOutboxPort;
  readonly clock: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** Unique for each call of it, on earth. */
  readonly newId: () => string;
}

/** One call for a tenant's news of so long: an isolate costs each outbox a call a second at the very most. */
export const REPORT_DELAY_MS = 1000;
/** A reporter that has not spoken by now has died with its request; a push without an answer, too. */
export const REPORTER_STALE_MS = 10_000;
/** Between the tries of one push. */
const PUSH_PAUSES_MS = [200, 1000];
/** Pushes under way or without an answer; beyond this an outbox is out of reach, and batches are counted as lost. */
const MAX_OPEN_PUSHES = 64;
/**
 * The tenant's own store is told of less often: with nothing else to tell, a call per request would cost more than
 * what it says. Drops are told at once.
 */
const STORE_NEWS_TRACES = 200;
const STORE_NEWS_MS = 60_000;

interface Tenant {
  readonly id: string;
  readonly counters: Map<string, OpenCounter>;
  openUntil: ReadonlyMap<string, number>;
  /** Without an answer so far, and without their batches: those are the memory of the request that sent them. */
  readonly openPushes: Map<string, { readonly push: Push; sentAt: number }>;
  reporterSince: number | undefined;
  storeToldAt: number;
}

export function createOutboxClient({ outboxOf, clock, sleep, newId }: OutboxClientDeps): OutboxClient {
  const tenants = new Map<string, Tenant>();
  let isolate: string | undefined;

  function tenantOf(id: string = OPERATOR_OUTBOX): Tenant {
    let tenant = tenants.get(id);
    if (tenant === undefined) {
      tenant = {
        id,
        counters: new Map(),
        openUntil: new Map(),
        openPushes: new Map(),
        reporterSince: undefined,
        storeToldAt: clock(),
      };
      tenants.set(id, tenant);
    }
    return tenant;
  }

  function counterOf(tenant: Tenant, destination: string): OpenCounter {
    let counter = tenant.counters.get(destination);
    if (counter === undefined) tenant.counters.set(destination, (counter = createExportCounter()));
    return counter;
  }

  function hasNews({ counters, openPushes, storeToldAt }: Tenant): boolean {
    const now = clock();
    for (const { sentAt } of openPushes.values()) if (now - sentAt >= REPORTER_STALE_MS) return true;
    for (const [name, { news, hasLoss, owed }] of counters) {
      if (news === 0) continue;
      if (name !== STORE_NAME || hasLoss || owed > 0) return true;
      if (news >= STORE_NEWS_TRACES || now - storeToldAt >= STORE_NEWS_MS) return true;
    }
    return false;
  }

  function writePush(tenant: Tenant): Push {
    const counts: Record<string, NonNullable<ReturnType<OpenCounter["take"]>>> = {};
    for (const [name, counter] of tenant.counters) {
      const taken = counter.take();
      if (taken !== undefined) counts[name] = taken;
    }
    tenant.storeToldAt = clock();
    return { id: newId(), isolate: (isolate ??= newId()), tenantId: tenant.id, counts };
  }

  /** Sends a push, with its batch where it has one. Never throws: without an answer it stays open. */
  async function send(tenant: Tenant, push: Push, batch?: HandedBatch): Promise<void> {
    const open = { push, sentAt: clock() };
    tenant.openPushes.set(push.id, open);
    for (const pauseMs of [...PUSH_PAUSES_MS, undefined]) {
      try {
        const answer = await outboxOf(tenant.id).push(batch === undefined ? push : { ...push, batch });
        learn(tenant, push.id, answer);
        return;
      } catch {
        if (pauseMs === undefined) return;
        await sleep(pauseMs);
        open.sentAt = clock();
      }
    }
  }

  function learn(tenant: Tenant, pushId: string, { openUntil }: PushAnswer): void {
    tenant.openPushes.delete(pushId);
    tenant.openUntil = new Map(Object.entries(openUntil));
  }

  async function tellNews(tenant: Tenant): Promise<void> {
    const staleBefore = clock() - REPORTER_STALE_MS;
    const stale = [...tenant.openPushes.values()].filter(({ sentAt }) => sentAt <= staleBefore);
    await Promise.all(stale.map(({ push }) => send(tenant, push)));
    if (tenant.openPushes.size >= MAX_OPEN_PUSHES) return;
    if ([...tenant.counters.values()].some(({ news }) => news > 0)) await send(tenant, writePush(tenant));
  }

  return {
    counter: (tenantId, destination) => counterOf(tenantOf(tenantId), destination),
    isOpen(tenantId, destination) {
      const until = tenants.get(tenantId ?? OPERATOR_OUTBOX)?.openUntil.get(destination);
      return until !== undefined && clock() < until;
    },
    async handOver(tenantId, batch) {
      const tenant = tenantOf(tenantId);
      const counter = counterOf(tenant, batch.destination);
      if (tenant.openPushes.size >= MAX_OPEN_PUSHES) return counter.drop(batch.traces, "outbox_error");
      // Counted and taken in one step: the push that says so is the one that brings it.
      counter.handOver(batch.traces);
      await send(tenant, writePush(tenant), batch);
    },
    async reportSoon(tenantId) {
      const tenant = tenantOf(tenantId);
      if (!hasNews(tenant)) return;
      const now = clock();
      if (tenant.reporterSince !== undefined && now - tenant.reporterSince < REPORTER_STALE_MS) return;
      tenant.reporterSince = now;
      await sleep(REPORT_DELAY_MS);
      tenant.reporterSince = undefined;
      await tellNews(tenant);
    },
    async status(tenantId) {
      const tenant = tenantOf(tenantId);
      await tellNews(tenant);
      const items = await outboxOf(tenant.id).status();
      // The operator's destination and the store of the unknown share an outbox, and have two owners.
      const other = tenantId === undefined ? STORE_NAME : OPERATOR_NAME;
      return items.filter(({ destination }) => destination !== other);
    },
  };
}
