import { describe, expect, test } from "vitest";
import { GatewayError } from "../../../../src/errors.ts";
import { createTraceReader } from "../../../../src/telemetry/store/trace-reader.ts";
import {
  formatCursor,
  parseTraceQuery,
  type TraceQuery,
} from "../../../../src/telemetry/store/trace-query.ts";
import type { FoundTrace } from "../../../../src/telemetry/store/stored-trace.ts";
import { summarize } from "../../../../src/telemetry/trace/summary.ts";
import { plainTrace } from "../../../support/builders/sample-traces.ts";

const NOW = Date.UTC(2026, 10, 25, 12);
const parse = (query: string): TraceQuery => parseTraceQuery(new URLSearchParams(query), NOW);

describe("the parameters of a search", () => {
  test("become filters", () => {
    const query =
      "kind=all&tenant=acme&status=429&model=m&route=r&min_ms=1&max_ms=2&since=2026-11-25T09:30:00Z&until=2026-11-25T11:00:00%2B01:00&limit=7";
    expect(parse(query)).toEqual({
      tenant: "acme",
      filters: {
        status: 429,
        model: "m",
        route: "r",
        minMs: 1,
        maxMs: 2,
        sinceAt: Date.UTC(2026, 10, 25, 9, 30),
        untilAt: Date.UTC(2026, 10, 25, 10),
      },
      limit: 7,
      cursor: undefined,
    });
  });

  test("name a key, an outcome, a cache status and a part of an id", () => {
    expect(parse("kind=all&key=key_1&outcome=ok&cache=hit&q=req_1").filters).toEqual({
      key: "key_1",
      outcome: "ok",
      cache: "hit",
      idPart: "req_1",
    });
  });

  test.each([
    ["90s", 90_000],
    ["15m", 900_000],
    ["1h", 3_600_000],
    ["7d", 604_800_000],
  ])("take an age: %s", (age, ms) => {
    expect(parse(`kind=all&since=${age}`).filters).toEqual({ sinceAt: NOW - ms });
  });

  test("are all optional, and leave out what is not traffic", () => {
    expect(parse("")).toEqual({
      tenant: undefined,
      filters: { isDataOnly: true },
      limit: 50,
      cursor: undefined,
    });
    expect(parse("kind=all").filters).toEqual({});
  });

  test("name a session, an end user and labels", () => {
    expect(parse("kind=all&session=s 1&endUser=9f2c&metadata.team=blue&metadata.app.name=x").filters).toEqual(
      {
        session: "s 1",
        endUser: "9f2c",
        metadata: [
          ["team", "blue"],
          ["app.name", "x"],
        ],
      },
    );
  });

  test("take an offset whose plus sign was not encoded, and the tenant of the unknown", () => {
    expect(parse("since=2026-11-25T11:00:00+01:00&tenant=-")).toMatchObject({
      tenant: "-",
      filters: { sinceAt: Date.UTC(2026, 10, 25, 10) },
    });
  });

  test.each([
    ["status=bad", "status"],
    ["status=600", "status"],
    ["status=", "status"],
    ["tenant=Not/A/Name", "tenant"],
    ["model=", "model"],
    [`route=${"x".repeat(300)}`, "route"],
    ["min_ms=-1", "min_ms"],
    ["min_ms=1.5", "min_ms"],
    ["max_ms=x", "max_ms"],
    ["min_ms=5&max_ms=4", "max_ms"],
    ["since=yesterday", "since"],
    ["since=1w", "since"],
    ["since=-1h", "since"],
    ["since=1h&until=2h", "until"],
    ["q=", "q"],
    ["kind=admin", "kind"],
    ["session=", "session"],
    ["metadata.team=", "metadata.team"],
    ["metadata.=x", "metadata."],
    ["metadata.a b=x", "metadata.a b"],
    ["key=", "key"],
    ["since=2026-11-25", "since"],
    ["since=2026-13-45T00:00:00Z", "since"],
    ["until=1764064800000", "until"],
    ["since=2026-11-25T10:00:00Z&until=2026-11-25T10:00:00Z", "until"],
    ["limit=0", "limit"],
    ["limit=201", "limit"],
    ["limit=ten", "limit"],
    ["cursor=%20", "cursor"],
    ["cursor=AAAA", "cursor"],
    ["modle=x", "modle"],
    ["limit=1&limit=2", "limit"],
  ])("are refused by name: %s", (query, param) => {
    const fault = (() => {
      try {
        return parse(query);
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(fault).toBeInstanceOf(GatewayError);
    expect(fault).toMatchObject({
      code: "invalid_request",
      details: { param },
      message: expect.stringContaining(param),
    });
  });

  test("a cursor comes back as it was", () => {
    const cursor = { position: 1_795_600_000_000_123, tenant: "a.b-c" };
    expect(parse(`cursor=${formatCursor(cursor)}`).cursor).toEqual(cursor);
    expect(formatCursor(cursor)).toMatch(/^[A-Za-z0-9+/]+$/);
  });
});

/** Stores in memory: per tenant the positions they hold. */
async function readerOf(stores: Readonly<Record<string, readonly number[]>>) {
  const summary = summarize(await plainTrace());
  let flushes = 0;
  let asked = 0;
  let running = 0;
  let mostRunning = 0;
  const reader = createTraceReader({
    listTenantIds: async () => Object.keys(stores).filter((tenant) => tenant !== "-"),
    flush: async () => void flushes++,
    storeOf: (tenant) => ({
      append: async () => {},
      add: async () => [],
      sessions: async () => [],
      async search(_filters, before, limit): Promise<readonly FoundTrace[]> {
        asked++;
        mostRunning = Math.max(mostRunning, ++running);
        await Promise.resolve();
        running--;
        const own = (stores[tenant] ?? []).filter((position) => position < before).toSorted((a, b) => b - a);
        return own.slice(0, limit).map((position) => ({
          position,
          summary: { ...summary, tenant, requestId: `${tenant}/${position}` },
        }));
      },
      explain: async () => [],
      get: async (traceId) => (stores[tenant] ?? []).map((position) => `${traceId}/${tenant}/${position}`),
    }),
  });
  return { reader, flushes: () => flushes, asked: () => asked, mostRunning: () => mostRunning };
}

describe("a search", () => {
  test("asks one store when the tenant is named", async () => {
    const { reader, asked } = await readerOf({ acme: [1, 2], globex: [3] });
    const { items, cursor } = await reader.search(parse("tenant=acme"));
    expect(items.map(({ requestId }) => requestId)).toEqual(["acme/2", "acme/1"]);
    expect([cursor, asked()]).toEqual([undefined, 1]);
  });

  test("merges all tenants and the unknown, newest first, and pages without a gap or a double", async () => {
    const stores = { acme: [1, 4, 4.5, 9], globex: [2, 4, 9], initech: [], "-": [3, 9] };
    const { reader } = await readerOf(stores);
    const all = (await reader.search(parse(""))).items.map(({ requestId }) => requestId);
    expect(all).toHaveLength(9);
    expect(all.slice(0, 3)).toEqual(["-/9", "acme/9", "globex/9"]);
    for (const limit of [1, 2, 3, 8, 9]) {
      const paged: string[] = [];
      let cursor: TraceQuery["cursor"];
      do {
        const page = await reader.search({ ...parse(`limit=${limit}`), cursor });
        paged.push(...page.items.map(({ requestId }) => requestId));
        cursor = page.cursor;
      } while (cursor !== undefined);
      expect(paged).toEqual(all);
    }
  });

  test("asks a few stores at a time, and refuses to ask too many", async () => {
    const many = (count: number) =>
      readerOf(Object.fromEntries(Array.from({ length: count }, (_, i) => [`t${i}`, [i]])));
    const { reader, mostRunning } = await many(100);
    expect((await reader.search(parse("limit=200"))).items).toHaveLength(100);
    expect(mostRunning()).toBeLessThanOrEqual(16);
    const tooMany = await many(501);
    await expect(tooMany.reader.search(parse(""))).rejects.toMatchObject({ details: { param: "tenant" } });
  });

  test("sees what this isolate has not written yet", async () => {
    const { reader, flushes } = await readerOf({ acme: [1] });
    await reader.search(parse(""));
    await reader.get("abc");
    expect(flushes()).toBe(2);
  });
});

test("one trace is gathered from all tenants, or from one", async () => {
  const { reader } = await readerOf({ acme: [1], globex: [2], "-": [] });
  expect(await reader.get("abc")).toEqual(["abc/acme/1", "abc/globex/2"]);
  expect(await reader.get("abc", "globex")).toEqual(["abc/globex/2"]);
});
