// Cached answers in KV: what is put is got back, for its own tenant only, and no fault of KV becomes a throw.
import { describe, expect, test } from "vitest";
import { ageSeconds } from "../../../src/cache/entry.ts";
import { cacheKey, type CacheKey } from "../../../src/cache/key.ts";
import { createCacheStore } from "../../../src/cache/store.ts";
import { chatOf, createFakeKv, ENTRY } from "../../support/fakes/fake-kv.ts";

const keyOf = (tenantId: string): Promise<CacheKey> =>
  cacheKey({
    tenantId,
    epoch: 1,
    planVersion: "p",
    chat: chatOf({ model: "m", messages: [{ role: "user" }] }),
  });

function createStore(nowMs = ENTRY.storedAt) {
  const kv = createFakeKv();
  return { kv, store: createCacheStore(kv, () => nowMs) };
}

describe("an entry", () => {
  test("comes back as it was put", async () => {
    const { store } = createStore();
    const key = await keyOf("acme");
    expect(await store.get(key)).toEqual({ status: "miss" });
    expect(await store.put(key, ENTRY)).toEqual({ status: "stored" });
    expect(await store.get(key)).toEqual({ status: "hit", entry: ENTRY });
  });

  test("comes back without what was not known of it", async () => {
    const { store } = createStore();
    const { usage: _, costMicroUsd: __, model: ___, ...bare } = ENTRY;
    const key = await keyOf("acme");
    await store.put(key, bare);
    expect(await store.get(key)).toStrictEqual({ status: "hit", entry: bare });
  });

  test("is not another tenant's, though the request is the same", async () => {
    const { store } = createStore();
    await store.put(await keyOf("acme"), ENTRY);
    expect(await store.get(await keyOf("globex"))).toEqual({ status: "miss" });
  });

  test("lies under its tenant's prefix, with its time to live and the body untouched", async () => {
    const { kv, store } = createStore();
    const key = await keyOf("acme");
    await store.put(key, ENTRY);
    expect([...kv.values.keys()]).toEqual([`cache/acme/${key.digest}`]);
    expect([...kv.values.values()][0]).toMatchObject({ value: ENTRY.body, expirationTtl: 3600 });
  });

  test("is stale once its time is over, though KV still has it", async () => {
    const key = await keyOf("acme");
    const lookAt = async (afterMs: number) => {
      const { store } = createStore(ENTRY.storedAt + afterMs);
      await store.put(key, ENTRY);
      return (await store.get(key)).status;
    };
    expect(await lookAt(3_599_999)).toBe("hit");
    expect(await lookAt(3_600_000)).toBe("stale");
  });

  test("has an age in whole seconds that is never negative", () => {
    expect(ageSeconds(ENTRY, ENTRY.storedAt + 1999)).toBe(1);
    expect(ageSeconds(ENTRY, ENTRY.storedAt - 5000)).toBe(0);
  });
});

describe("what can't be read is a miss", () => {
  test.each([
    ["no metadata", null],
    ["another version's", { v: 2 }],
    ["metadata without its trace", { v: 1, form: "json", contentType: "a", length: ENTRY.body.length }],
    ["text for metadata", "x"],
  ])("%s", async (_, metadata) => {
    const { kv, store } = createStore();
    const key = await keyOf("acme");
    await store.put(key, ENTRY);
    kv.values.set(`cache/acme/${key.digest}`, { value: ENTRY.body, metadata, expirationTtl: 60 });
    expect(await store.get(key)).toEqual({ status: "miss" });
  });

  test("a body that is not the one the metadata is about", async () => {
    const { kv, store } = createStore();
    const key = await keyOf("acme");
    await store.put(key, ENTRY);
    for (const [name, stored] of kv.values) kv.values.set(name, { ...stored, value: stored.value.slice(1) });
    expect(await store.get(key)).toEqual({ status: "miss" });
  });
});

describe("what can't be stored", () => {
  test("a body beyond KV's limit is too large", async () => {
    const { store } = createStore();
    expect(await store.put(await keyOf("acme"), { ...ENTRY, body: "x".repeat(9_000_000) })).toEqual({
      status: "too_large",
    });
  });

  test("facts beyond KV's metadata are too large, counted in bytes", async () => {
    const { store } = createStore();
    const key = await keyOf("acme");
    expect(await store.put(key, { ...ENTRY, model: "é".repeat(400) })).toEqual({ status: "too_large" });
    expect(await store.put(key, { ...ENTRY, model: "e".repeat(400) })).toEqual({ status: "stored" });
  });
});

describe("a fault of KV", () => {
  const cause = new Error("KV PUT failed: 429 Too Many Requests");
  const broken = createCacheStore(
    { getWithMetadata: () => Promise.reject(cause), put: () => Promise.reject(cause) },
    () => 0,
  );

  test("is an answer, in reading and in writing", async () => {
    const key = await keyOf("acme");
    expect(await broken.get(key)).toEqual({ status: "error", cause });
    expect(await broken.put(key, ENTRY)).toEqual({ status: "error", cause });
  });
});
