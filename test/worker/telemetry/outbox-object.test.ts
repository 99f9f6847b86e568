// The outbox's Durable Object in the real runtime: its alarm, what it asks the directory, and that it keeps no credential. What
// it decides is outbox.test.ts.
import { env } from "cloudflare:workers";
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { readSettings } from "../../../src/config.ts";
import type { HandedBatch, TraceOutboxPort } from "../../../src/telemetry/export/outbox-port.ts";
import { createDirectoryClient } from "../../../src/tenants/directory/directory-client.ts";
import { directoryRpc, newTenantId } from "../tenants/directory-access.ts";

const CREDENTIAL = "canary-credential-0123456789";
/** Seals under the key that the object opens with. */
const directory = createDirectoryClient(
  {
    directory: directoryRpc,
    masterKeys: readSettings(env).masterKeys,
    rules: { allowPrivateUpstreams: true, providerKinds: [], defaultBaseUrl: () => undefined },
    randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
    now: Date.now,
  },
  { actor: "admin" },
);
let tenantId: string;
let posts: { readonly url: string; readonly authorization: string | null; readonly body: string }[];
let answer: () => Promise<Response>;

beforeEach(() => {
  tenantId = newTenantId();
  posts = [];
  answer = async () => Response.json({});
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const request = new Request(input, init);
    const authorization = request.headers.get("authorization");
    posts.push({ url: request.url, authorization, body: await request.text() });
    return answer();
  });
});

afterEach(() => vi.restoreAllMocks());

const stub = () => env.TRACE_OUTBOX.getByName(tenantId);
const port = (): TraceOutboxPort => stub();
const down = async (): Promise<Response> => new Response(null, { status: 503 });

async function write(...destinations: readonly object[]): Promise<void> {
  await directory.putTenant(tenantId, { tracing: { destinations } });
}

const own = (headers = { authorization: `Bearer ${CREDENTIAL}` }) => ({
  name: "own",
  endpoint: "https://own.example/otlp",
  headers,
});

async function hand(about: Partial<HandedBatch> = {}): Promise<void> {
  const batch: HandedBatch = {
    destination: "own",
    traces: 1,
    body: new TextEncoder().encode('{"resourceSpans":[]}'),
    isGzip: false,
    content: "off",
    ...about,
  };
  const counts = { enqueued: batch.traces, delivered: 0, handedOver: batch.traces, dropped: {}, retries: 0 };
  await port().push({
    id: crypto.randomUUID(),
    isolate: "i",
    tenantId,
    counts: { [batch.destination]: counts },
    batch,
  });
}

const status = async () => (await port().status()).find(({ destination }) => destination === "own");
const alarmAt = () => runInDurableObject(stub(), (_, { storage }) => storage.getAlarm());

/** Rings until nothing waits any more; the object itself is in no hurry. */
async function ringUntil(condition: () => Promise<boolean>): Promise<void> {
  await vi.waitFor(
    async () => {
      await runDurableObjectAlarm(stub());
      expect(await condition()).toBe(true);
    },
    { timeout: 8000, interval: 100 },
  );
}

const isDelivered = async () => (await status())?.pending === 0;

describe("the outbox object", () => {
  test("sends what it was handed with the credential of the tenant's record", async () => {
    await write(own());
    await hand();
    await ringUntil(isDelivered);
    expect(posts).toEqual([
      {
        url: "https://own.example/otlp/v1/traces",
        authorization: `Bearer ${CREDENTIAL}`,
        body: '{"resourceSpans":[]}',
      },
    ]);
    expect(await status()).toMatchObject({ enqueued: 1, delivered: 1, dropped: {} });
  });

  test("uses a credential that was changed in the meantime", async () => {
    answer = down;
    await write(own());
    await hand();
    await ringUntil(async () => posts.length > 0);
    await write(own({ authorization: "Bearer changed-0123456789" }));
    answer = async () => Response.json({});
    await ringUntil(isDelivered);
    expect(posts.at(-1)?.authorization).toBe("Bearer changed-0123456789");
  });

  test("sends nothing for a destination, or a tenant, that is gone", async () => {
    await hand({ traces: 2 });
    await ringUntil(isDelivered);
    expect(posts).toEqual([]);
    expect(await status()).toMatchObject({ dropped: { destination_removed: 2 } });
  });

  test("keeps no credential, in no table", async () => {
    answer = down;
    await write(own());
    await hand();
    await ringUntil(async () => posts.length > 0);
    const stored = await runInDurableObject(stub(), (_, { storage }) => {
      const rows = storage.sql.exec(
        "SELECT id, destination, traces, content, CAST(body AS TEXT) FROM batches",
      );
      return JSON.stringify([rows.toArray(), [...storage.kv.list()]]);
    });
    expect(stored).toContain("own");
    expect(stored).not.toContain(CREDENTIAL);
  });

  test("has its alarm set while something waits, and sends after it was evicted", async () => {
    answer = down;
    await write(own());
    await hand({ traces: 3 });
    expect(await alarmAt()).not.toBeNull();
    await evictDurableObject(stub());
    expect(await status()).toMatchObject({ enqueued: 3, pending: 3 });
    answer = async () => Response.json({});
    await ringUntil(isDelivered);
    expect(await status()).toMatchObject({ enqueued: 3, delivered: 3 });
  });

  test("sleeps for good when nothing waits", async () => {
    await write(own());
    await hand();
    await ringUntil(isDelivered);
    await vi.waitFor(async () => {
      await runDurableObjectAlarm(stub());
      expect(await alarmAt()).toBeNull();
    });
  });

  test("a destination that hangs holds up no other", async () => {
    answer = () => new Promise(() => {});
    await write(own(), { name: "well", endpoint: "https://well.example" });
    await hand();
    await ringUntil(async () => posts.length > 0);
    answer = async () => Response.json({});
    await hand({ destination: "well" });
    const well = async () => (await port().status()).find(({ destination }) => destination === "well");
    await ringUntil(async () => (await well())?.delivered === 1);
    expect(await status()).toMatchObject({ pending: 1 });
  });
});
