/**
 * The gateway's side of a tenant's queue: admission by a prefetched lease or by a call, `cancel` when the client leaves,
 * sleep until the start time, settlements at once or piggybacked, and the lease's heartbeat. Decides nothing about
 * limits, nor what happens when the queue can't be reached.
 */

import type { BudgetAlert, Expense } from "../budget-protocol.ts";
import type { HeartbeatHooks } from "./heartbeat.ts";
import { updatesOf, type Piggyback } from "./piggyback-buffer.ts";
import { createTenantStates } from "./tenant-state.ts";
import {
  NO_WAIT,
  type AdmissionReply,
  type AdmissionRequest,
  type Lease,
  type ObjectState,
  type QueueRpc,
  type Refused,
  type RenewReply,
  type SettleReply,
  type Settlement,
  type WaitRecord,
} from "../protocol.ts";
import { alertsOf, cancelled, NO_ALERTS, returned } from "./queue-replies.ts";
import { createUsageNotes, type NoteUsage } from "./usage-notes.ts";
import { createQueueCall, QueueUnreachable } from "./queue-call.ts";
import {
  orTimeout,
  sleepUnlessAborted,
  startRealTimer,
  unlessAborted,
  type StartTimer,
} from "../../runtime/waits.ts";
import { circuitsFor } from "../../targets/isolate-circuits.ts";
import type { SharedTargets } from "../../targets/targets.ts";

export { QueueUnreachable } from "./queue-call.ts";

/** Beyond the object's own time: the network both ways, and its start. */
const RPC_MARGIN_MS = 3000;
/** The object's first word comes sooner, be it only that it lives. */
const FIRST_WORD_MS = 2000;
/** How often a waiting request checks that the object lives, unless another has heard of it. */
const STILL_THERE_MS = 5000;
/** How long to wait for the record of a wait after its client has left. */
const FAREWELL_MS = 1000;
/** After this, what may be piggybacked is sent by itself. */
const LATE_MS = 1000;
/** A sender that has not sent by now has died with its request; another one takes over. */
const SENDER_LOST_MS = 4 * LATE_MS;

export interface QueueClientDeps {
  /** A new stub of the tenant's object each time: a broken one stays broken. A location hint belongs here. */
  readonly queueOf: (tenantId: string) => QueueRpc;
  readonly now: () => number;
  readonly startTimer?: StartTimer;
}

export interface TenantQueueClient {
  /**
   * Waits as long as the request allows, and until its start time. Replies `cancelled` when `signal` fires. Throws
   * QueueUnreachable. `target` is the one that the request will call first: a probe of it is claimed with the same call.
   */
  admit(ask: AdmissionRequest, signal: AbortSignal, target?: string): Promise<AdmissionReply>;
  /** For a request that goes without the object: the refusal by the last known rates, if they are used up. */
  admitAlone(ask: AdmissionRequest): Refused | undefined;
  /** Whether the last request of that key and lane was refused, and its `Retry-After` is still to come. */
  isBlocked(ask: Pick<AdmissionRequest, "keyId" | "lane">): boolean;
  /**
   * Ends the lease, now or, where its admission allows it, with the isolate's next call. Returns the alerts that it caused,
   * as far as they are known. Throws QueueUnreachable; a lost settlement leaves the lease to expire.
   */
  settle(settlement: Settlement, canBeLate: boolean): Promise<readonly BudgetAlert[]>;
  /** Records money spent outside any lease; sent with the isolate's next call. */
  spend(expense: Expense): void;
  /** Renews a lease until the returned function is called. */
  keepAlive(lease: Lease, hooks?: HeartbeatHooks): () => void;
  /** Sends what is to be sent. Never throws. */
  flush(): Promise<void>;
  readonly targets: SharedTargets;
}

export interface QueueClient {
  /** `defer` lets work outlive the request: `waitUntil`. `startHeartbeat`: the request's own timer for its lease. */
  forTenant(
    tenantId: string,
    defer: (work: Promise<unknown>) => void,
    generation?: number,
    startHeartbeat?: StartTimer,
  ): TenantQueueClient;
  /** Counts a request without a lease in its tenant's usage; sent with the isolate's next call, or within seconds. */
  readonly note: NoteUsage;
}

