// What an outbox does with what it is handed: the engine over real SQLite with a clock and a network of its own, so that hours
// pass at once. The Durable Object around it is outbox-object.test.ts.
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import type { ExportStatus } from "../../../src/telemetry/export/export-counters.ts";
import type { TraceDestination } from "../../../src/telemetry/export/destination.ts";
import type { SendResult } from "../../../src/telemetry/export/otlp-send.ts";
import {
  createOutboxEngine,
  SAVE_INTERVAL_MS,
  type OutboxEngine,
} from "../../../src/telemetry/export/outbox/outbox-engine.ts";
import type { HandedBatch } from "../../../src/telemetry/export/outbox-port.ts";

const NOON = 1_795_600_800_000;
const HOUR_MS = 3_600_000;
const DOWN: SendResult = { kind: "failed", reason: "http_503", mayRetry: true, status: 503 };
const OK: SendResult = { kind: "ok", status: 200 };

interface Sent {
  readonly name: string;
  readonly at: number;
  readonly body: string;
  readonly isGzip: boolean;
}

type Answer = SendResult | (() => Promise<SendResult>);

interface Setup {
  engine: OutboxEngine;
  readonly sent: Sent[];
  /** By destination; one that is not here is up. */
  readonly answers: Map<string, Answer>;
  readonly targets: Map<string, "gone" | "unavailable" | Partial<TraceDestination>>;
  readonly rowsWritten: () => number;
  now: number;
  random: number;
  hand(destination: string, about?: Partial<HandedBatch> & { readonly text?: string }): void;
  /** Lets the clock run, waking the engine whenever it has asked for it. */
  pass(ms: number): Promise<void>;
  status(destination: string): ExportStatus | undefined;
  /** A second engine over the same storage: what is left after a crash. */
  restart(): void;
}

let ids = 0;

/** Runs the test inside an outbox object of its own. */
function withEngine(work: (setup: Setup) => Promise<void>): Promise<void> {
  const stub = env.TRACE_OUTBOX.getByName(`engine-${crypto.randomUUID()}`);
  return runInDurableObject(stub, async (_, { storage }) => {
    let wakeAt = Number.POSITIVE_INFINITY;
    let writes = 0;
    const kv: Pick<SyncKvStorage, "get" | "put"> = {
      get: (key) => storage.kv.get(key),
      put: (key, value) => {
        writes++;
        storage.kv.put(key, value);
      },
    };
    const setup: Setup = {
      engine: make(),
      sent: [],
      answers: new Map(),
      targets: new Map(),
      rowsWritten: () => writes,
      now: NOON,
      random: 1,
      hand(destination, { text = "{}", ...about } = {}) {
        const body = new TextEncoder().encode(text);
        const failure = { reason: "http_503" };
        const batch: HandedBatch = {
          destination,
          traces: 1,
          body,
          isGzip: false,
          content: "off",
          failure,
          ...about,
        };
        const counts = {
          enqueued: batch.traces,
          delivered: 0,
          handedOver: batch.traces,
          dropped: {},
          retries: 0,
        };
        const push = {
          id: `p${++ids}`,
          isolate: "i",
          tenantId: "acme",
          counts: { [destination]: counts },
          batch,
        };
        setup.engine.push(push);
      },
      async pass(ms) {
        const until = setup.now + ms;
        for (;;) {
          // What runs without waiting for time is over by then.
          await scheduler.wait(0);
          if (wakeAt > until) break;
          setup.now = Math.max(setup.now, wakeAt);
          wakeAt = Number.POSITIVE_INFINITY;
          setup.engine.wake();
        }
        setup.now = until;
      },
      status: (destination) => setup.engine.status().find((item) => item.destination === destination),
      restart() {
        setup.engine = make();
      },
    };

    function make(): OutboxEngine {
      return createOutboxEngine({
        sql: storage.sql,
        kv,
        now: () => setup.now,
        random: () => setup.random,
        async resolve(_tenantId, name) {
          const target = setup.targets.get(name) ?? {};
          if (typeof target === "string") return target;
          const own = { name, url: "https://o.example/v1/traces", headers: {}, gzip: false };
          return { ...own, preset: "otlp", content: "off", ...target };
        },
        async send({ name }, { body, isGzip }) {
          setup.sent.push({ name, at: setup.now, body: new TextDecoder().decode(body), isGzip });
          const answer = setup.answers.get(name) ?? OK;
          return typeof answer === "function" ? answer() : answer;
        },
        defer: (run) => void run,
        wakeAt: (at) => void (wakeAt = Math.min(wakeAt, at)),
      });
    }

    await work(setup);
  });
}

