import { describe, expect, test } from "vitest";
import { REPORT_DELAY_MS, REPORTER_STALE_MS } from "../../../../src/telemetry/export/outbox-client.ts";
import { RETRY_WINDOW_MS } from "../../../../src/telemetry/export/export-retry.ts";
import { EXPORT_GATHER_MS } from "../../../../src/telemetry/export/exporter.ts";
import { OPERATOR_NAME, STORE_NAME } from "../../../../src/telemetry/export/outbox-port.ts";
import {
  isBalanced,
  isolate,
  OPERATOR,
  policy,
  storeless,
  to,
} from "../../../support/fakes/fake-exporter.ts";
import { plainTrace } from "../../../support/builders/sample-traces.ts";

const down = async (): Promise<Response> => new Response(null, { status: 503 });

describe("a batch that its request can't deliver", () => {
  test("goes to the tenant's outbox as the bytes that were sent, with what went wrong", async () => {
    const setup = isolate({ answer: down });
    setup.export(await plainTrace(), storeless(to("own")));
    await setup.passSlowly(EXPORT_GATHER_MS + RETRY_WINDOW_MS, 50);
    const [handed] = setup.batches();
    expect(handed).toMatchObject({
      destination: "own",
      traces: 1,
      isGzip: false,
      content: "off",
      failure: { reason: "http_503" },
    });
    expect(new TextDecoder().decode(handed?.body)).toBe(setup.posts[0]?.body);
    expect(await setup.status("acme")).toMatchObject({
      own: { enqueued: 1, delivered: 0, pending: 1, dropped: {} },
    });
  });

  test("goes there with the rest the destination has asked for, without another try", async () => {
    const busy = async () => new Response(null, { status: 429, headers: { "retry-after": "60" } });
    const setup = isolate({ answer: busy });
    setup.export(await plainTrace(), storeless(to("own")));
    await setup.pass(EXPORT_GATHER_MS);
    expect(setup.posts).toHaveLength(1);
    expect(setup.batches()[0]?.failure).toEqual({ reason: "http_429", retryAfterMs: 60_000 });
  });

  test("does not go there when the destination refused it for good", async () => {
    const setup = isolate({ answer: async () => new Response(null, { status: 400 }) });
    setup.export(await plainTrace(), storeless(to("own")));
    await setup.pass(EXPORT_GATHER_MS);
    await setup.pass(REPORT_DELAY_MS);
    expect(setup.batches()).toEqual([]);
    expect(await setup.status("acme")).toMatchObject({ own: { dropped: { http_400: 1 } } });
  });

  test("goes there at once while the circuit is open, and is sent again when that time is over", async () => {
    const setup = isolate();
    setup.openUntil["own"] = setup.now() + 10_000;
    setup.export(await plainTrace(), storeless(to("own"), to("other")));
    await setup.passSlowly(EXPORT_GATHER_MS + REPORT_DELAY_MS);
    expect(setup.posts).toHaveLength(2);
    setup.export(await plainTrace(), storeless(to("own"), to("other")));
    await setup.pass(EXPORT_GATHER_MS);
    expect(setup.posts.map(({ url }) => new URL(url).hostname)).toEqual([
      "own.example",
      "other.example",
      "other.example",
    ]);
    expect(setup.batches().map(({ destination, failure }) => [destination, failure])).toEqual([
      ["own", undefined],
    ]);
    delete setup.openUntil["own"];
    await setup.passSlowly(10_000, 1000);
    setup.export(await plainTrace(), storeless(to("own")));
    await setup.pass(EXPORT_GATHER_MS);
    expect(setup.posts).toHaveLength(4);
    expect(await setup.status("acme")).toMatchObject({ own: { enqueued: 3, delivered: 2, pending: 1 } });
  });

  test("says what content it holds, so that none leaves when less is allowed by then", async () => {
    const setup = isolate({ answer: down });
    setup.export(await plainTrace(), storeless(to("own", {}, { content: "redacted" })));
    await setup.passSlowly(EXPORT_GATHER_MS + RETRY_WINDOW_MS, 50);
    expect(setup.batches()[0]?.content).toBe("redacted");
  });

  test("is tried again when the outbox did not take it, and arrives there once", async () => {
    const setup = isolate({
      answer: async () => new Response(null, { status: 503, headers: { "retry-after": "99" } }),
    });
    setup.failPushes("lost", "unanswered");
    setup.export(await plainTrace(), storeless(to("own")));
    await setup.passSlowly(EXPORT_GATHER_MS + 3000);
    const ids = new Set(setup.pushes.filter(({ batch }) => batch !== undefined).map(({ id }) => id));
    expect(ids.size).toBe(1);
    expect(await setup.status("acme")).toMatchObject({ own: { enqueued: 1, pending: 1, dropped: {} } });
  });

  test("counts as lost when no outbox could be reached, once that is sure", async () => {
    const setup = isolate({
      answer: async () => new Response(null, { status: 503, headers: { "retry-after": "99" } }),
    });
    setup.failPushes("lost", "lost", "lost");
    setup.export(await plainTrace(), storeless(to("own")));
    await setup.passSlowly(EXPORT_GATHER_MS + 3000);
    expect(setup.batches()).toEqual([]);
    await setup.passSlowly(REPORTER_STALE_MS, 1000);
    const status = await setup.status("acme");
    expect(status).toMatchObject({ own: { enqueued: 1, pending: 0, dropped: { outbox_error: 1 } } });
  });
});

