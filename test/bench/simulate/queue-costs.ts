// How many calls of the queue object and how many written rows a request costs, and so what a million costs, at several rates:
// the real client and the real rules in virtual time, many isolates, one tenant.
import { createQueueMachine } from "../../../src/limits/queue/queue-machine.ts";
import { createQueueClient } from "../../../src/limits/isolate/queue-client.ts";
import type { AdmissionReply, AdmissionRequest, Limits, QueueRpc } from "../../../src/limits/protocol.ts";
import { createRandom, createVirtualTime } from "../../support/fakes/virtual-time.ts";

/** One call for each admission and settlement; piggybacked settlements; prefetched leases as well. */
export type Design = "plain" | "piggyback" | "prefetch";

export interface CostCase {
  readonly design: Design;
  readonly limitsAre: "far below" | "in use";
  readonly requestsPerSecond: number;
  readonly isolates: number;
}

export interface CostResult extends CostCase {
  readonly callsPerRequest: number;
  readonly rowsPerRequest: number;
  readonly leasedShare: number;
  /** Of a million requests, in dollars: calls, rows, and the object's time in memory. */
  readonly usdPerMillion: number;
}

/** Cloudflare's prices, 2026-11: a call, a written row, a second of an object of 128 MB. */
const CALL_USD = 0.15e-6;
const ROW_USD = 1e-6;
const OBJECT_SECOND_USD = 12.5e-6 * 0.128;
/** A generation takes a while: mean of an exponential. */
const SERVICE_MS = 2000;
const RPC_MS = 3;
const WARM_UP_MS = 5000;
const MEASURED_MS = 60_000;
const START_AT = 1_800_000_000_000;
const FAR: Limits = {
  requestsPerMinute: 600_000,
  burst: 100_000,
  tokensPerMinute: 600_000_000,
  maxDepth: 100,
  maxWaitMs: 1000,
};
/** Slots for each that is taken on average. */
const SLOTS_EACH = 4;
const never = new AbortController().signal;

/** The object without its network: rules, checkpoint and alarm as tenant-queue.ts has them. */
function createObject(time: ReturnType<typeof createVirtualTime>, design: Design) {
  const admission = createQueueMachine(START_AT);
  const open = new Map<string, (answer: AdmissionReply) => void>();
  const counts = { calls: 0, rows: 0 };
  let savedAt = START_AT;
  let stopSave: (() => void) | undefined;
  let saveAt = Infinity;
  let alarmAt = -Infinity;

  function follow(now: number): void {
    for (const { requestId, answer } of admission.takeWakeUps()) open.get(requestId)?.(answer);
    const dueAt = Math.max(now, savedAt + admission.staleAfterMs());
    if (dueAt >= saveAt || dueAt - now > 10_000) return;
    stopSave?.();
    saveAt = dueAt;
    stopSave = time.startTimer(dueAt - now, save);
  }

  function save(): void {
    saveAt = Infinity;
    const now = time.now();
    if (now - savedAt < admission.staleAfterMs()) return follow(now);
    savedAt = now;
    counts.rows += 1;
    admission.checkpoint(now);
    // An alarm is a row too; each one that fires is a call.
    if (alarmAt > now || admission.nextExpiryAt() === Infinity) return;
    if (alarmAt > -Infinity) counts.calls += 1;
    alarmAt = admission.nextExpiryAt();
    counts.rows += 1;
  }

  async function call<T>(work: (now: number) => T): Promise<T> {
    counts.calls += 1;
    await time.sleep(RPC_MS / 2);
    const now = time.now();
    const result = work(now);
    follow(now);
    await time.sleep(RPC_MS / 2);
    return result;
  }

  const queue: Partial<QueueRpc> = {
    async admit(ask: AdmissionRequest) {
      const asked = design === "prefetch" ? ask : { ...ask, prefetchCount: 0 };
      const answer = await call((now) => admission.admit(asked, now));
      if (answer?.kind === "admitted" && design === "plain") return { ...answer, canDeferSettle: false };
      return answer ?? new Promise((resolve) => open.set(ask.requestId, resolve));
    },
    settle: (settlements, news) => call((now) => admission.settle(settlements, now, news)),
    renew: (ids) => call((now) => admission.renew(ids, now)),
    cancel: (id) => call((now) => admission.cancel(id, now)),
  };
  // The client calls no other methods.
  return { queue: queue as QueueRpc, counts };
}

export async function simulateCosts(given: CostCase): Promise<CostResult> {
  const time = createVirtualTime(START_AT);
  const random = createRandom(7);
  const { queue, counts } = createObject(time, given.design);
  const clients = Array.from({ length: given.isolates }, () =>
    createQueueClient({ queueOf: () => queue, now: time.now, startTimer: time.startTimer }).forTenant(
      "t",
      () => {},
    ),
  );
  const slots = Math.ceil((SLOTS_EACH * given.requestsPerSecond * SERVICE_MS) / 1000);
  const limits: Limits = given.limitsAre === "far below" ? FAR : { ...FAR, concurrency: slots };
  let requests = 0;
  let leased = 0;

  async function one(): Promise<void> {
    const client = clients[Math.floor(random() * clients.length)];
    const requestId = `r${(requests += 1)}`;
    const answer = await client?.admit(
      {
        requestId,
        traceId: requestId,
        spanId: requestId,
        keyId: "key",
        lane: "interactive",
        limits,
        configVersion: 1,
        maxWaitMs: 0,
        estimate: { inputTokens: 500, outputTokens: 0 },
        settles: [],
      },
      never,
    );
    if (client === undefined || answer?.kind !== "admitted") return;
    if (answer.isPrefetched) leased += 1;
    const stop = client.keepAlive(answer.lease);
    await time.sleep(-Math.log(1 - random()) * SERVICE_MS);
    stop();
    const { id: leaseId } = answer.lease;
    const used = { inputTokens: 500, outputTokens: 300, costMicroUsd: 200 };
    await client.settle({ requestId, keyId: "key", leaseId, outcome: "ok", ...used }, answer.canDeferSettle);
  }

  function arrive(): void {
    void one();
    time.startTimer((-Math.log(1 - random()) * 1000) / given.requestsPerSecond, arrive);
  }

  arrive();
  await time.runUntil(START_AT + WARM_UP_MS);
  const before = { ...counts, requests, leased };
  await time.runUntil(START_AT + WARM_UP_MS + MEASURED_MS);
  const measured = requests - before.requests;
  const callsPerRequest = (counts.calls - before.calls) / measured;
  const rowsPerRequest = (counts.rows - before.rows) / measured;
  const secondsPerRequest = MEASURED_MS / 1000 / measured;
  return {
    ...given,
    callsPerRequest,
    rowsPerRequest,
    leasedShare: (leased - before.leased) / measured,
    usdPerMillion:
      1e6 * (callsPerRequest * CALL_USD + rowsPerRequest * ROW_USD + secondsPerRequest * OBJECT_SECOND_USD),
  };
}