const delivered = ({ sent }: Setup, name: string) => sent.filter((each) => each.name === name);

describe("a batch in the outbox", () => {
  test("is sent a second later, and is delivered and forgotten", () =>
    withEngine(async (setup) => {
      setup.hand("own", { traces: 3, text: "a body", isGzip: true });
      await setup.pass(999);
      expect(setup.sent).toEqual([]);
      await setup.pass(1);
      expect(setup.sent).toEqual([{ name: "own", at: NOON + 1000, body: "a body", isGzip: true }]);
      expect(setup.status("own")).toMatchObject({ enqueued: 3, delivered: 3, pending: 0, circuit: "closed" });
      await setup.pass(HOUR_MS);
      expect(setup.sent).toHaveLength(1);
    }));

  test("that was never tried, for an open circuit that has closed, is sent at once", () =>
    withEngine(async (setup) => {
      const { failure: _, ...untried } = { failure: undefined, traces: 1 };
      const push = {
        id: "untried",
        isolate: "i",
        tenantId: "acme",
        counts: { own: { enqueued: 1, delivered: 0, handedOver: 1, dropped: {}, retries: 0 } },
        batch: {
          destination: "own",
          body: new Uint8Array(2),
          isGzip: false,
          content: "off",
          ...untried,
        } as const,
      };
      setup.engine.push(push);
      await setup.pass(0);
      expect(setup.status("own")).toMatchObject({ delivered: 1 });
    }));

  test("is sent again, byte for byte, after pauses that double up to a minute", () =>
    withEngine(async (setup) => {
      setup.answers.set("own", DOWN);
      setup.hand("own", { text: "same" });
      await setup.pass(10 * 60_000);
      const pauses = setup.sent.map(({ at }, index) => at - (setup.sent[index - 1]?.at ?? NOON));
      expect(pauses.slice(0, 8)).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
      expect(new Set(setup.sent.map(({ body }) => body))).toEqual(new Set(["same"]));
      expect(setup.status("own")).toMatchObject({ pending: 1, circuit: "open", lastError: "http_503" });
      setup.answers.delete("own");
      await setup.pass(60_000);
      expect(setup.status("own")).toMatchObject({ delivered: 1, pending: 0, circuit: "closed" });
    }));

  test("waits as long as the destination asks", () =>
    withEngine(async (setup) => {
      setup.answers.set("own", { ...DOWN, retryAfterMs: 120_000 });
      setup.hand("own");
      await setup.pass(1000);
      setup.answers.delete("own");
      await setup.pass(119_000);
      expect(setup.sent).toHaveLength(1);
      await setup.pass(3000);
      expect(setup.status("own")).toMatchObject({ delivered: 1 });
    }));

  test.each<[SendResult, string]>([
    [{ kind: "failed", reason: "http_400", mayRetry: false, status: 400 }, "http_400"],
    [{ kind: "failed", reason: "partial_success", mayRetry: false, status: 200 }, "partial_success"],
    [{ kind: "failed", reason: "redirect", mayRetry: false, status: 307 }, "redirect"],
  ])("that is refused for good (%j) is dropped, and the next one follows", (refusal, reason) =>
    withEngine(async (setup) => {
      setup.answers.set("own", async () => (delivered(setup, "own").length === 1 ? refusal : OK));
      setup.hand("own", { traces: 2 });
      setup.hand("own");
      await setup.pass(2000);
      expect(setup.status("own")).toMatchObject({ delivered: 1, pending: 0, dropped: { [reason]: 2 } });
    }),
  );

  test("is given up after a day", () =>
    withEngine(async (setup) => {
      setup.answers.set("own", { ...DOWN, retryAfterMs: HOUR_MS });
      setup.hand("own", { traces: 4 });
      await setup.pass(26 * HOUR_MS);
      expect(setup.status("own")).toMatchObject({ pending: 0, dropped: { expired: 4 } });
    }));

  test("for a destination that was removed goes nowhere; while the records can't be read, it waits", () =>
    withEngine(async (setup) => {
      setup.targets.set("own", "unavailable");
      setup.hand("own");
      await setup.pass(10_000);
      expect(setup.status("own")).toMatchObject({ pending: 1, lastError: "records_unavailable" });
      setup.targets.set("own", "gone");
      await setup.pass(60_000);
      expect(setup.status("own")).toMatchObject({ pending: 0, dropped: { destination_removed: 1 } });
      expect(setup.sent).toEqual([]);
    }));

  test("with content that the tenant no longer allows goes nowhere", () =>
    withEngine(async (setup) => {
      setup.targets.set("own", { content: "redacted" });
      setup.hand("own", { content: "full" });
      setup.hand("own", { content: "redacted", text: "masked" });
      await setup.pass(2000);
      expect(setup.sent.map(({ body }) => body)).toEqual(["masked"]);
      expect(setup.status("own")).toMatchObject({ delivered: 1, dropped: { content_withdrawn: 1 } });
    }));

  test("that is too large for a row is dropped, and counted", () =>
    withEngine(async (setup) => {
      setup.hand("own", { text: "x".repeat(2_000_000) });
      expect(setup.status("own")).toMatchObject({ pending: 0, dropped: { too_large: 1 } });
    }));
});

