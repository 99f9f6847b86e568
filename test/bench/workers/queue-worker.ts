// The Worker that the queue's bench serves on plain workerd: it drives the real queue object with the real client from inside, so
// that what is measured is the queue and not HTTP. Each path is one measurement; queue.ts calls them and reads the CPU clock.
import { createQueueClient } from "../../../src/limits/isolate/queue-client.ts";
import type {
  AdmissionRequest,
  Admitted,
  Limits,
  QueueRpc,
  Settlement,
} from "../../../src/limits/protocol.ts";

export { TenantQueue } from "../../../src/limits/object/tenant-queue.ts";

const never = new AbortController().signal;
/** Tells the ids of one run from another's: the queue remembers those it has seen. */
let ids = 0;

function askOf(limits: Limits, maxWaitMs: number): AdmissionRequest {
  const requestId = `req_${(ids += 1).toString(16).padStart(32, "0")}`;
  return {
    requestId,
    traceId: requestId.slice(-32),
    spanId: requestId.slice(-16),
    keyId: "key_1",
    lane: "interactive",
    limits,
    configVersion: 1,
    maxWaitMs,
    estimate: { inputTokens: 100, outputTokens: 100 },
    settles: [],
  };
}

function settlementOf({ requestId, keyId }: AdmissionRequest, { lease }: Admitted): Settlement {
  return {
    requestId,
    keyId,
    leaseId: lease.id,
    outcome: "ok",
    inputTokens: 100,
    outputTokens: 80,
    costMicroUsd: 12,
  };
}

async function inParallel(count: number, total: number, one: () => Promise<void>): Promise<void> {
  let left = total;
  async function work(): Promise<void> {
    // One after the other, `count` times side by side.
    while (left-- > 0) await one();
  }
  await Promise.all(Array.from({ length: count }, work));
}

export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const number = (name: string): number => Number(searchParams.get(name));
    const tenant = searchParams.get("tenant") ?? "bench";
    const queueOf = (name: string): QueueRpc => env.TENANT_QUEUE.getByName(name);
    const concurrency = number("concurrency");
    const limits: Limits = { concurrency, maxDepth: 20_000, maxWaitMs: 600_000 };
    const total = number("requests");
    const startedAt = Date.now();

    switch (pathname) {
      case "/nothing":
        break;
      case "/calls":
        await inParallel(number("parallel"), total, async () => {
          const ask = askOf(limits, 0);
          const answer = await queueOf(tenant).admit(ask);
          if (answer.kind !== "admitted") throw new Error(answer.kind);
          await queueOf(tenant).settle([settlementOf(ask, answer)]);
        });
        break;
      case "/client": {
        const client = clientOf(queueOf).forTenant(tenant, (work) => ctx.waitUntil(work));
        await inParallel(number("parallel"), total, async () => {
          const ask = askOf(limits, 0);
          const answer = await client.admit(ask, never);
          if (answer.kind !== "admitted") throw new Error(answer.kind);
          await client.settle(settlementOf(ask, answer), answer.canDeferSettle);
        });
        break;
      }
      case "/crowd":
        return Response.json(await crowd(queueOf, tenant, total));
      default:
        return new Response(null, { status: 404 });
    }
    return Response.json({ requests: total, ms: Date.now() - startedAt });
  },
};

/** One for the isolate, as in the gateway. */
let client: ReturnType<typeof createQueueClient> | undefined;
function clientOf(queueOf: (name: string) => QueueRpc): ReturnType<typeof createQueueClient> {
  client ??= createQueueClient({ queueOf, now: () => Date.now() });
  return client;
}

/** So many wait at the same time; then each lets the next one in. */
async function crowd(queueOf: (name: string) => QueueRpc, tenant: string, total: number) {
  const limits: Limits = { concurrency: 1, maxDepth: 20_000, maxWaitMs: 600_000 };
  const first = askOf(limits, 0);
  const holder = await queueOf(tenant).admit(first);
  if (holder.kind !== "admitted") throw new Error(holder.kind);
  const startedAt = Date.now();
  const waiting = Array.from({ length: total }, async () => {
    const ask = askOf(limits, 600_000);
    const answer = await queueOf(tenant).admit(ask);
    if (answer.kind !== "admitted") throw new Error(answer.kind);
    await queueOf(tenant).settle([settlementOf(ask, answer)]);
  });
  // Looked at again and again.
  while ((await queueOf(tenant).snapshot()).depth < total) await new Promise((done) => setTimeout(done, 10));
  const fullAt = Date.now();
  await queueOf(tenant).settle([settlementOf(first, holder)]);
  await Promise.all(waiting);
  return { fillMs: fullAt - startedAt, wakeMs: Date.now() - fullAt };
}
