/**
 * An isolate's client of the trace outboxes: counts not yet reported, circuits known to be open, and the calls
 * that report. Plain data between requests, since on Workers a promise of one request may not be awaited in
 * another.
 *
 * Counts are sent with the next call and counted once: each call has an id and is repeated under it until it is
 * answered.
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
  /** Whether the destination's circuit is open, as far as the outbox has reported. */
  isOpen(tenantId: string | undefined, destination: string): boolean;
  /** Hands a batch to the outbox and counts it so; a batch the outbox can't take is counted as dropped. */
  handOver(tenantId: string | undefined, batch: HandedBatch): Promise<void>;
  /** Reports a tenant's counts after a delay, unless another request is about to. */
  reportSoon(tenantId: string | undefined): Promise<void>;
  /** Drops a tenant's counts: the next ones begin at zero. */
  forget(tenantId: string): void;
  /** Over all isolates, this one's counts included. Rejects when the outbox is unreachable. */
  status(tenantId: string | undefined): Promise<readonly ExportStatus[]>;
}

export interface OutboxClientDeps {
  /** A fresh stub each time: a stub belongs to the request that made it. */
  readonly outboxOf: (tenantId: string) => TraceOutboxPort;
  readonly clock: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** Globally unique. */
  readonly newId: () => string;
}

/** An isolate reports to each outbox at most once in this time. */
export const REPORT_DELAY_MS = 1000;
/** A reporter that has not reported by now died with its request; so did a push without an answer. */
export const REPORTER_STALE_MS = 10_000;
/** Pauses between the tries of one push. */
const PUSH_PAUSES_MS = [200, 1000];
/** Unanswered pushes; above this, the outbox counts as unreachable and batches are dropped. */
const MAX_OPEN_PUSHES = 64;
/**
 * Counts of the tenant's own store are reported less often: without other counts, a call per request would cost
 * too much. Drops are reported at once.
 */
const STORE_REPORT_TRACES = 200;
const STORE_REPORT_MS = 60_000;

/** Tenants remembered at least: some 3.5 KB each. */
const MIN_TENANTS = 1000;
const OVERDUE_PER_REPORT = 10;

interface Tenant {
  readonly id: string;
  readonly counters: Map<string, OpenCounter>;
  openUntil: ReadonlyMap<string, number>;
  /** Unanswered pushes, without their batches, which only the sending request holds. */
  readonly openPushes: Map<string, { readonly push: Push; sentAt: number }>;
  reporterSince: number | undefined;
  storeReportedAt: number;
}