describe("the circuit", () => {
  test("opens with the second failure, and one batch is the probe", () =>
    withEngine(async (setup) => {
      setup.answers.set("own", DOWN);
      for (let i = 0; i < 5; i++) setup.hand("own", { text: `b${i}` });
      expect(setup.status("own")?.circuit).toBe("open");
      await setup.pass(1000);
      expect(setup.sent).toHaveLength(1);
      const { promise, resolve } = Promise.withResolvers<SendResult>();
      setup.answers.set("own", () => promise);
      await setup.pass(60_000);
      expect(setup.status("own")?.circuit).toBe("half-open");
      expect(setup.sent).toHaveLength(2);
      setup.answers.delete("own");
      resolve(OK);
      await setup.pass(0);
      expect(setup.status("own")).toMatchObject({ circuit: "closed", delivered: 5 });
      expect(setup.sent.map(({ body }) => body)).toEqual(["b0", "b0", "b1", "b2", "b3", "b4"]);
    }));

  test("reaches isolates with each answer, as long as something waits that could find out", () =>
    withEngine(async (setup) => {
      const ask = () =>
        setup.engine.push({ id: `p${++ids}`, isolate: "i", tenantId: "acme", counts: {} }).openUntil;
      setup.answers.set("own", DOWN);
      setup.hand("own");
      expect(ask()).toEqual({});
      await setup.pass(1000);
      expect(ask()).toEqual({ own: NOON + 3000 });
      setup.answers.delete("own");
      await setup.pass(2000);
      expect(ask()).toEqual({});
    }));
});

