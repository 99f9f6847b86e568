/** The data plane's reader: what it remembers, for how long, whom it believes, and what it does when they fail. */
import { beforeEach, describe, expect, it } from "vitest";
import { createLookupBudget } from "../../../src/tenants/lookup-budget.ts";
import { createTenantSource, type TenantSource } from "../../../src/tenants/source.ts";

const HASH = "a".repeat(64);
const POINTER = { tenantId: "acme", keyId: "key_1" };

type Party = "kv" | "directory" | "queue";
const EVERYONE: readonly Party[] = ["kv", "directory", "queue"];

/** KV, the directory and the queue object, each of which can be behind, empty or broken. */
function createWorld() {
  const world = {
    now: 1_000_000,
    kv: new Map<string, string>(),
    directory: new Map<string, string>(),
    directoryKeys: new Map<string, typeof POINTER>(),
    queueVersion: 0,
    broken: new Set<Party>(),
    calls: new Array<Party>(),

    source(): TenantSource {
      return createTenantSource({
        clock: () => world.now,
        kv: { get: async (key) => answer("kv", world.kv.get(key) ?? null) },
        directory: () => ({
          findKey: async (hash) => answer("directory", world.directoryKeys.get(hash)),
          readBundle: async (tenantId) => answer("directory", world.directory.get(tenantId)),
        }),
        queueVersion: async () => answer("queue", world.queueVersion),
        lookups: createLookupBudget(() => world.now),
      });
    },

    /** A change that has reached everyone, or only those named. */
    publish(version: number, to = EVERYONE): void {
      const bundle = JSON.stringify({ id: "acme", version, keys: [], providers: {}, routes: {} });
      if (to.includes("kv")) world.kv.set("tenant/acme", bundle);
      if (to.includes("directory")) world.directory.set("acme", bundle);
      if (to.includes("queue")) world.queueVersion = version;
    },
  };

  function answer<Value>(who: Party, value: Value): Value {
    world.calls.push(who);
    if (world.broken.has(who)) throw new Error(`${who} is down`);
    return value;
  }
  return world;
}

let world: ReturnType<typeof createWorld>;
let source: TenantSource;
beforeEach(() => {
  world = createWorld();
  source = world.source();
});

describe("a tenant", () => {
  it("comes from KV once, then from memory for 30 s, then from KV again", async () => {
    world.publish(1);
    expect(await source.load("acme")).toMatchObject({ source: "kv", ageMs: 0, bundle: { version: 1 } });
    world.now += 29_999;
    expect(await source.load("acme")).toMatchObject({ source: "memory", ageMs: 29_999 });
    world.now += 1;
    expect(await source.load("acme")).toMatchObject({ source: "kv" });
  });

  it("asks no one while its copy is young", async () => {
    world.publish(1);
    await source.load("acme");
    world.calls.length = 0;
    await source.load("acme");
    expect(world.calls).toEqual([]);
  });

  it("comes from the directory where KV is older than the queue object's word", async () => {
    world.publish(1);
    world.publish(2, ["directory", "queue"]);
    expect(await source.load("acme")).toMatchObject({ source: "directory", bundle: { version: 2 } });
  });

  it("comes from the directory where KV has nothing yet", async () => {
    world.publish(1, ["directory", "queue"]);
    expect(await source.load("acme")).toMatchObject({ source: "directory" });
  });

  it("comes from KV where the queue object is behind it", async () => {
    world.publish(5, ["kv", "directory"]);
    expect(await source.load("acme")).toMatchObject({ source: "kv", bundle: { version: 5 } });
  });

  it("never goes back to a version before the one it had", async () => {
    world.publish(2);
    await source.load("acme");
    world.publish(1, ["kv", "queue"]);
    world.now += 30_000;
    expect(await source.load("acme")).toMatchObject({ source: "directory", bundle: { version: 2 } });
  });

  it("is undefined where it is unknown, and after its deletion", async () => {
    expect(await source.load("acme")).toBeUndefined();
    world.publish(1);
    await source.load("acme");
    world.directory.clear();
    world.kv.clear();
    source.noteVersion("acme", 2);
    expect(await source.load("acme")).toBeUndefined();
  });

  it("is dropped from memory when a newer version was seen, and not for an older one", async () => {
    world.publish(2);
    await source.load("acme");
    source.noteVersion("acme", 2);
    source.noteVersion("acme", 1);
    expect(await source.load("acme")).toMatchObject({ source: "memory" });
    world.publish(3, ["directory"]);
    source.noteVersion("acme", 3);
    expect(await source.load("acme")).toMatchObject({ source: "directory", bundle: { version: 3 } });
  });

  it("is not kept when a newer version was seen while it was read", async () => {
    world.publish(1);
    const reading = source.load("acme");
    source.noteVersion("acme", 2);
    await reading;
    world.publish(2);
    expect(await source.load("acme")).toMatchObject({ source: "kv", bundle: { version: 2 } });
  });

  it("has no providers and routes but its own", async () => {
    world.publish(1);
    const loaded = await source.load("acme");
    expect(loaded?.bundle.routes["constructor"]).toBeUndefined();
    expect(loaded?.bundle.providers["toString"]).toBeUndefined();
  });
});

