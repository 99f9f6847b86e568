// A tenant's queue object without its platform: the real rules, and their checkpoint when the real schedule writes it. It forgets
// everything else when it is restarted or put to sleep. In virtual time.
import { abandonedTrace } from "../../../src/limits/object/abandoned.ts";
import { createSaveSchedule, type SaveSchedule } from "../../../src/limits/object/save-schedule.ts";
import { createQueueMachine, type QueueMachine } from "../../../src/limits/queue/queue-machine.ts";
import { addCells, type UsageCells } from "../../../src/limits/usage/usage-cells.ts";
import { cellsOf, createUsageBook, type UsageBook } from "../../../src/limits/usage/usage-book.ts";
import { createUsageTable } from "../../support/fakes/usage-table.ts";
import type {
  AdmissionReply,
  IsolateUpdates,
  QueueRpc,
  QueueSnapshot,
  Settlement,
} from "../../../src/limits/protocol.ts";
import type { FinishedTrace } from "../../../src/telemetry/trace/trace.ts";
import type { VirtualTime } from "../../support/fakes/virtual-time.ts";

const RPC_MS = 2;
/** As in tenant-queue.ts. */
const MIN_ALARM_GAP_MS = 5000;

export interface QueueObject {
  readonly rpc: QueueRpc;
  /** Ends the object as a deployment does: open calls fail, what was not saved is gone. */
  restart(): void;
  /** Lets no call through for so long. */
  cutOff(forMs: number): void;
  snapshot(): QueueSnapshot;
  /** The tenant's usage of all time, by the values of a dimension. */
  usage(dimension: string): UsageCells;
  /** Costs of settlements that reached the object, by admission. */
  readonly told: ReadonlyMap<string, Told>;
  /** Costs without a lease that reached the object, by isolate and number. */
  readonly expenses: ReadonlyMap<string, Told>;
  /** What is booked for prefetched leases that were neither reported nor returned. */
  unreportedMicroUsd(): number;
  /** What it has recorded of requests whose leases ran out. */
  readonly abandoned: readonly FinishedTrace[];
}

export interface Told {
  readonly microUsd: number;
  /** Whether a checkpoint holds it, or a restart came before one did. */
  fate: "unsaved" | "saved" | "forgotten";
}

/** What is in memory while the object runs. */
interface Life {
  readonly machine: QueueMachine;
  readonly usage: UsageBook;
  readonly saves: SaveSchedule;
  readonly open: Map<string, PromiseWithResolvers<AdmissionReply>>;
  /** Calls and timers that keep it awake. */
  busy: number;
  usedAt: number;
  isOver: boolean;
}

