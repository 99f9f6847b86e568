import { expect, test } from "vitest";
import type { ExportStatus } from "../../../../src/telemetry/export/export-counters.ts";
import { createMetricsReader } from "../../../../src/telemetry/metrics/metrics-reader.ts";
import { UNKNOWN_TENANT } from "../../../../src/telemetry/store/stored-trace.ts";
import { NOON } from "../../../support/fakes/fake-trace.ts";

const STATUS: ExportStatus = {
  destination: "d",
  enqueued: 1,
  delivered: 1,
  pending: 0,
  dropped: {},
  lastError: null,
  retries: 0,
  circuit: "closed",
};

function startReader(tenantIds: readonly string[]) {
  const asked: string[] = [];
  let open = 0;
  let maxOpen = 0;
  const reader = createMetricsReader({
    listTenantIds: async () => tenantIds,
    exportStatusOf: async (tenantId) => (tenantId === undefined ? [STATUS] : []),
    flush: async () => void asked.push("flush"),
    metricsOf: (tenantId) => ({
      add: async () => {},
      async read() {
        asked.push(tenantId);
        maxOpen = Math.max(maxOpen, ++open);
        await Promise.resolve();
        open--;
        const at = { startAt: NOON, touchedAt: NOON };
        return [{ instrument: "gateway.attempts", labels: {}, sum: 1, buckets: [], ...at }];
      },
    }),
  });
  return { reader, asked, maxOpen: () => maxOpen };
}

test("reads every tenant, the unknown, and the operator's export, after sending what is held here", async () => {
  const { reader, asked } = startReader(["acme", "globex"]);
  const owners = await reader.read();
  expect(asked).toEqual(["flush", "acme", "globex", UNKNOWN_TENANT]);
  expect(owners.map(({ tenantId }) => tenantId)).toEqual([undefined, "acme", "globex", UNKNOWN_TENANT]);
  expect(owners[0]?.series.map(({ instrument }) => instrument)).toContain("gateway.export.enqueued");
});

test("reads one tenant alone when it is named", async () => {
  const { reader, asked } = startReader(["acme", "globex"]);
  expect((await reader.read("globex")).map(({ tenantId }) => tenantId)).toEqual(["globex"]);
  expect(asked).toEqual(["flush", "globex"]);
});

test("asks few objects at a time", async () => {
  const setup = startReader(Array.from({ length: 300 }, (_, index) => `t-${index}`));
  await setup.reader.read();
  expect(setup.maxOpen()).toBe(16);
});

test("refuses to ask more tenants than one request may, and says how else", async () => {
  const { reader } = startReader(Array.from({ length: 334 }, (_, index) => `t-${index}`));
  await expect(reader.read()).rejects.toMatchObject({
    code: "invalid_request",
    details: { param: "tenant" },
  });
});
