// The embedded trace store in a real SQLite Durable Object: what it keeps, finds, and forgets.
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { createEnvelope } from "../../../src/telemetry/otlp/otlp.ts";
import { NEWEST, SLOTS_PER_MS } from "../../../src/telemetry/store/store-query.ts";
import type { TraceStore } from "../../../src/telemetry/store/store.ts";
import { createBatchPacker } from "../../../src/telemetry/store/stored-batch.ts";
import type {
  Retention,
  TraceBatch,
  TraceFilters,
  TraceRow,
  TraceStorePort,
} from "../../../src/telemetry/store/stored-trace.ts";

const KEEP: Retention = { maxTraces: 1000, maxAgeHours: 24 };
const START = Date.now() - 60_000;

let stores = 0;

function openStore() {
  const stub = env.TRACE_STORE.getByName(`store-test-${++stores}`);
  const port: TraceStorePort = stub;
  const find = async (
    filters: TraceFilters = {},
    before = NEWEST,
    limit = 5000,
  ): Promise<readonly string[]> =>
    (await port.search(filters, before, limit)).map(({ summary }) => summary.requestId);
  return { stub, port, find };
}

function row(requestId: string, about: Partial<TraceRow> = {}): TraceRow {
  return {
    traceId: "a".repeat(32),
    requestId,
    startedAt: START,
    durationMs: 100,
    tenant: "acme",
    keyId: "key_1",
    route: "chat-fast",
    model: "gpt-4o-mini",
    provider: "openai",
    status: 200,
    isError: false,
    outcome: "ok",
    ttfbMs: 40,
    queueMs: 0,
    attempts: 1,
    cache: "miss",
    inputTokens: 512,
    outputTokens: 118,
    costUsd: 0.0011,
    costBasis: "list",
    session: null,
    endUser: null,
    isData: true,
    otlp: `{"of":"${requestId}"}`,
    ...about,
  };
}

