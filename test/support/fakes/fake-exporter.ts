// An isolate's exporter whose time moves by hand and whose network, stores and outboxes do as the test says. The outbox is a
// stand-in with the real ledger: it keeps sums and batches, and sends nothing.
import type { ExportStatus } from "../../../src/telemetry/export/export-counters.ts";
import {
  createExporter,
  type ExporterDeps,
  type ExportPolicy,
} from "../../../src/telemetry/export/exporter.ts";
import type { TraceContent } from "../../../src/telemetry/content/content.ts";
import type { TraceDestination } from "../../../src/telemetry/export/destination.ts";
import { createOutboxLedger, type OutboxLedger } from "../../../src/telemetry/export/outbox/outbox-ledger.ts";
import type { Push } from "../../../src/telemetry/export/outbox-port.ts";
import { unpackBatch } from "../../../src/telemetry/store/stored-batch.ts";
import type { TraceRow } from "../../../src/telemetry/store/stored-trace.ts";
import type { FinishedTrace } from "../../../src/telemetry/trace/trace.ts";
import { flattenSpans } from "../checkers/otlp-spans.ts";
import { NOON } from "./fake-trace.ts";

export const to = (
  name: string,
  headers: Record<string, string> = {},
  about: Partial<TraceDestination> = {},
): TraceDestination => ({
  name,
  url: `https://${name.replaceAll(/[()]/g, "")}.example/v1/traces`,
  headers,
  gzip: false,
  preset: "otlp",
  content: "off",
  ...about,
});

export const OPERATOR = to("(operator)");

export const policy = (about: Partial<ExportPolicy> = {}): ExportPolicy => ({
  sampling: { sampleRatio: 1, alwaysKeep: [], slowMs: 10_000 },
  store: { enabled: true, maxTraces: 100, maxAgeHours: 1, content: "off" },
  destinations: [],
  ...about,
});

/** With no store, so that nothing but destinations is counted. */
export const storeless = (...destinations: ExportPolicy["destinations"]): ExportPolicy =>
  policy({ destinations, store: { ...policy().store, enabled: false } });

export const isBalanced = ({ enqueued, delivered, pending, dropped }: ExportStatus): boolean =>
  pending >= 0 && enqueued === delivered + pending + Object.values(dropped).reduce((a, b) => a + b, 0);

export function isolate(
  about: {
    readonly operator?: TraceDestination;
    readonly answer?: (url: string) => Promise<Response>;
  } = {},
) {
  const posts: { readonly url: string; readonly headers: unknown; readonly body: string }[] = [];
  const stored: { readonly tenantId: string; readonly row: TraceRow }[] = [];
  const works: Promise<unknown>[] = [];
  const ledgers = new Map<string, OutboxLedger>();
  /** As they arrived, repeated ones too. */
  const pushes: Push[] = [];
  const openUntil: Record<string, number> = {};
  let sleepers: { readonly until: number; readonly wake: () => void }[] = [];
  let nowMs = NOON;
  let storeFaults = 0;
  let ids = 0;
  let pushFaults: readonly ("lost" | "unanswered")[] = [];
  const answer = about.answer ?? (async () => Response.json({}));

  function ledgerOf(tenantId: string): OutboxLedger {
    let ledger = ledgers.get(tenantId);
    if (ledger === undefined) ledgers.set(tenantId, (ledger = createOutboxLedger()));
    return ledger;
  }

  const deps: ExporterDeps = {
    resource: { serviceName: "headgate", serviceVersion: "0.1.0" },
    operator: about.operator,
    storeOf: (tenantId) => ({
      async append(batch) {
        if (storeFaults-- > 0) throw new Error("overloaded");
        stored.push(...unpackBatch(batch).map(({ row }) => ({ tenantId, row })));
      },
      add: async () => [],
      search: async () => [],
      sessions: async () => [],
      get: async () => [],
      explain: async () => [],
    }),
    outboxOf: (tenantId) => ({
      async push(push) {
        const [fault, ...later] = pushFaults;
        pushFaults = later;
        if (fault === "lost") throw new Error("overloaded");
        pushes.push(push);
        ledgerOf(tenantId).apply(push, nowMs);
        if (fault === "unanswered") throw new Error("the object went away");
        return { openUntil };
      },
      status: async () => ledgerOf(tenantId).status(() => false),
    }),
    newId: () => `id-${++ids}`,
    fetch: (url, { headers, body }) => {
      posts.push({ url, headers, body: body instanceof Uint8Array ? new TextDecoder().decode(body) : "" });
      return answer(url);
    },
    clock: () => nowMs,
    sleep: (ms) => new Promise((wake) => sleepers.push({ until: nowMs + ms, wake })),
    random: () => 0,
    timeoutSignal: () => new AbortController().signal,
  };
  const exporter = createExporter(deps);
  const waitUntil = (work: Promise<unknown>): void => void works.push(work);

  async function settle(): Promise<void> {
    // Lets everything run that needs no more time: a macrotask comes after all microtasks.
    for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  async function pass(ms: number): Promise<void> {
    nowMs += ms;
    const due = sleepers.filter(({ until }) => until <= nowMs);
    sleepers = sleepers.filter(({ until }) => until > nowMs);
    for (const { wake } of due) wake();
    await settle();
  }

  return {
    exporter,
    posts,
    stored,
    works,
    pushes,
    openUntil,
    pass,
    now: () => nowMs,
    /** In steps, so that what sleeps again and again wakes each time. */
    async passSlowly(ms: number, stepMs = 100): Promise<void> {
      for (let passed = 0; passed < ms; passed += stepMs) await pass(stepMs);
    },
    failStore: (times: number) => void (storeFaults = times),
    /** What happens to the next pushes, one each: it never arrives, or its answer does not. */
    failPushes: (...faults: readonly ("lost" | "unanswered")[]) => void (pushFaults = faults),
    /** Loses all sleeping work, as when the platform ends a request. */
    loseSleepers: () => void (sleepers = []),
    export: (trace: FinishedTrace, own: ExportPolicy | undefined = policy(), content?: TraceContent) =>
      exporter.export(trace, own, waitUntil, content),
    /** The status by destination, news of this isolate included. */
    async status(tenantId: string | undefined): Promise<Readonly<Record<string, ExportStatus>>> {
      const items = await exporter.status(tenantId);
      return Object.fromEntries(items.map((item) => [item.destination, item]));
    },
    batches: () => pushes.flatMap(({ batch }) => (batch === undefined ? [] : [batch])),
    namesIn: (index: number) =>
      flattenSpans(JSON.parse(posts[index]?.body ?? "{}")).map(({ traceId }) => traceId),
  };
}
