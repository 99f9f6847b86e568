import { describe, expect, test } from "vitest";
import type { CacheEntry } from "../../../src/cache/entry.ts";
import { HOT_MS, withHotEntries } from "../../../src/cache/hot-entries.ts";
import { cacheKey, type CacheKey } from "../../../src/cache/key.ts";
import type { CacheLookup, CacheStore, CacheWrite } from "../../../src/cache/store.ts";
import { fakeChat } from "../../support/fakes/fake-tenant.ts";

const STORED_AT = 1_700_000_000_000;
const entryOf = (body: string): CacheEntry => ({
  form: "json",
  contentType: "application/json",
  body,
  durationMs: 10,
  storedAt: STORED_AT,
  ttlSeconds: 60,
  trace: { traceId: "t", spanId: "s" },
  target: "a/x",
});

const keyOf = (tenantId: string, epoch = 0): Promise<CacheKey> =>
  cacheKey({ tenantId, epoch, planVersion: "1", chat: fakeChat() });

/** A store that counts its reads, in front of which hot entries are kept; the clock is moved by hand. */
function setup(written: CacheWrite = { status: "stored" }) {
  const clock = { now: STORED_AT };
  const kept = new Map<string, CacheLookup>();
  let reads = 0;
  const nameOf = ({ tenantId, digest }: CacheKey): string => `${tenantId} ${digest}`;
  const store: CacheStore = {
    async get(key) {
      reads += 1;
      return kept.get(nameOf(key)) ?? { status: "miss" };
    },
    async put(key, entry) {
      if (written.status === "stored") kept.set(nameOf(key), { status: "hit", entry });
      return written;
    },
  };
  return {
    clock,
    kept,
    nameOf,
    hot: withHotEntries(store, () => clock.now),
    get reads() {
      return reads;
    },
  };
}

describe("hot entries", () => {
  test("are given without a read for some seconds, and then read again", async () => {
    const { clock, kept, nameOf, hot } = setup();
    const key = await keyOf("acme");
    kept.set(nameOf(key), { status: "hit", entry: entryOf("one") });
    expect(await hot.get(key)).toEqual({ status: "hit", entry: entryOf("one") });
    kept.set(nameOf(key), { status: "hit", entry: entryOf("refreshed elsewhere") });
    clock.now += HOT_MS - 1;
    expect(await hot.get(key)).toEqual({
      status: "hit",
      entry: entryOf("one"),
      source: "memory",
      bytes: new TextEncoder().encode("one"),
    });
    clock.now += 1;
    expect(await hot.get(key)).toEqual({ status: "hit", entry: entryOf("refreshed elsewhere") });
  });

  test("are what was stored last, at once", async () => {
    const shared = setup();
    const key = await keyOf("acme");
    await shared.hot.put(key, entryOf("one"));
    await shared.hot.put(key, entryOf("two"));
    expect(await shared.hot.get(key)).toMatchObject({ entry: { body: "two" }, source: "memory" });
    expect(shared.reads).toBe(0);
  });

  test("are not what could not be stored: an answer that is too large, or a fault of KV", async () => {
    const shared = setup({ status: "too_large" });
    const key = await keyOf("acme");
    await shared.hot.put(key, entryOf("one"));
    expect(await shared.hot.get(key)).toEqual({ status: "miss" });
    expect(shared.reads).toBe(1);
  });

  test("of one tenant, or of before a purge, are never another's", async () => {
    const shared = setup();
    await shared.hot.put(await keyOf("acme"), entryOf("one"));
    for (const key of [await keyOf("other"), await keyOf("acme", 1)])
      expect(await shared.hot.get(key)).toEqual({ status: "miss" });
  });

  test("are never given past their time to live", async () => {
    const shared = setup();
    const key = await keyOf("acme");
    shared.clock.now = STORED_AT + 59_000;
    await shared.hot.put(key, entryOf("one"));
    expect(await shared.hot.get(key)).toMatchObject({ source: "memory" });
    shared.clock.now = STORED_AT + 60_000;
    shared.kept.clear();
    expect(await shared.hot.get(key)).toEqual({ status: "miss" });
  });

  test("are bounded in size: an old one that was not used since goes", async () => {
    const shared = setup();
    const large = entryOf("x".repeat(1024 * 1024));
    const keys = await Promise.all(Array.from({ length: 5 }, (_, tenant) => keyOf(`t${tenant}`)));
    for (const key of keys) await shared.hot.put(key, large);
    const sources = [];
    for (const key of keys.toReversed()) sources.push("source" in (await shared.hot.get(key)));
    expect(sources.filter(Boolean)).toHaveLength(2);
    expect(sources.at(-1)).toBe(false);
  });

  test("are forgotten once KV has none any more, or can't be read", async () => {
    const shared = setup();
    const key = await keyOf("acme");
    await shared.hot.put(key, entryOf("one"));
    shared.clock.now += HOT_MS;
    shared.kept.set(shared.nameOf(key), { status: "error", cause: "down" });
    expect(await shared.hot.get(key)).toMatchObject({ status: "error" });
    shared.kept.clear();
    expect(await shared.hot.get(key)).toEqual({ status: "miss" });
  });
});