/** One for all requests of an isolate; holds no I/O of any of them. */
export function createQueueClient(deps: QueueClientDeps): QueueClient {
  const { queueOf, now, startTimer = startRealTimer } = deps;
  const call = createQueueCall({ queueOf, now, startTimer });
  const stateOf = createTenantStates(now);

  function forTenant(
    tenantId: string,
    defer: (work: Promise<unknown>) => void,
    generation = 0,
    startHeartbeat = startTimer,
  ): TenantQueueClient {
    const state = stateOf(tenantId, generation);
    const { prefetched, buffer, concurrency, circuits, availability, localLimits } = state;

    /** Applies what a reply says of the object; `mark` is from before its call. */
    function learn({ epoch, ledger, cooldowns, openCircuits }: ObjectState, mark: number): void {
      availability.heard(now());
      for (const cooldown of cooldowns ?? []) concurrency.coolDown(cooldown, now());
      if (epoch !== state.epoch) {
        circuits.resend(now());
        if (state.epoch !== 0) buffer.resend(ledger, now());
        state.epoch = epoch;
      }
      if (!buffer.isEmpty) sendSoon();
      circuits.receive(openCircuits, mark, now());
    }

    /** A call that carries the isolate's updates; they are put back where it fails. */
    async function callWithUpdates<T extends ObjectState>(
      ms: number,
      run: (queue: QueueRpc, piggyback: Piggyback) => Promise<T>,
    ): Promise<T> {
      buffer.giveBack(prefetched.takeUnused(now()));
      const mark = circuits.mark(now());
      const piggyback = buffer.take();
      try {
        const answer = await call(tenantId, ms, (queue) => run(queue, piggyback));
        learn(answer, mark);
        buffer.delivered(piggyback, answer.ledger, now());
        return answer;
      } catch (thrown) {
        if (thrown instanceof QueueUnreachable) availability.failed(thrown.reason, now());
        buffer.putBack(piggyback);
        if (!buffer.isEmpty) sendSoon();
        throw thrown;
      }
    }

    /** Sends the buffer within a second, by this request's `waitUntil` unless another's is already going to. */
    function sendSoon(): void {
      if (now() - state.senderSince < SENDER_LOST_MS) return;
      state.senderSince = now();
      defer(new Promise<void>((resolve) => startTimer(LATE_MS, resolve)).then(sendAll));
    }

    /** What could not be sent is put back, for another sender. */
    async function sendAll(): Promise<void> {
      state.senderSince = -Infinity;
      buffer.giveBack(prefetched.takeUnused(now()));
      if (!buffer.isEmpty) await send().catch(() => {});
      if (prefetched.hasLeases) sendSoon();
    }

    async function send(): Promise<SettleReply> {
      const closedBy = availability.closedBy(now());
      if (closedBy !== undefined) {
        sendSoon();
        throw new QueueUnreachable(closedBy);
      }
      return callWithUpdates(RPC_MARGIN_MS, (queue, piggyback) =>
        queue.settle(piggyback.settles, updatesOf(piggyback, now())),
      );
    }

    async function admit(
      ask: AdmissionRequest,
      signal: AbortSignal,
      target?: string,
    ): Promise<AdmissionReply> {
      if (signal.aborted) return cancelled(ask, NO_WAIT, state);
      // Each failure is sent before the next request starts, or a dead target would cost each isolate five calls.
      const leased = buffer.isUrgent ? undefined : prefetched.take(ask, now());
      if (leased !== undefined) {
        const { requestId, traceId, spanId } = ask;
        buffer.start({ leaseId: leased.lease.id, requestId, traceId, spanId });
        sendSoon();
        return leased;
      }
      const refused = localLimits.refusal(ask, now());
      if (refused !== undefined) return refused;
      const closedBy = availability.closedBy(now());
      if (closedBy !== undefined) throw new QueueUnreachable(closedBy);
      if (target !== undefined) circuits.want(target, ask.keyId, ask.requestId, now());
      return admitByCall(ask, signal);
    }

    async function admitByCall(ask: AdmissionRequest, signal: AbortSignal): Promise<AdmissionReply> {
      const startedAt = now();
      const sinceStart = (): WaitRecord => ({ ...NO_WAIT, waitMs: now() - startedAt });
      const prefetchCount = prefetched.prefetchCount(ask.keyId);
      const work = callWithUpdates(ask.maxWaitMs + RPC_MARGIN_MS, (queue, piggyback) => {
        const maxWaitMs = Math.max(0, ask.maxWaitMs - (now() - startedAt));
        const updates = updatesOf(piggyback, now());
        return queue.admit({
          ...ask,
          maxWaitMs,
          settles: piggyback.settles,
          ...(updates !== undefined && { updates }),
          ...(prefetchCount > 0 && { prefetchCount }),
        });
      });
      const answer = await unlessAborted(unlessSilent(work, startedAt), signal).catch((thrown: unknown) => {
        // It may have been admitted, or still be, and its caller has given up.
        const reason = thrown instanceof QueueUnreachable && thrown.reason;
        if (reason === "timeout") defer(cancel(ask.requestId));
        if (reason === "failed") cancelLater(ask.requestId);
        throw thrown;
      });
      if (answer === undefined) {
        defer(cancel(ask.requestId));
        const last = await orTimeout(work, FAREWELL_MS, startTimer).catch(() => undefined);
        return cancelled(ask, last?.wait ?? sinceStart(), state);
      }
      if (answer.kind === "refused") localLimits.noteRefused(ask, answer, now());
      if (answer.kind !== "admitted") return answer;
      localLimits.noteAdmitted(ask);
      if (prefetched.keep(ask.keyId, answer, now())) sendSoon();
      if (answer.goInMs <= 0) return answer;
      if (await sleepUnlessAborted(answer.goInMs, signal, startTimer)) return answer;
      // A lease that expires would count as a request that died: it is returned again until the object has it.
      buffer.settle(returned(ask, answer.lease.id));
      defer(send().catch(() => {}));
      return cancelled(ask, { ...answer.wait, waitMs: now() - startedAt }, state);
    }

    /** Settles as `work` does. Rejects early where the object says nothing at all: a request that waits hears of it too. */
    function unlessSilent<T>(work: Promise<T>, startedAt: number): Promise<T> {
      return new Promise((resolve, reject) => {
        let stop = startTimer(FIRST_WORD_MS, check);
        work.finally(() => stop()).then(resolve, reject);

        function check(): void {
          stop = startTimer(STILL_THERE_MS, check);
          if (availability.heardAt >= Math.max(startedAt, now() - FIRST_WORD_MS)) return;
          call(tenantId, FIRST_WORD_MS, (queue) => queue.configVersion()).then(
            () => availability.heard(now()),
            (thrown: unknown) => {
              stop();
              if (thrown instanceof QueueUnreachable) availability.failed(thrown.reason, now());
              reject(thrown);
            },
          );
        }
      });
    }

    /** Undoes an admission that the object may have made, or may still make. Never rejects. */
    async function cancel(requestId: string): Promise<void> {
      await call(tenantId, RPC_MARGIN_MS, (queue) => queue.cancel(requestId)).catch(() =>
        cancelLater(requestId),
      );
    }

    /** A lease that expires would count as a request that died. */
    function cancelLater(requestId: string): void {
      buffer.cancel(requestId);
      sendSoon();
    }

    async function renew(leaseIds: readonly string[], isStrict: boolean): Promise<RenewReply> {
      const reply = await call(tenantId, RPC_MARGIN_MS, (queue) => queue.renew(leaseIds, isStrict));
      // It carries no updates, so what the reply doesn't mention may still be so.
      learn(reply, 0);
      return reply;
    }

    return {
      admit,
      admitAlone: (ask) => localLimits.admitAlone(ask, now()),
      isBlocked: (ask) => localLimits.isBlocked(ask, now()),
      async settle(settlement, canBeLate) {
        buffer.settle(settlement);
        if (!canBeLate) return alertsOf(await send(), settlement);
        sendSoon();
        return NO_ALERTS;
      },
      spend(expense) {
        buffer.spend(expense);
        sendSoon();
      },
      keepAlive: ({ id }, hooks = {}) =>
        state.heartbeats.start(id, { now, startTimer: startHeartbeat, renew }, hooks),
      flush: sendAll,
      targets: {
        concurrency,
        circuits: circuitsFor(circuits, { now, send, sendSoon, isReachable: () => availability.isReachable }),
      },
    };
  }

  return { forTenant, note: createUsageNotes({ stateOf, forTenant, now, startTimer }) };
}
