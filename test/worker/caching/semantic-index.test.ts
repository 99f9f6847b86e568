// The index of look-ups by meaning in a real SQLite Durable Object: what it finds, keeps and forgets, and how long a look takes.
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import type { IndexEntry, SemanticIndexRpc } from "../../../src/cache/semantic-protocol.ts";
import { normalise, type Vector } from "../../../src/cache/vectors.ts";

const LATER = Date.now() + 3_600_000;
const TRACE = { traceId: "a".repeat(32), spanId: "b".repeat(16) };

let indexes = 0;

function openIndex() {
  const stub = env.SEMANTIC_INDEX.getByName(`semantic-test-${++indexes}`);
  const port: SemanticIndexRpc = stub;
  const add = (key: string, vector: Vector, about: Partial<IndexEntry> = {}) =>
    port.add({
      epoch: 1,
      scope: "s",
      key,
      vector,
      trace: TRACE,
      expiresAt: LATER,
      route: "chat",
      maxEntries: 1000,
      ...about,
    });
  const find = (vector: Vector, scope = "s", epoch = 1) => port.nearest({ epoch, scope, vector });
  /** Keys from the oldest on, as they are on disk. */
  const keys = () =>
    runInDurableObject(stub, (_, { storage }) =>
      storage.sql
        .exec<{ key: string }>("SELECT key FROM vectors ORDER BY id")
        .toArray()
        .map(({ key }) => key),
    );
  return { stub, port, add, find, keys };
}

function unit(...numbers: readonly number[]): Vector {
  const vector = normalise(numbers);
  if (vector === undefined) throw new Error("no vector");
  return vector;
}

