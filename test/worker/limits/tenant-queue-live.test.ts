// What an operator sees of a tenant's queue while it happens, and which overrides it may set.
import { env } from "cloudflare:workers";
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { describe, expect, test, vi } from "vitest";
import type { QueueSnapshot } from "../../../src/limits/protocol.ts";
import type { TenantQueue } from "../../../src/limits/object/tenant-queue.ts";
import { directoryClient, directoryStub } from "../tenants/directory-access.ts";
import { asAdmitted, askOf, asRefused, settlementOf } from "../../support/builders/admission.ts";

const ONE_SLOT = { concurrency: 1, maxDepth: 100 };

let tenants = 0;

function newQueue(): DurableObjectStub<TenantQueue> {
  tenants += 1;
  return env.TENANT_QUEUE.getByName(`tenant-queue-live-${tenants}`);
}

/** A socket that watches, and the samples it has got. */
async function watch(stub: DurableObjectStub<TenantQueue>, actor = "admin") {
  const response = await stub.fetch(`https://queue/live?actor=${actor}`, {
    headers: { upgrade: "websocket" },
  });
  const socket = response.webSocket;
  if (socket === null) throw new Error(`no socket: ${response.status}`);
  const samples: QueueSnapshot[] = [];
  const texts: string[] = [];
  socket.addEventListener("message", ({ data }) => {
    const text = String(data);
    if (text.startsWith("{")) samples.push(JSON.parse(text));
    else texts.push(text);
  });
  socket.accept();
  return { socket, samples, texts };
}

describe("the live view", () => {
  test("sends a sample at once, then one for many changes", async () => {
    const stub = newQueue();
    const { socket, samples } = await watch(stub);
    await vi.waitFor(() => expect(samples).toHaveLength(1));
    expect(samples[0]).toMatchObject({ depth: 0, leases: 0 });
    for (let n = 0; n < 50; n += 1) {
      // Changes one after the other.
      const answer = asAdmitted(await stub.admit(askOf(`r${n}`, { limits: ONE_SLOT })));
      if (n < 49) await stub.settle([settlementOf(answer, `r${n}`)]);
    }
    await vi.waitFor(() => expect(samples.at(-1)).toMatchObject({ leases: 1 }), 3000);
    expect(samples.length).toBeLessThanOrEqual(4);
    socket.close();
  });

  test("outlives the object's sleep, answers a ping without waking it, and ends with its watcher", async () => {
    const stub = newQueue();
    const { socket, samples, texts } = await watch(stub);
    await vi.waitFor(() => expect(samples).toHaveLength(1));
    await evictDurableObject(stub);
    socket.send("ping");
    await vi.waitFor(() => expect(texts).toEqual(["pong"]));
    await stub.admit(askOf("a", { limits: ONE_SLOT }));
    await vi.waitFor(() => expect(samples.at(-1)).toMatchObject({ leases: 1 }), 3000);
    socket.close();
    await vi.waitFor(async () => {
      expect(await runInDurableObject(stub, (_, state) => state.getWebSockets().length)).toBe(0);
    });
  });

  test("is refused to whom does not ask for a WebSocket", async () => {
    expect((await newQueue().fetch("https://queue/live")).status).toBe(426);
  });
});

describe("a watcher whose admin token ends", () => {
  const { tokens } = directoryClient();
  const newToken = (expiresAt?: Date) =>
    tokens.create({ name: "t", role: "viewer", ...(expiresAt && { expiresAt: expiresAt.toISOString() }) });

  /** As if the sockets' tokens had been looked at long ago. */
  const age = (stub: DurableObjectStub<TenantQueue>): Promise<void> =>
    runInDurableObject(stub, (_, state) => {
      for (const socket of state.getWebSockets()) {
        // The live view has attached it.
        const attached = socket.deserializeAttachment() as object;
        socket.serializeAttachment({ ...attached, checkedAt: 0 });
      }
    });

  /** Resolves with the code that the gateway closes the socket with. */
  const closeOf = ({ socket }: { readonly socket: WebSocket }): Promise<number> =>
    new Promise((resolve) => socket.addEventListener("close", ({ code }) => resolve(code)));

  test("is closed in place of the next sample; who watches with other tokens goes on", async () => {
    const stub = newQueue();
    const [revoked, valid] = [await newToken(), await newToken()];
    const first = await watch(stub, revoked.id);
    const others = [await watch(stub, valid.id), await watch(stub, "admin")];
    await vi.waitFor(() => expect(first.samples).toHaveLength(1));
    await age(stub);
    const admitted = asAdmitted(await stub.admit(askOf("a", { limits: ONE_SLOT })));
    await vi.waitFor(() => expect(first.samples.at(-1)).toMatchObject({ leases: 1 }), 3000);
    await tokens.delete(revoked.id);
    await age(stub);
    const closed = closeOf(first);
    await stub.settle([settlementOf(admitted, "a")]);
    expect(await closed).toBe(1008);
    expect(first.samples.at(-1)).toMatchObject({ leases: 1 });
    for (const { samples, socket } of others) {
      await vi.waitFor(() => expect(samples.at(-1)).toMatchObject({ leases: 0 }), 3000);
      socket.close();
    }
  });

  test("is closed when the token expires, also after the object's sleep", async () => {
    const stub = newQueue();
    const { id } = await newToken(new Date(Date.now() + 500));
    const watcher = await watch(stub, id);
    await vi.waitFor(() => expect(watcher.samples).toHaveLength(1));
    await vi.waitFor(async () => expect(await directoryStub().isTokenValid(id)).toBe(false), 3000);
    await age(stub);
    await evictDurableObject(stub);
    const closed = closeOf(watcher);
    await stub.admit(askOf("a", { limits: ONE_SLOT }));
    expect(await closed).toBe(1008);
    expect(watcher.samples).toHaveLength(1);
  });
});

describe("an operator's order", () => {
  test("raises a limit: who waits is let in, and an eviction does not undo it", async () => {
    const stub = newQueue();
    await stub.configChanged(1, { concurrency: 1, maxDepth: 10, maxWaitMs: 30_000 });
    asAdmitted(await stub.admit(askOf("a")));
    const waiting = stub.admit(askOf("b"));
    await vi.waitFor(async () => expect((await stub.snapshot()).depth).toBe(1));
    const snapshot = await stub.raiseLimits({ concurrency: 3 }, 60_000);
    expect(snapshot).toMatchObject({ orders: { raised: { limits: { concurrency: 3 } } } });
    asAdmitted(await waiting);
    await evictDurableObject(stub);
    expect(await stub.snapshot()).toMatchObject({ limits: { concurrency: { limit: 3 } } });
    await stub.raiseLimits({}, 0);
    expect((await stub.snapshot()).limits["concurrency"]?.limit).toBe(1);
  });

  test("drains the queue: newcomers and those who wait are refused, and told until when", async () => {
    const stub = newQueue();
    await stub.admit(askOf("a", { limits: ONE_SLOT }));
    const waiting = stub.admit(askOf("b", { limits: ONE_SLOT }));
    await vi.waitFor(async () => expect((await stub.snapshot()).depth).toBe(1));
    await stub.drain(60_000, "drop");
    for (const answer of [await waiting, await stub.admit(askOf("c"))]) {
      const { retryAfterMs, code } = asRefused(answer);
      expect(code).toBe("queue_full");
      expect(retryAfterMs).toBeGreaterThan(55_000);
    }
    await stub.drain(0, "finish");
    expect(await stub.snapshot()).not.toHaveProperty("orders");
  });
});
