/**
 * The gateway's side of a tenant's queue: a fresh stub for each call, a deadline on each, one repetition where the
 * error allows it, `cancel` when the client leaves, sleep until one's moment, and the lease's heartbeat. Decides
 * nothing about limits; what happens when the queue can't be reached is for the caller's tenant to say.
 */

import {
  LEASE_RENEW_MS,
  type AdmissionAnswer,
  type AdmissionAsk,
  type Cancelled,
  type Lease,
  type QueueRpc,
  type Settlement,
  type WaitRecord,
} from "./protocol.ts";

/** Beyond what the object itself needs: the way there and back, and its start. */
const RPC_MARGIN_MS = 3000;
/** After a client has left, its wait's record is worth so much patience. */
const FAREWELL_MS = 1000;
const MAX_ATTEMPTS = 2;

/** Why the queue gave no answer. */
export type UnreachableReason = "timeout" | "overloaded" | "failed";

/** The queue object could not be asked, or did not answer in time. */
export class QueueUnreachable extends Error {
  override readonly name = "QueueUnreachable";
  readonly reason: UnreachableReason;

  constructor(reason: UnreachableReason, cause?: unknown) {
    super(`The tenant's queue gave no answer (${reason}).`, { cause });
    this.reason = reason;
  }
}

/** Runs `run` after `ms`; the returned function stops it. */
type StartTimer = (ms: number, run: () => void) => () => void;

export interface QueueClientDeps {
  /** A new stub of the tenant's object each time: a broken one stays broken. A location hint belongs here. */
  readonly queueOf: (tenantId: string) => QueueRpc;
  readonly now: () => number;
  readonly startTimer?: StartTimer;
}

interface HeartbeatHooks {
  /** The lease is no longer in force: its holder must stop. */
  readonly onLost?: () => void;
  /** The version of the tenant's records that the object knows. */
  readonly onVersion?: (version: number) => void;
}

interface TenantQueueClient {
  /**
   * Waits as long as the ask allows, and until its moment. Answers `cancelled` when `signal` fires. Throws
   * QueueUnreachable.
   */
  admit(ask: AdmissionAsk, signal: AbortSignal): Promise<AdmissionAnswer>;
  /** Ends the lease. Throws QueueUnreachable; a lost one ends by its time limit. */
  settle(settlement: Settlement): Promise<void>;
  /** Takes back an admission that is not needed, as by a cache hit: it costs nothing then. Never throws. */
  cancel(requestId: string): Promise<void>;
  /** Renews a lease until the returned function is called. */
  keepAlive(lease: Lease, hooks?: HeartbeatHooks): () => void;
}

export interface QueueClient {
  /** `defer` lets a `cancel` outlive the request: `waitUntil`. */
  forTenant(tenantId: string, defer: (work: Promise<unknown>) => void): TenantQueueClient;
}

const startRealTimer: StartTimer = (ms, run) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