export function createOutboxClient({ outboxOf, clock, sleep, newId }: OutboxClientDeps): OutboxClient {
  const tenants = new Map<string, Tenant>();
  let isolate: string | undefined;
  let sweepAt = MIN_TENANTS;
  /** Tenants without new traces, whose last counts no request of theirs reports: other requests do, so that they are forgotten. */
  let overdue: Tenant[] = [];

  /** Forgets the tenants that everything was reported for. Their number may double before it looks again. */
  function forgetIdle(): void {
    overdue = [];
    for (const [id, tenant] of tenants) {
      if (isIdle(tenant)) tenants.delete(id);
      else if (clock() - tenant.storeReportedAt >= STORE_REPORT_MS) overdue.push(tenant);
    }
    sweepAt = Math.max(MIN_TENANTS, 2 * tenants.size);
  }

  function isIdle({ counters, openUntil, openPushes, reporterSince }: Tenant): boolean {
    if (openPushes.size > 0 || reporterSince !== undefined) return false;
    for (const { unreported, unsettled } of counters.values()) if (unreported + unsettled > 0) return false;
    for (const until of openUntil.values()) if (clock() < until) return false;
    return true;
  }

  function tenantOf(id: string = OPERATOR_OUTBOX): Tenant {
    let tenant = tenants.get(id);
    if (tenant === undefined) {
      tenant = {
        id,
        counters: new Map(),
        openUntil: new Map(),
        openPushes: new Map(),
        reporterSince: undefined,
        storeReportedAt: clock(),
      };
      if (tenants.size >= sweepAt) forgetIdle();
      tenants.set(id, tenant);
    }
    return tenant;
  }

  function counterOf(tenant: Tenant, destination: string): OpenCounter {
    let counter = tenant.counters.get(destination);
    if (counter === undefined) tenant.counters.set(destination, (counter = createExportCounter()));
    return counter;
  }

  function hasUnreported({ counters, openPushes, storeReportedAt }: Tenant): boolean {
    const now = clock();
    for (const { sentAt } of openPushes.values()) if (now - sentAt >= REPORTER_STALE_MS) return true;
    for (const [name, { unreported, hasDrops, unsettled }] of counters) {
      if (unreported === 0) continue;
      if (name !== STORE_NAME || hasDrops || unsettled > 0) return true;
      if (unreported >= STORE_REPORT_TRACES || now - storeReportedAt >= STORE_REPORT_MS) return true;
    }
    return false;
  }

  function writePush(tenant: Tenant): Push {
    const counts: Record<string, NonNullable<ReturnType<OpenCounter["take"]>>> = {};
    for (const [name, counter] of tenant.counters) {
      const taken = counter.take();
      if (taken !== undefined) counts[name] = taken;
    }
    tenant.storeReportedAt = clock();
    return { id: newId(), isolate: (isolate ??= newId()), tenantId: tenant.id, counts };
  }

  /** Sends a push, with its batch where it has one. Never throws: an unanswered push stays open. */
  async function send(tenant: Tenant, push: Push, batch?: HandedBatch): Promise<void> {
    const open = { push, sentAt: clock() };
    tenant.openPushes.set(push.id, open);
    for (const pauseMs of [...PUSH_PAUSES_MS, undefined]) {
      try {
        const answer = await outboxOf(tenant.id).push(batch === undefined ? push : { ...push, batch });
        readAnswer(tenant, push.id, answer);
        return;
      } catch {
        if (pauseMs === undefined) return;
        await sleep(pauseMs);
        open.sentAt = clock();
      }
    }
  }

  function readAnswer(tenant: Tenant, pushId: string, { openUntil }: PushAnswer): void {
    tenant.openPushes.delete(pushId);
    tenant.openUntil = new Map(Object.entries(openUntil));
  }

  async function reportNow(tenant: Tenant): Promise<void> {
    const staleBefore = clock() - REPORTER_STALE_MS;
    const stale = [...tenant.openPushes.values()].filter(({ sentAt }) => sentAt <= staleBefore);
    await Promise.all(stale.map(({ push }) => send(tenant, push)));
    if (tenant.openPushes.size >= MAX_OPEN_PUSHES) return;
    if ([...tenant.counters.values()].some(({ unreported }) => unreported > 0))
      await send(tenant, writePush(tenant));
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
      // Counted and written in one step: the push that counts the batch is the one that carries it.
      counter.handOver(batch.traces);
      await send(tenant, writePush(tenant), batch);
    },
    async reportSoon(tenantId) {
      const tenant = tenantOf(tenantId);
      if (!hasUnreported(tenant)) return;
      const now = clock();
      if (tenant.reporterSince !== undefined && now - tenant.reporterSince < REPORTER_STALE_MS) return;
      tenant.reporterSince = now;
      await sleep(REPORT_DELAY_MS);
      tenant.reporterSince = undefined;
      await Promise.all([tenant, ...overdue.splice(0, OVERDUE_PER_REPORT)].map(reportNow));
    },
    forget(tenantId) {
      tenants.delete(tenantId);
      overdue = overdue.filter(({ id }) => id !== tenantId);
    },
    async status(tenantId) {
      const tenant = tenantOf(tenantId);
      await reportNow(tenant);
      const items = await outboxOf(tenant.id).status();
      // The operator's destination and the store for unknown tenants share an outbox but are reported apart.
      const other = tenantId === undefined ? STORE_NAME : OPERATOR_NAME;
      return items.filter(({ destination }) => destination !== other);
    },
  };
}