describe("the trace store", () => {
  test("gives back each column as it was written, nulls and fractions too", async () => {
    const { port } = openStore();
    const full = row("full");
    const bare = row("bare", {
      startedAt: START + 1,
      tenant: null,
      keyId: null,
      route: null,
      model: null,
      provider: null,
      status: null,
      isError: true,
      outcome: null,
      ttfbMs: null,
      queueMs: null,
      attempts: null,
      cache: null,
      inputTokens: null,
      outputTokens: null,
      costUsd: null,
    });
    await port.add([full, bare], KEEP);
    const found = await port.search({}, NEWEST, 10);
    expect(found.map(({ summary }) => ({ ...summary, otlp: "" }))).toEqual([
      { ...bare, otlp: "" },
      { ...full, otlp: "" },
    ]);
  });

  test("finds all requests of a trace, oldest first, and nothing of another", async () => {
    const { port } = openStore();
    const other = { traceId: "b".repeat(32) };
    await port.add([row("late", { startedAt: START + 5 }), row("other", other), row("early")], KEEP);
    expect(await port.get("a".repeat(32))).toEqual(['{"of":"early"}', '{"of":"late"}']);
    expect(await port.get("c".repeat(32))).toEqual([]);
  });

  test("takes a repeated write once, since the runtime may repeat a call", async () => {
    const { port, find } = openStore();
    await port.add([row("one")], KEEP);
    await port.add([row("one"), row("two")], KEEP);
    expect(await find()).toEqual(["two", "one"]);
  });

  test.each<[string, TraceFilters, readonly string[]]>([
    ["a status", { status: 429 }, ["refused"]],
    ["every error", { status: "error" }, ["cut", "refused"]],
    ["a model", { model: "claude" }, ["slow"]],
    ["a route", { route: "nightly" }, ["slow"]],
    ["a least duration", { minMs: 5000 }, ["slow"]],
    ["a longest duration", { maxMs: 3 }, ["refused"]],
    ["both", { minMs: 3, maxMs: 100 }, ["cut", "refused", "plain"]],
    ["a time from which on", { sinceAt: START + 2 }, ["cut", "slow"]],
    ["a time before which", { untilAt: START + 2 }, ["refused", "plain"]],
    ["a span of time", { sinceAt: START + 1, untilAt: START + 2 }, ["refused"]],
    ["several at once", { status: "error", minMs: 50 }, ["cut"]],
    ["a key", { key: "key_2" }, ["refused"]],
    ["an outcome", { outcome: "rejected" }, ["refused"]],
    ["a cache status", { cache: "hit" }, ["slow"]],
    ["a part of a request's id", { idPart: "LOW" }, ["slow"]],
    ["a part of a trace's id", { idPart: "abba" }, ["cut"]],
    ["a part that no id has, but both at their join", { idPart: "a c" }, []],
    ["a part that is a pattern elsewhere", { idPart: "%" }, []],
    ["a session", { session: "s-1" }, ["slow", "plain"]],
    ["an end user", { endUser: "9f2c" }, ["slow"]],
    ["a label", { metadata: [["team", 'blue "sky"']] }, ["slow"]],
    [
      "two labels",
      {
        metadata: [
          ["team", 'blue "sky"'],
          ["app", "x"],
        ],
      },
      [],
    ],
    ["what is traffic", { isDataOnly: true }, ["slow", "refused", "plain"]],
    ["text that is SQL", { model: "x' OR 1=1 --" }, []],
  ])("filters by %s", async (_, filters, expected) => {
    const { port, find } = openStore();
    const rows = [
      row("plain", { session: "s-1" }),
      row("refused", {
        startedAt: START + 1,
        status: 429,
        isError: true,
        durationMs: 3,
        keyId: "key_2",
        outcome: "rejected",
      }),
      row("slow", {
        startedAt: START + 2,
        durationMs: 9000,
        model: "claude",
        route: "nightly",
        cache: "hit",
        session: "s-1",
        endUser: "9f2c",
        otlp: String.raw`{"attributes":[{"key":"gateway.metadata.team","value":{"stringValue":"blue \"sky\""}}]}`,
      }),
      row("cut", { startedAt: START + 3, isError: true, isData: false, traceId: `${"a".repeat(28)}abba` }),
    ];
    await port.add(rows, KEEP);
    expect(await find(filters)).toEqual(expected);
  });

  test("adds up conversations, the one with the newest request first, and pages through them", async () => {
    const { port } = openStore();
    const of = (session: string, n: number, about: Partial<TraceRow> = {}): TraceRow =>
      row(`${session} ${n}`, { session, startedAt: START + n, ...about });
    const failed = {
      status: 502,
      isError: true,
      model: null,
      inputTokens: null,
      outputTokens: null,
      costUsd: null,
      costBasis: "partial",
    };
    await port.add(
      [
        of("a", 1),
        of("b", 2, { model: "claude, the 4th", costUsd: 0.1 }),
        of("a", 3, failed),
        of("c", 4),
        row("none"),
      ],
      KEEP,
    );
    const pages = [await port.sessions({}, NEWEST, 2)];
    pages.push(await port.sessions({}, pages[0]?.at(-1)?.position ?? 0, 2));
    expect(pages.map((page) => page.map(({ session }) => session))).toEqual([["c", "a"], ["b"]]);
    expect(pages[0]?.[1]).toMatchObject({
      startedAt: START + 1,
      endedAt: START + 103,
      requests: 2,
      errors: 1,
      models: ["gpt-4o-mini"],
      inputTokens: 512,
      outputTokens: 118,
      costUsd: 0.0011,
      partialCosts: 1,
    });
    expect(pages[1]?.[0]).toMatchObject({ models: ["claude, the 4th"], costUsd: 0.1, partialCosts: 0 });
    expect(await port.sessions({ session: "other" }, NEWEST, 2)).toEqual([]);
    expect((await port.sessions({ sinceAt: START + 3 }, NEWEST, 9)).map(({ requests }) => requests)).toEqual([
      1, 1,
    ]);
  });

  test("goes on with a table of an earlier version, whose rows have no session", async () => {
    const { stub, port, find } = openStore();
    await port.add([row("old")], KEEP);
    await runInDurableObject(stub, (_, state) => {
      for (const column of ["session", "end_user", "is_data"])
        state.storage.sql.exec(`ALTER TABLE traces DROP COLUMN ${column}`);
    });
    await evictDurableObject(stub);
    await port.add([row("new", { startedAt: START + 1, session: "s-1" })], KEEP);
    expect(await find({ isDataOnly: true })).toEqual(["new", "old"]);
    expect(await find({ session: "s-1" })).toEqual(["new"]);
  });

  test("pages without a gap or a double, also through one millisecond", async () => {
    const { port, find } = openStore();
    const rows = Array.from({ length: 25 }, (_, i) =>
      row(`r${i}`, { startedAt: START + Math.floor(i / 10) }),
    );
    await port.add(rows, KEEP);
    const all = await find();
    expect(all).toHaveLength(25);
    const paged: string[] = [];
    for (let before = NEWEST; ;) {
      const page = await port.search({}, before, 7);
      paged.push(...page.map(({ summary }) => summary.requestId));
      before = page.at(-1)?.position ?? 0;
      if (page.length < 7) break;
    }
    expect(paged).toEqual(all);
  });

  test("lets more requests start in one millisecond than it has places for", async () => {
    const { port, find } = openStore();
    const rows = Array.from({ length: SLOTS_PER_MS + 5 }, (_, i) => row(`r${i}`));
    await port.add(rows, { ...KEEP, maxTraces: 5000 });
    await port.add([row("next", { startedAt: START + 1 })], { ...KEEP, maxTraces: 5000 });
    expect(await find({}, NEWEST, 5000)).toHaveLength(SLOTS_PER_MS + 6);
  });
});