describe("a reload", () => {
  it("confirms the copy by its version alone", async () => {
    world.publish(1);
    await source.load("acme");
    world.calls.length = 0;
    expect(await source.reload("acme")).toMatchObject({ source: "memory" });
    expect(world.calls).toEqual(["queue"]);
  });

  it("reads what was just made", async () => {
    world.publish(1);
    await source.load("acme");
    world.publish(2, ["directory", "queue"]);
    expect(await source.reload("acme")).toMatchObject({ source: "directory", bundle: { version: 2 } });
  });
});

describe("a key's hash", () => {
  it("leads to its tenant by KV, then by memory", async () => {
    world.kv.set(`key/${HASH}`, JSON.stringify(POINTER));
    expect(await source.findKey(HASH)).toEqual({ ...POINTER, source: "kv" });
    expect(await source.findKey(HASH)).toEqual({ ...POINTER, source: "memory" });
    expect(world.calls).toEqual(["kv"]);
  });

  it("leads there by the directory while KV does not know it yet", async () => {
    world.directoryKeys.set(HASH, POINTER);
    expect(await source.findKey(HASH)).toEqual({ ...POINTER, source: "directory" });
  });

  it("is looked up once in three seconds where it is unknown", async () => {
    expect(await source.findKey(HASH)).toBeUndefined();
    expect(await source.findKey(HASH)).toBeUndefined();
    expect(world.calls).toEqual(["kv", "directory"]);
    world.directoryKeys.set(HASH, POINTER);
    world.now += 3000;
    expect(await source.findKey(HASH)).toMatchObject(POINTER);
  });

  it("makes a copy of the tenant go that is older than the key", async () => {
    world.publish(1);
    await source.load("acme");
    world.publish(2, ["directory", "queue"]);
    world.directoryKeys.set(HASH, POINTER);
    await source.findKey(HASH);
    expect(await source.load("acme")).toMatchObject({ source: "directory", bundle: { version: 2 } });
  });

  it("is forgotten, longest unused first, when there are too many", async () => {
    for (let index = 0; index <= 10_000; index += 1) {
      world.kv.set(`key/${index}`, JSON.stringify(POINTER));
      await source.findKey(String(index));
    }
    expect(await source.findKey("10000")).toMatchObject({ source: "memory" });
    expect(await source.findKey("0")).toMatchObject({ source: "kv" });
  });
});

describe("a failure", () => {
  it("of KV is made good by the directory", async () => {
    world.publish(1);
    world.directoryKeys.set(HASH, POINTER);
    world.broken.add("kv");
    expect(await source.load("acme")).toMatchObject({ source: "directory" });
    expect(await source.findKey(HASH)).toMatchObject({ source: "directory" });
  });

  it("of the queue object means that KV can't be trusted", async () => {
    world.publish(1);
    world.publish(2, ["directory"]);
    world.broken.add("queue");
    expect(await source.load("acme")).toMatchObject({ source: "directory", bundle: { version: 2 } });
  });

  it("of KV to forget a deleted tenant is noticed: its queue object is empty by then", async () => {
    world.publish(3, ["kv"]);
    world.queueVersion = -1;
    expect(await source.load("acme")).toBeUndefined();
    expect(world.calls).toContain("directory");
    world.publish(7, ["directory", "queue"]);
    expect(await source.load("acme")).toMatchObject({ source: "directory", bundle: { version: 7 } });
  });

  it("of the directory is not noticed while KV is current", async () => {
    world.publish(1);
    world.broken.add("directory");
    expect(await source.load("acme")).toMatchObject({ source: "kv" });
  });

  it("of KV and the directory lets a young copy serve, and no copy beyond 30 s", async () => {
    world.publish(1);
    await source.load("acme");
    world.broken.add("kv").add("directory");
    world.now += 29_999;
    expect(await source.load("acme")).toMatchObject({ source: "memory" });
    world.now += 1;
    await expect(source.load("acme")).rejects.toMatchObject({ code: "unavailable", status: 503 });
  });

  it("of both is no verdict on a key", async () => {
    world.broken.add("kv").add("directory");
    await expect(source.findKey(HASH)).rejects.toMatchObject({ code: "unavailable" });
  });
});