/** `sleepsAfterMs`: without a call or timer for so long it is put to sleep; undefined: never. */
export function createQueueObject(time: VirtualTime, sleepsAfterMs: number | undefined): QueueObject {
  let life: Life | undefined;
  const table = createUsageTable();
  let saved: string | undefined;
  let alarmAt: number | undefined;
  let cutOffUntil = 0;
  const told = new Map<string, Told>();
  const expenses = new Map<string, Told>();
  const abandoned: FinishedTrace[] = [];

  function awake(): Life {
    if (life !== undefined) return life;
    // Written and read as text, as by storage.
    const usage = createUsageBook(table.read("live", "", 0, Infinity));
    const machine = createQueueMachine(
      time.now(),
      saved === undefined ? undefined : JSON.parse(saved),
      usage,
    );
    const born: Life = {
      machine,
      usage,
      saves: createSaveSchedule({
        machine,
        now: time.now,
        startTimer: (ms, run) => startTimer(born, ms, run),
        write(now) {
          pass("saved");
          saved = JSON.stringify(machine.checkpoint(now));
          usage.save(table, now);
          usage.noteSaved(now);
          planAlarm(machine, now);
        },
      }),
      open: new Map(),
      busy: 0,
      usedAt: time.now(),
      isOver: false,
    };
    life = born;
    return born;
  }

  /** Runs in this life of the object only. */
  function startTimer(born: Life, ms: number, run: () => void): () => void {
    let isOpen = true;
    born.busy += 1;
    const end = (): void => {
      if (isOpen) rest(born);
      isOpen = false;
    };
    const stop = time.startTimer(ms, () => {
      if (born.isOver || !isOpen) return;
      run();
      end();
    });
    return () => {
      stop();
      end();
    };
  }

  /** One reason less to stay awake. */
  function rest(born: Life): void {
    born.busy -= 1;
    born.usedAt = time.now();
    if (sleepsAfterMs === undefined || born.busy > 0) return;
    time.startTimer(sleepsAfterMs, () => {
      if (born.busy === 0 && time.now() >= born.usedAt + sleepsAfterMs) end(born);
    });
  }

  function end(born: Life): void {
    pass("forgotten");
    born.isOver = true;
    if (life === born) life = undefined;
  }

  function pass(fate: Told["fate"]): void {
    for (const each of [...told.values(), ...expenses.values()])
      if (each.fate === "unsaved") each.fate = fate;
  }

  /** Outlives the object. */
  function planAlarm(machine: QueueMachine, now: number): void {
    const expiresAt = machine.nextExpiryAt();
    if (alarmAt !== undefined || expiresAt === Infinity) return;
    alarmAt = Math.max(expiresAt, now + MIN_ALARM_GAP_MS);
    time.startTimer(alarmAt - now, () => {
      alarmAt = undefined;
      const born = awake();
      born.busy += 1;
      born.machine.expire(time.now());
      follow(born, time.now());
      planAlarm(born.machine, time.now());
      rest(born);
    });
  }

  function follow(born: Life, now: number): void {
    const { machine, open, saves } = born;
    for (const { requestId, answer } of machine.takeWakeUps()) {
      open.get(requestId)?.resolve(answer);
      open.delete(requestId);
    }
    const wakeAt = machine.nextWakeAt();
    if (wakeAt !== Infinity)
      startTimer(born, Math.max(0, wakeAt - now), () => {
        machine.expire(time.now());
        follow(born, time.now());
      });
    saves.changed(now);
    for (const entry of machine.takeAbandoned()) abandoned.push(abandonedTrace(entry, "acme", now));
  }

  async function call<T>(work: (born: Life, now: number) => T): Promise<Awaited<T>> {
    await time.sleep(RPC_MS / 2);
    const now = time.now();
    if (now < cutOffUntil) throw new Error("the network is down");
    const born = awake();
    born.busy += 1;
    try {
      const result = work(born, now);
      follow(born, now);
      const answer = await result;
      await time.sleep(RPC_MS / 2);
      if (born.isOver) throw broken();
      return answer;
    } finally {
      rest(born);
    }
  }

  function note(settlements: readonly Settlement[], updates: IsolateUpdates | undefined): void {
    for (const { requestId, costMicroUsd } of settlements) noteIn(told, requestId, costMicroUsd);
    for (const { sender, number, costMicroUsd } of updates?.expenses ?? [])
      noteIn(expenses, `${sender} ${number}`, costMicroUsd);
  }

  function noteIn(known: Map<string, Told>, id: string, microUsd: number): void {
    if (known.get(id)?.fate !== "saved") known.set(id, { microUsd, fate: "unsaved" });
  }

  return {
    rpc: {
      admit: (ask) =>
        call(({ machine, open }, now) => {
          note(ask.settles, ask.updates);
          const answer = machine.admit(ask, now);
          if (answer !== undefined) return answer;
          const waiting = open.get(ask.requestId) ?? Promise.withResolvers<AdmissionReply>();
          open.set(ask.requestId, waiting);
          return waiting.promise;
        }),
      settle: (settlements, updates) =>
        call(({ machine }, now) => {
          note(settlements, updates);
          return machine.settle(settlements, now, updates);
        }),
      renew: (ids, isStrict) => call(({ machine }, now) => machine.renew(ids, now, isStrict)),
      cancel: (id) => call(({ machine }, now) => machine.cancel(id, now)),
      configVersion: () => call(({ machine }) => machine.configVersion()),
      // The client calls no other methods.
    } as QueueRpc,
    restart() {
      if (life === undefined) return;
      const { open } = life;
      end(life);
      for (const { reject } of open.values()) reject(broken());
    },
    cutOff: (forMs) => void (cutOffUntil = time.now() + forMs),
    snapshot: () => awake().machine.snapshot(time.now()),
    usage(dimension) {
      const all: UsageCells = new Map();
      const ask = { dimension, fromAt: 0, untilAt: time.now() + 1, interval: "total" } as const;
      for (const { text } of awake().usage.read(table, ask, time.now()) ?? []) addCells(all, cellsOf(text));
      return all;
    },
    unreportedMicroUsd() {
      const { lapsed = [] } = awake().machine.checkpoint(time.now());
      const unreported = lapsed.filter(([, , , , requestId]) => requestId === "");
      return unreported.reduce((sum, lease) => sum + (lease[12] ?? 0), 0);
    },
    told,
    expenses,
    abandoned,
  };
}

/** As workerd marks the error of a call whose object was reset. */
function broken(): Error {
  return Object.assign(new Error("the object was reset"), { durableObjectReset: true, retryable: true });
}