/** One for all requests of an isolate; holds no I/O of any of them. */
export function createQueueClient({
  queueOf,
  now,
  startTimer = startRealTimer,
}: QueueClientDeps): QueueClient {
  /** Settles as `work` does, or throws `timeout`. */
  function within<T>(work: Promise<T>, ms: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const stop = startTimer(Math.max(0, ms), () => reject(new QueueUnreachable("timeout")));
      work.then(resolve, reject).finally(stop);
    });
  }

  async function call<T>(tenantId: string, ms: number, run: (queue: QueueRpc) => Promise<T>): Promise<T> {
    const deadlineAt = now() + ms;
    for (let attempt = 1; ; attempt += 1) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- a repetition comes after its failure
        return plain(await within(run(queueOf(tenantId)), deadlineAt - now()));
      } catch (thrown) {
        if (attempt === MAX_ATTEMPTS || !mayRepeat(thrown)) throw toUnreachable(thrown);
      }
    }
  }

  /** Resolves when `work` does, with undefined when the signal fires first. */
  function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const leave = (): void => resolve(undefined);
      signal.addEventListener("abort", leave, { once: true });
      work.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
    });
  }

  /** Whether it slept to the end. */
  function sleep(ms: number, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const stop = startTimer(ms, () => {
        signal.removeEventListener("abort", leave);
        resolve(true);
      });
      const leave = (): void => {
        stop();
        resolve(false);
      };
      signal.addEventListener("abort", leave, { once: true });
    });
  }

  return {
    forTenant(tenantId, defer) {
      async function admit(ask: AdmissionAsk, signal: AbortSignal): Promise<AdmissionAnswer> {
        const startedAt = now();
        const sinceStart = (): WaitRecord => ({ ...NO_WAIT, waitMs: now() - startedAt });
        if (signal.aborted) return cancelled(ask, sinceStart());
        const work = call(tenantId, ask.maxWaitMs + RPC_MARGIN_MS, (queue) => {
          const leftMs = Math.max(0, ask.maxWaitMs - (now() - startedAt));
          return queue.admit(leftMs === ask.maxWaitMs ? ask : { ...ask, maxWaitMs: leftMs });
        });
        const answer = await unlessAborted(work, signal).catch((thrown: unknown) => {
          // It may still be let in, with nobody there to use it.
          if (thrown instanceof QueueUnreachable && thrown.reason === "timeout") defer(cancel(ask.requestId));
          throw thrown;
        });
        if (answer === undefined) {
          defer(cancel(ask.requestId));
          const last = await within(work, FAREWELL_MS).catch(() => undefined);
          return cancelled(ask, last?.wait ?? sinceStart());
        }
        if (answer.kind !== "admitted" || answer.goInMs <= 0) return answer;
        if (!signal.aborted && (await sleep(answer.goInMs, signal))) return answer;
        defer(cancel(ask.requestId));
        return cancelled(ask, { ...answer.wait, waitMs: now() - startedAt });
      }

      async function cancel(requestId: string): Promise<void> {
        await call(tenantId, RPC_MARGIN_MS, (queue) => queue.cancel(requestId)).catch(() => {
          // The time limits of the wait and of the lease do the same, only later.
        });
      }

      function keepAlive({ id }: Lease, { onLost, onVersion }: HeartbeatHooks = {}): () => void {
        let stop = startTimer(LEASE_RENEW_MS, beat);
        let isStopped = false;

        async function renew(): Promise<void> {
          const { lost, configVersion } = await call(tenantId, RPC_MARGIN_MS, (queue) => queue.renew([id]));
          if (isStopped) return;
          onVersion?.(configVersion);
          if (!lost.includes(id)) return;
          end();
          onLost?.();
        }

        function beat(): void {
          stop = startTimer(LEASE_RENEW_MS, beat);
          // A lost renewal is made up for by the next one: the lease lives for three of them.
          renew().catch(() => {});
        }

        function end(): void {
          isStopped = true;
          stop();
        }

        return end;
      }

      return {
        admit,
        settle: (settlement) => call(tenantId, RPC_MARGIN_MS, (queue) => queue.settle([settlement])),
        cancel,
        keepAlive,
      };
    },
  };
}

const NO_WAIT: WaitRecord = { waitMs: 0, position: 0, depth: 0, queuedBehind: [] };

function cancelled({ configVersion }: AdmissionAsk, wait: WaitRecord): Cancelled {
  return { kind: "cancelled", wait, configVersion };
}

/** An RPC's result keeps memory of the call until it is disposed of; the data in it stays. */
function plain<T>(result: T): T {
  if (typeof result === "object" && result !== null) {
    const dispose: unknown = Reflect.get(result, Symbol.dispose);
    if (typeof dispose === "function") dispose.call(result);
  }
  return result;
}

/** https://developers.cloudflare.com/durable-objects/best-practices/error-handling/ (seen 2026-11). */
function mayRepeat(thrown: unknown): boolean {
  return (
    !isMarked(thrown, "overloaded") &&
    (isMarked(thrown, "retryable") || isMarked(thrown, "durableObjectReset"))
  );
}

function toUnreachable(thrown: unknown): QueueUnreachable {
  if (thrown instanceof QueueUnreachable) return thrown;
  return new QueueUnreachable(isMarked(thrown, "overloaded") ? "overloaded" : "failed", thrown);
}

function isMarked(thrown: unknown, mark: string): boolean {
  return typeof thrown === "object" && thrown !== null && Reflect.get(thrown, mark) === true;
}