describe("the ring", () => {
  const many = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => row(`r${from + i}`, { startedAt: START + from + i }));

  test("keeps the newest and lets the oldest go, with a little slack", async () => {
    const { port, find } = openStore();
    const retention = { ...KEEP, maxTraces: 100 };
    await port.add(many(0, 102), retention);
    expect(await find()).toHaveLength(100 + 2);
    await port.add(many(102, 103), retention);
    expect(await find()).toEqual(
      many(3, 103)
        .toReversed()
        .map(({ requestId }) => requestId),
    );
  });

  test("counts on after the object was evicted", async () => {
    const { stub, port, find } = openStore();
    const retention = { ...KEEP, maxTraces: 10 };
    await port.add(many(0, 8), retention);
    await evictDurableObject(stub);
    await port.add(many(8, 12), retention);
    expect(await find()).toHaveLength(10);
  });

  test("shrinks when the tenant's limit does", async () => {
    const { port, find } = openStore();
    await port.add(many(0, 50), KEEP);
    await port.add(many(50, 51), { ...KEEP, maxTraces: 5 });
    expect(await find()).toHaveLength(5);
  });

  test("forgets by age when its alarm rings, and rings again only while there is something", async () => {
    const { stub, port, find } = openStore();
    const hour = 3_600_000;
    await port.add(
      [row("old", { startedAt: Date.now() - 2 * hour }), row("new", { startedAt: Date.now() })],
      { ...KEEP, maxAgeHours: 1 },
    );
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect(await find()).toEqual(["new"]);
    expect(await runInDurableObject(stub, (_, state) => state.storage.getAlarm())).not.toBeNull();
    await runInDurableObject(stub, (_, state) => state.storage.sql.exec("UPDATE traces SET id = 1"));
    await runDurableObjectAlarm(stub);
    expect(await find()).toEqual([]);
    expect(await runInDurableObject(stub, (_, state) => state.storage.getAlarm())).toBeNull();
    await port.add([row("again")], KEEP);
    expect(await runInDurableObject(stub, (_, state) => state.storage.getAlarm())).not.toBeNull();
  });
});

