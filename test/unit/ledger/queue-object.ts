// A tenant's queue object without its platform: the real rules, their checkpoint as tenant-queue.ts saves it, and a restart that
// forgets everything else. In virtual time.
import { createQueueMachine, type QueueMachine } from "../../../src/limits/queue/queue-machine.ts";
import type { AdmissionReply, QueueRpc, QueueSnapshot } from "../../../src/limits/protocol.ts";
import type { VirtualTime } from "../../support/fakes/virtual-time.ts";

const RPC_MS = 2;
const MAX_SAVE_DELAY_MS = 10_000;

export interface QueueObject {
  readonly rpc: QueueRpc;
  /** Ends the object as an eviction or a deployment does: open calls fail, what was not saved is gone. */
  restart(): void;
  snapshot(): QueueSnapshot;
}

export function createQueueObject(time: VirtualTime): QueueObject {
  let machine: QueueMachine = createQueueMachine(time.now());
  let saved: string | undefined;
  let savedAt = time.now();
  let saveAt = Infinity;
  let life = 0;
  let open = new Map<string, PromiseWithResolvers<AdmissionReply>>();

  function follow(now: number): void {
    for (const { requestId, answer } of machine.takeWakeUps()) {
      open.get(requestId)?.resolve(answer);
      open.delete(requestId);
    }
    const wakeAt = machine.nextWakeAt();
    if (wakeAt !== Infinity) later(wakeAt - now, () => machine.expire(time.now()));
    planSave(now);
  }

  /** Runs in this life of the object only. */
  function later(ms: number, run: () => void): void {
    const born = life;
    time.startTimer(Math.max(0, ms), () => {
      if (born !== life) return;
      run();
      follow(time.now());
    });
  }

  function planSave(now: number): void {
    const staleMs = machine.staleAfterMs();
    if (staleMs === 0) return save();
    const dueAt = Math.max(now, savedAt + staleMs);
    if (dueAt >= saveAt || dueAt - now > MAX_SAVE_DELAY_MS) return;
    saveAt = dueAt;
    later(dueAt - now, () => {
      saveAt = Infinity;
      if (time.now() - savedAt >= machine.staleAfterMs()) save();
    });
  }

  function save(): void {
    saveAt = Infinity;
    savedAt = time.now();
    saved = JSON.stringify(machine.checkpoint(savedAt));
    const expiresAt = machine.nextExpiryAt();
    if (expiresAt !== Infinity) later(expiresAt - savedAt, () => machine.expire(time.now()));
  }

  async function call<T>(work: (now: number) => T): Promise<Awaited<T>> {
    await time.sleep(RPC_MS / 2);
    const born = life;
    const now = time.now();
    const result = work(now);
    follow(now);
    const answer = await result;
    await time.sleep(RPC_MS / 2);
    if (born !== life) throw broken();
    return answer;
  }

  return {
    rpc: {
      admit: (ask) =>
        call((now) => {
          const answer = machine.admit(ask, now);
          if (answer !== undefined) return answer;
          const waiting = open.get(ask.requestId) ?? Promise.withResolvers<AdmissionReply>();
          open.set(ask.requestId, waiting);
          return waiting.promise;
        }),
      settle: (settlements, updates) => call((now) => machine.settle(settlements, now, updates)),
      renew: (ids) => call((now) => machine.renew(ids, now)),
      cancel: (id) => call((now) => machine.cancel(id, now)),
      // The client calls no other methods.
    } as QueueRpc,
    restart() {
      life += 1;
      for (const { reject } of open.values()) reject(broken());
      open = new Map();
      saveAt = Infinity;
      savedAt = time.now();
      // Written and read as text, as by storage.
      machine = createQueueMachine(time.now(), saved === undefined ? undefined : JSON.parse(saved));
    },
    snapshot: () => machine.snapshot(time.now()),
  };
}

/** As workerd marks the error of a call whose object was reset. */
function broken(): Error {
  return Object.assign(new Error("the object was reset"), { durableObjectReset: true, retryable: true });
}
