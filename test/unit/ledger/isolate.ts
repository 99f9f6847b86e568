// The life of one isolate in virtual time: once it is dead, none of its timers fires, nothing it sends leaves, and no reply reaches
// it. Its code may run on until it waits for one of these.
import type { QueueRpc } from "../../../src/limits/protocol.ts";
import type { StartTimer } from "../../../src/runtime/waits.ts";
import type { VirtualTime } from "../../support/fakes/virtual-time.ts";

export interface Isolate {
  readonly startTimer: StartTimer;
  sleep(ms: number): Promise<void>;
  /** The queue object as this isolate reaches it. */
  reach(rpc: QueueRpc): QueueRpc;
  fetchBy(send: typeof fetch): typeof fetch;
  /** Undefined while it lives. */
  readonly diedAt: number | undefined;
  /** Resolves when it dies. */
  readonly death: Promise<undefined>;
  die(): void;
}

export function createIsolate(time: VirtualTime): Isolate {
  const death = Promise.withResolvers<undefined>();
  let diedAt: number | undefined;

  const startTimer: StartTimer = (ms, run) => time.startTimer(ms, () => void (diedAt === undefined && run()));

  /** Starts the work and settles as it does, for as long as the isolate lives. */
  function whileAlive<T>(start: () => Promise<T>): Promise<T> {
    if (diedAt !== undefined) return new Promise(() => {});
    return new Promise((resolve, reject) => {
      start().then(
        (value) => void (diedAt === undefined && resolve(value)),
        (thrown: unknown) => void (diedAt === undefined && reject(thrown)),
      );
    });
  }

  return {
    startTimer,
    sleep: (ms) => new Promise((resolve) => startTimer(ms, resolve)),
    reach: (rpc) =>
      ({
        admit: (ask) => whileAlive(() => rpc.admit(ask)),
        settle: (settlements, updates) => whileAlive(() => rpc.settle(settlements, updates)),
        renew: (ids, isStrict) => whileAlive(() => rpc.renew(ids, isStrict)),
        cancel: (id) => whileAlive(() => rpc.cancel(id)),
        configVersion: () => whileAlive(() => rpc.configVersion()),
        // The client calls no other methods.
      }) as QueueRpc,
    fetchBy: (send) => (input, init) => whileAlive(() => send(input, init)),
    get diedAt() {
      return diedAt;
    },
    death: death.promise,
    die() {
      diedAt = time.now();
      death.resolve(undefined);
    },
  };
}