describe("the semantic index", () => {
  test("gives the nearest of its scope, with whose answer it is, and how many there were", async () => {
    const { add, find } = openIndex();
    await add("far", unit(0, 1));
    await add("near", unit(1, 0.1), { trace: { ...TRACE, spanId: "c".repeat(16) } });
    await add("elsewhere", unit(1, 0), { scope: "other" });
    expect(await find(unit(1, 0))).toEqual({
      compared: 2,
      best: { key: "near", similarity: 0.995037, trace: { ...TRACE, spanId: "c".repeat(16) } },
    });
    expect(await find(unit(1, 0), "nowhere")).toEqual({ compared: 0 });
  });

  test("knows after an eviction what it knew before, to the bit", async () => {
    const { stub, add, find } = openIndex();
    const vector = unit(...Array.from({ length: 1536 }, (_, at) => Math.sin(at)));
    await add("a", vector);
    await add("b", unit(...Array.from({ length: 1536 }, (_, at) => Math.cos(at))));
    const query = unit(...Array.from({ length: 1536 }, (_, at) => Math.sin(at + 0.3)));
    const before = await find(query);
    await evictDurableObject(stub);
    expect(await find(query)).toEqual(before);
    expect((await find(vector)).best).toMatchObject({ key: "a", similarity: 1 });
  });

  test("takes the same entry twice as one, and its newest place in the ring", async () => {
    const { add, find, keys } = openIndex();
    await add("a", unit(1, 0));
    await add("b", unit(0, 1));
    await find(unit(1, 0));
    await add("a", unit(1, 0));
    await add("a", unit(1, 0));
    expect(await keys()).toEqual(["b", "a"]);
    expect(await find(unit(1, 0))).toMatchObject({ compared: 2, best: { key: "a" } });
  });

  test("keeps as many as each route has asked for, the oldest go first, in memory as on disk", async () => {
    const { stub, add, find, keys } = openIndex();
    const ring = { maxEntries: 2 };
    await add("other", unit(1, 1), { route: "other" });
    for (const [at, key] of ["a", "b", "c", "d"].entries()) {
      await add(key, unit(1, at), ring);
      await find(unit(1, 0));
    }
    expect(await keys()).toEqual(["other", "c", "d"]);
    expect(await find(unit(1, 0))).toMatchObject({ compared: 3, best: { key: "other" } });
    await evictDurableObject(stub);
    await add("e", unit(1, 5), ring);
    expect(await keys()).toEqual(["other", "d", "e"]);
  });

  test("holds no more than 16 MiB of a tenant's vectors", async () => {
    const { add, keys } = openIndex();
    const vector = unit(...Array.from({ length: 4096 }, () => 1));
    const most = (16 * 1024 * 1024) / vector.byteLength;
    for (let n = 0; n < most + 3; n += 1) await add(`k${n}`, vector, { route: `r${n}` });
    const kept = await keys();
    expect([kept.length, kept[0]]).toEqual([most, "k3"]);
  });

  test("passes over what has expired, deletes it by its alarm, and sleeps for good once it is empty", async () => {
    const { stub, add, find, keys } = openIndex();
    await add("old", unit(1, 0), { expiresAt: Date.now() - 1 });
    await add("new", unit(0, 1));
    expect(await find(unit(1, 0))).toMatchObject({ compared: 1, best: { key: "new", similarity: 0 } });
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect(await keys()).toEqual(["new"]);
    await runInDurableObject(stub, (_, { storage }) => storage.sql.exec("UPDATE vectors SET expires_at = 0"));
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect(await keys()).toEqual([]);
    expect(await runDurableObjectAlarm(stub)).toBe(false);
  });

  test("is emptied by a newer epoch, and takes and gives nothing of an older one", async () => {
    const { stub, add, find, keys } = openIndex();
    await add("a", unit(1, 0));
    await find(unit(1, 0));
    expect(await find(unit(1, 0), "s", 2)).toEqual({ compared: 0 });
    expect(await keys()).toEqual([]);
    await add("late", unit(1, 0));
    expect(await keys()).toEqual([]);
    await add("b", unit(1, 0), { epoch: 2 });
    await evictDurableObject(stub);
    expect(await find(unit(1, 0), "s", 1)).toEqual({ compared: 0 });
    expect(await find(unit(1, 0), "s", 2)).toMatchObject({ best: { key: "b" } });
  });

  test("forgets an entry whose answer is gone", async () => {
    const { add, find, port, keys } = openIndex();
    await add("a", unit(1, 0));
    await find(unit(1, 0));
    await port.forget("s", "a");
    expect(await find(unit(1, 0))).toEqual({ compared: 0 });
    expect(await keys()).toEqual([]);
  });

  test("passes over vectors of another model's dimensions", async () => {
    const { add, find } = openIndex();
    await add("three", unit(1, 0, 0));
    await add("two", unit(0, 1));
    expect(await find(unit(1, 0))).toMatchObject({ compared: 1, best: { key: "two" } });
  });

  test("looks through a thousand vectors of 1,536 dimensions in a moment", async () => {
    const { stub, add, find } = openIndex();
    const random = (seed: number): Vector =>
      unit(...Array.from({ length: 1536 }, (_, at) => Math.sin(seed * 7919 + at * at)));
    for (let n = 0; n < 1000; n += 1) await add(`k${n}`, random(n));
    await evictDurableObject(stub);
    const ms: number[] = [];
    for (let n = 0; n < 20; n += 1) {
      const startedAt = performance.now();
      const { best, compared } = await find(random(n * 50));
      ms.push(performance.now() - startedAt);
      expect([best?.key, best?.similarity, compared]).toEqual([`k${n * 50}`, 1, 1000]);
    }
    const [cold = 0, ...warm] = ms;
    const median = warm.toSorted((a, b) => a - b)[warm.length >> 1] ?? 0;
    console.log(
      `1,000 × 1,536: first look ${cold.toFixed(1)} ms, then ${median.toFixed(2)} ms, the call included`,
    );
    // An order of magnitude above what it takes: this only fails where something is badly wrong.
    expect(median).toBeLessThan(100);
  });
});