describe("an isolate's news", () => {
  test("cost one call for all that a second brought", async () => {
    const setup = isolate();
    for (let i = 0; i < 20; i++) {
      setup.export(await plainTrace(), storeless(to("own"), to("other")));
      await setup.pass(EXPORT_GATHER_MS);
    }
    await setup.pass(REPORT_DELAY_MS);
    expect(setup.pushes.length).toBeLessThanOrEqual(2);
    expect(setup.pushes.every(({ batch }) => batch === undefined)).toBe(true);
    expect(await setup.status("acme")).toMatchObject({ own: { enqueued: 20, delivered: 20, pending: 0 } });
  });

  test("learn of a slow send too, when it has ended", async () => {
    const answers: (() => void)[] = [];
    const setup = isolate({
      answer: () => new Promise((resolve) => answers.push(() => resolve(Response.json({})))),
    });
    setup.export(await plainTrace(), storeless(to("own")));
    await setup.pass(EXPORT_GATHER_MS);
    await setup.pass(REPORT_DELAY_MS);
    expect(setup.pushes.map(({ counts }) => counts["own"]?.delivered)).toEqual([0]);
    answers[0]?.();
    await setup.pass(0);
    await setup.pass(REPORT_DELAY_MS);
    expect(setup.pushes.map(({ counts }) => counts["own"]?.delivered)).toEqual([0, 1]);
  });

  test("are sent by a later request when the one that should has died", async () => {
    const setup = isolate();
    setup.export(await plainTrace(), storeless(to("own")));
    await setup.pass(EXPORT_GATHER_MS);
    setup.loseSleepers();
    await setup.pass(REPORTER_STALE_MS);
    expect(setup.pushes).toEqual([]);
    setup.export(await plainTrace(), storeless(to("own")));
    await setup.pass(EXPORT_GATHER_MS);
    await setup.pass(REPORT_DELAY_MS);
    expect(setup.pushes).toHaveLength(1);
    expect(setup.pushes[0]?.counts["own"]).toMatchObject({ enqueued: 2, delivered: 2 });
  });

  test("of the store alone cost no call, until there is something to say", async () => {
    const setup = isolate();
    for (let i = 0; i < 50; i++) {
      setup.export(await plainTrace());
      await setup.pass(EXPORT_GATHER_MS);
    }
    await setup.pass(REPORT_DELAY_MS);
    expect(setup.pushes).toEqual([]);
    setup.failStore(2);
    setup.export(await plainTrace());
    await setup.passSlowly(3000);
    expect(setup.pushes[0]?.counts[STORE_NAME]).toMatchObject({ delivered: 50, dropped: { store_error: 1 } });
  });

  test("of the operator and of the unknown tenant are kept in one outbox and shown apart", async () => {
    const setup = isolate({ operator: OPERATOR });
    setup.export({ ...(await plainTrace()), tenantId: undefined }, policy());
    await setup.passSlowly(2000);
    expect(new Set(setup.pushes.map(({ tenantId }) => tenantId))).toEqual(new Set(["-"]));
    expect(Object.keys(await setup.status(undefined))).toEqual([OPERATOR_NAME]);
    expect(Object.keys(await setup.status("-"))).toEqual([STORE_NAME]);
  });

  test("balance through an outage of the destination and of the outbox", async () => {
    let isDown = true;
    const setup = isolate({
      answer: async () => (isDown ? new Response(null, { status: 502 }) : Response.json({})),
    });
    const faults = ["lost", "unanswered"] as const;
    for (let i = 0; i < 40; i++) {
      if (i % 7 === 0) setup.failPushes(...faults, ...faults);
      if (i === 25) isDown = false;
      setup.export(await plainTrace(), storeless(to("own")));
      await setup.passSlowly(700);
    }
    await setup.passSlowly(30_000, 500);
    const { own } = await setup.status("acme");
    expect(own?.enqueued).toBe(40);
    expect(own && isBalanced(own)).toBe(true);
    const handed = setup.pushes.filter(({ batch }) => batch !== undefined);
    const waiting = new Map(handed.map(({ id, batch }) => [id, batch?.traces ?? 0]));
    expect(own?.pending).toBe([...waiting.values()].reduce((sum, traces) => sum + traces, 0));
  });
});