describe("several destinations", () => {
  test("one that hangs, one that is down and one that is well do not wait for each other", () =>
    withEngine(async (setup) => {
      setup.answers.set("hanging", () => new Promise(() => {}));
      setup.answers.set("down", DOWN);
      for (const name of ["hanging", "down", "well"]) for (let i = 0; i < 3; i++) setup.hand(name);
      await setup.pass(1000);
      expect(setup.status("well")).toMatchObject({ delivered: 3, pending: 0 });
      await setup.pass(7000);
      expect(delivered(setup, "down").map(({ at }) => at - NOON)).toEqual([1000, 5000]);
      expect(delivered(setup, "hanging")).toHaveLength(1);
      setup.hand("well");
      await setup.pass(1000);
      expect(setup.status("well")).toMatchObject({ delivered: 4 });
    }));

  test("have room of their own: a full one loses its oldest, and no other's", () =>
    withEngine(async (setup) => {
      setup.answers.set("full", DOWN);
      setup.answers.set("other", DOWN);
      setup.hand("other", { text: "other" });
      const text = "x".repeat(1_800_000);
      for (let i = 0; i < 40; i++) setup.hand("full", { text: `${i}${text}` });
      const full = setup.status("full");
      expect(full?.dropped).toEqual({ outbox_full: 3 });
      expect(full).toMatchObject({ enqueued: 40, pending: 37 });
      expect(setup.status("other")).toMatchObject({ pending: 1, dropped: {} });
      setup.answers.clear();
      await setup.pass(60_000);
      const first =
        delivered(setup, "full").find(({ at }) => at > NOON + 1000) ?? delivered(setup, "full")[0];
      expect(first?.body.startsWith("3x")).toBe(true);
    }));
});

describe("after a crash", () => {
  test("everything that waits is still there, and goes out once", () =>
    withEngine(async (setup) => {
      setup.answers.set("own", DOWN);
      for (let i = 0; i < 4; i++) setup.hand("own", { text: `b${i}`, traces: 2 });
      await setup.pass(5000);
      const before = setup.status("own");
      setup.restart();
      expect(setup.status("own")).toEqual(before);
      setup.answers.delete("own");
      setup.sent.length = 0;
      await setup.pass(60_000);
      expect(setup.sent.map(({ body }) => body)).toEqual(["b0", "b1", "b2", "b3"]);
      expect(setup.status("own")).toMatchObject({ enqueued: 8, delivered: 8, pending: 0, dropped: {} });
    }));

  test("in the middle of a send that batch is sent again, byte for byte, and counted once", () =>
    withEngine(async (setup) => {
      setup.answers.set("own", () => new Promise(() => {}));
      setup.hand("own", { text: "twice" });
      await setup.pass(1000);
      setup.restart();
      setup.answers.delete("own");
      await setup.pass(60_000);
      expect(setup.sent.map(({ body }) => body)).toEqual(["twice", "twice"]);
      expect(setup.status("own")).toMatchObject({ enqueued: 1, delivered: 1, pending: 0 });
    }));
});

describe("the sums", () => {
  const tell = (setup: Setup, traces: number, id = `p${++ids}`): void => {
    const counts = { enqueued: traces, delivered: traces, handedOver: 0, dropped: {}, retries: 0 };
    setup.engine.push({ id, isolate: "i", tenantId: "acme", counts: { own: counts } });
  };

  test("of healthy traffic are written once in ten seconds", () =>
    withEngine(async (setup) => {
      for (let i = 0; i < 100; i++) {
        tell(setup, 1);
        await setup.pass(100);
      }
      await setup.pass(SAVE_INTERVAL_MS);
      expect(setup.rowsWritten()).toBeLessThanOrEqual(3);
      setup.restart();
      expect(setup.status("own")).toMatchObject({ enqueued: 100, delivered: 100, pending: 0 });
    }));

  test("count a push once, however often it comes", () =>
    withEngine(async (setup) => {
      for (let i = 0; i < 3; i++) tell(setup, 2, "same");
      setup.restart();
      tell(setup, 2, "same");
      expect(setup.status("own")).toMatchObject({ enqueued: 2, delivered: 2 });
    }));

  test("say what an isolate took with it", () =>
    withEngine(async (setup) => {
      const counts = { enqueued: 3, delivered: 1, handedOver: 0, dropped: {}, retries: 0 };
      setup.engine.push({ id: `p${++ids}`, isolate: "dead", tenantId: "acme", counts: { own: counts } });
      await setup.pass(30_000);
      expect(setup.status("own")).toMatchObject({ pending: 2, dropped: {} });
      await setup.pass(30_000);
      expect(setup.status("own")).toMatchObject({ pending: 0, dropped: { isolate_lost: 2 } });
    }));
});