describe("what comes in batches", () => {
  const spanOf = (requestId: string, startedAt: number): string =>
    JSON.stringify({
      traceId: "a".repeat(32),
      spanId: "b".repeat(16),
      flags: 257,
      name: "POST /v1/chat/completions",
      kind: 2,
      startTimeUnixNano: `${startedAt}000000`,
      endTimeUnixNano: `${startedAt + 7}000000`,
      attributes: [{ key: "gateway.request.id", value: { stringValue: requestId } }],
    });

  /** Requests `from` up to `to`, each a millisecond after the other, as one batch. */
  function batch(from: number, to: number, startAt = START): TraceBatch {
    const packer = createBatchPacker("acme", createEnvelope({ serviceName: "s", serviceVersion: "0" }));
    for (let at = from; at < to; at += 1) packer.append(startAt + at, spanOf(`r${at}`, startAt + at));
    const [packed] = packer.take();
    if (packed === undefined) throw new Error("an empty batch");
    return packed;
  }

  const idsDown = (to: number, from: number): readonly string[] =>
    Array.from({ length: to - from }, (_, i) => `r${to - 1 - i}`);
  const rowsOf = (stub: DurableObjectStub<TraceStore>) =>
    runInDurableObject(stub, (_, { storage }) => {
      const count = (table: string): unknown =>
        storage.sql.exec(`SELECT count(*) AS n FROM ${table}`).one()["n"];
      return { batches: count("batches"), traces: count("traces") };
    });

  test("is one row for all until there is a reader, and a row a request from then on", async () => {
    const { stub, port, find } = openStore();
    await port.append(batch(0, 40), KEEP);
    await port.append(batch(40, 60), KEEP);
    expect(await rowsOf(stub)).toEqual({ batches: 2, traces: 0 });
    expect(await find()).toEqual(idsDown(60, 0));
    expect(await rowsOf(stub)).toEqual({ batches: 0, traces: 60 });
    await port.append(batch(60, 61), KEEP);
    const [element = "", ...others] = (await port.get("a".repeat(32))).slice(60);
    expect(others).toEqual([]);
    expect(JSON.parse(element).scopeSpans[0].spans).toEqual([JSON.parse(spanOf("r60", START + 60))]);
    const [newest] = await port.search({}, NEWEST, 1);
    expect(newest?.summary).toMatchObject({
      tenant: "acme",
      startedAt: START + 60,
      durationMs: 7,
      route: null,
    });
  });

  test("is read once, however often it was written", async () => {
    const { port, find } = openStore();
    await port.append(batch(0, 3), KEEP);
    await port.append(batch(0, 3), KEEP);
    expect(await find()).toEqual(idsDown(3, 0));
    await port.append(batch(1, 5), KEEP);
    expect(await find()).toEqual(idsDown(5, 0));
  });

  test("counts as known for who writes rows", async () => {
    const { port, find } = openStore();
    await port.append(batch(0, 2), KEEP);
    expect(await port.add([row("r1"), row("late", { startedAt: START + 9 })], KEEP)).toEqual(["r1"]);
    expect(await find()).toEqual(["late", "r1", "r0"]);
  });

  test("goes oldest first when the ring is full, and to the last trace where a batch is large", async () => {
    const { stub, port, find } = openStore();
    const retention = { ...KEEP, maxTraces: 50 };
    for (let at = 0; at < 100; at += 10) await port.append(batch(at, at + 10), retention);
    expect(await rowsOf(stub)).toEqual({ batches: 5, traces: 0 });
    expect(await find()).toEqual(idsDown(100, 50));
    await port.append(batch(100, 230), retention);
    expect(await find()).toEqual(idsDown(230, 180));
  });

  test("takes the place of rows that are older, also after an eviction", async () => {
    const { stub, port, find } = openStore();
    const retention = { ...KEEP, maxTraces: 20 };
    await port.append(batch(0, 20), retention);
    await find();
    await port.append(batch(20, 30), retention);
    expect(await rowsOf(stub)).toEqual({ batches: 1, traces: 10 });
    await evictDurableObject(stub);
    await port.append(batch(30, 45), retention);
    expect(await find()).toEqual(idsDown(45, 25));
  });

  test("is forgotten by age, unread or in the middle of being read", async () => {
    const { stub, port, find } = openStore();
    const retention = { ...KEEP, maxAgeHours: 1 };
    const longAgo = Date.now() - 2 * 3_600_000;
    await port.append(batch(0, 5, longAgo), retention);
    await port.append(batch(5, 6), retention);
    await runDurableObjectAlarm(stub);
    expect(await rowsOf(stub)).toEqual({ batches: 1, traces: 0 });
    await port.append(batch(6, 8, longAgo), retention);
    expect(await find()).toEqual(["r5"]);
  });

  test("that can't be read fails its reader, and stays until it can", async () => {
    const { stub, port, find } = openStore();
    const setLengths = (lengths: string): Promise<unknown> =>
      runInDurableObject(stub, (_, { storage }) =>
        storage.sql.exec("UPDATE batches SET lengths = ? WHERE id = 1", lengths).toArray(),
      );
    const { lengths, ...rest } = batch(0, 3);
    await port.append({ lengths, ...rest }, KEEP);
    await port.append(batch(3, 4), KEEP);
    await setLengths("[5]");
    await expect(find()).rejects.toThrow("JSON");
    expect(await rowsOf(stub)).toEqual({ batches: 2, traces: 0 });
    await setLengths(lengths);
    expect(await find()).toEqual(idsDown(4, 0));
  });

  test("keeps the object awake no longer than there is any", async () => {
    const { stub, port } = openStore();
    const alarmOf = () => runInDurableObject(stub, (_, state) => state.storage.getAlarm());
    await port.append(batch(0, 1, Date.now() - 2 * 3_600_000), { ...KEEP, maxAgeHours: 1 });
    expect(await alarmOf()).not.toBeNull();
    await runDurableObjectAlarm(stub);
    expect(await rowsOf(stub)).toEqual({ batches: 0, traces: 0 });
    expect(await alarmOf()).toBeNull();
  });
});

test("a search by time walks the table's own order: no index of its own, no sorting", async () => {
  const { stub, port } = openStore();
  await port.add([row("one")], KEEP);
  const plan = await runInDurableObject(stub, (_, state) =>
    state.storage.sql
      .exec("EXPLAIN QUERY PLAN SELECT id FROM traces WHERE id < 9 AND id >= 1 ORDER BY id DESC LIMIT 5")
      .toArray(),
  );
  expect(JSON.stringify(plan)).toContain("USING INTEGER PRIMARY KEY");
  expect(JSON.stringify(plan)).not.toContain("TEMP B-TREE");
});
