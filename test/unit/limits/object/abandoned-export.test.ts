// Who gets the trace of a request whose Worker died, and what is counted of it.
import { describe, expect, test } from "vitest";
import { exportAbandoned, type AbandonedPorts } from "../../../../src/limits/object/abandoned-export.ts";
import type { Push } from "../../../../src/telemetry/export/outbox-port.ts";
import type { FinishedSpan, FinishedTrace } from "../../../../src/telemetry/trace/trace.ts";
import { tenantSchema } from "../../../../src/tenants/records/records.ts";

const RETENTION = { maxTraces: 10, maxAgeHours: 1 };

function traceOf(requestId: string): FinishedTrace {
  const traceId = "0af7651916cd43dd8448eb211c80319c";
  const root: FinishedSpan = {
    traceId,
    spanId: "b7ad6b7169203331",
    name: "gateway.abandoned",
    kind: "server",
    startAt: 1_800_000_000_000,
    endAt: 1_800_000_045_000,
    attributes: { "gateway.outcome": "abandoned", "gateway.request.id": requestId },
    events: [],
    links: [],
    isError: true,
  };
  return { traceId, tenantId: "acme", root, spans: [root], hasRemoteParent: false };
}

interface About {
  readonly tracing?: object;
  readonly retention?: typeof RETENTION | undefined;
  readonly known?: readonly string[] | Error;
  readonly hasOperator?: boolean;
  /** So many pushes fail before one is taken. */
  readonly faults?: number;
}

/** `outbox: destination of the batch` of each push, with the pushes themselves and the rows of the store. */
async function play(about: About = {}) {
  const { tracing = {}, retention = RETENTION, known = [], hasOperator = true } = about;
  const pushes: Push[] = [];
  const stored: string[] = [];
  let faults = about.faults ?? 0;
  let ids = 0;
  const settings = tenantSchema.parse({ tracing }).tracing;
  const ports: AbandonedPorts = {
    tenantId: "acme",
    resource: { serviceName: "headgate", serviceVersion: "0.1.0" },
    hasOperator,
    store: {
      append: async () => {},
      explain: async () => [],
      async add(rows) {
        if (known instanceof Error) throw known;
        stored.push(...rows.map(({ requestId }) => requestId));
        return known;
      },
      search: async () => [],
      sessions: async () => [],
      get: async () => [],
    },
    outboxOf: () => ({
      async push(push) {
        if (faults-- > 0) throw new Error("overloaded");
        pushes.push(push);
        return { openUntil: {} };
      },
      status: async () => [],
    }),
    readTracing: async () => settings,
    newId: () => `id-${++ids}`,
  };
  await exportAbandoned(
    [traceOf("req_1"), traceOf("req_2")],
    "retention" in about ? about.retention : retention,
    ports,
  );
  const handed = pushes.flatMap(({ tenantId, batch }) =>
    batch ? [`${tenantId}: ${batch.destination}`] : [],
  );
  return { pushes, stored, handed };
}

const OWN = { destinations: [{ name: "own", endpoint: "https://own.example/otlp" }] };

describe("the traces of requests whose Worker died", () => {
  test("go to the store, the tenant's destinations and the operator's, each counted as enqueued", async () => {
    const { pushes, stored, handed } = await play({ tracing: OWN });
    expect(stored).toEqual(["req_1", "req_2"]);
    expect(handed.toSorted()).toEqual(["-: (operator)", "acme: own"]);
    for (const { batch, counts } of pushes) {
      const [sums] = Object.values(counts);
      expect(sums).toMatchObject(batch ? { enqueued: 2, handedOver: 2 } : { enqueued: 2, delivered: 2 });
      if (batch) expect(JSON.parse(new TextDecoder().decode(batch.body))).toHaveProperty("resourceSpans");
    }
  });

  test("are not sent again where the store has them: it was only the settlement that got lost", async () => {
    const one = await play({ tracing: OWN, known: ["req_1"] });
    expect(one.pushes.flatMap(({ batch }) => batch?.traces ?? [])).toEqual([1, 1]);
    expect((await play({ tracing: OWN, known: ["req_1", "req_2"] })).handed).toEqual([]);
  });

  test("that the tenant would not keep are the operator's alone", async () => {
    const { handed, stored } = await play({ tracing: { ...OWN, sampleRatio: 0, alwaysKeep: ["queued"] } });
    expect([handed, stored]).toEqual([["-: (operator)"], []]);
    expect((await play({ retention: undefined })).stored).toEqual([]);
  });

  test("go to the tenant only where the operator has no destination", async () => {
    expect((await play({ tracing: OWN, hasOperator: false })).handed).toEqual(["acme: own"]);
  });

  test("are counted as dropped where the store can't be reached, and still sent", async () => {
    const { pushes, handed } = await play({ tracing: OWN, known: new Error("overloaded") });
    expect(pushes[0]?.counts).toMatchObject({
      "(store)": { enqueued: 2, delivered: 0, dropped: { store_error: 2 } },
    });
    expect(handed).toHaveLength(2);
  });

  test("are offered three times under one id", async () => {
    const { pushes } = await play({ retention: undefined, faults: 2 });
    expect(pushes.map(({ id }) => id)).toEqual(["id-1"]);
    expect((await play({ retention: undefined, faults: 3 })).pushes).toEqual([]);
  });
});
