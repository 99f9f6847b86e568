// One tenant's requests in two isolates, with memory of their own over the same objects: what either learns of a dead target, the
// other knows; the object gives the probe to one of them; and the operator and the traces see it.
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type Answer, post, read, rootOf, spanOf, spansOf } from "../../support/clients/chat-client.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import { checkTrace } from "../../support/checkers/trace-invariants.ts";

/** The first pause of a circuit. */
const PAUSE_MS = 10_000;
/** By then an isolate has told what it knows. */
const TOLD_MS = 1_500;

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack({}, { hasTwin: true });
});
afterAll(() => stack.close());

async function ask(isolate: number, key: string): Promise<Answer> {
  const url = isolate % 2 === 0 ? stack.gateway.url : stack.gateway.twinUrl;
  const response = await post(url, key, { model: "r" });
  return read(response, await response.text());
}

async function withDeadTarget(): Promise<TestTenant & { readonly dead: string; readonly good: string }> {
  const [dead, good] = [uniqueModel(), uniqueModel()];
  stack.upstream.script(dead, { kind: "error", status: 500 });
  const targets = [dead, good].map((model) => ({ provider: "up", model }));
  const tenant = await makeTenant(stack.gateway, {
    upstreamUrl: stack.upstream.url,
    routes: { r: { targets, retries: { maxAttempts: 1 } } },
  });
  return { ...tenant, dead, good };
}

const callsOf = (model: string): number => stack.upstream.requestsFor(model).length;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Health {
  readonly circuitsOf: string;
  readonly items: readonly Record<string, unknown>[];
}

async function healthOf({ id }: TestTenant): Promise<Health> {
  const response = await stack.gateway.admin("GET", `/admin/tenants/${id}/health`);
  // The route's own shape; each member is checked where it is used.
  return JSON.parse(await response.text()) as Health;
}

describe("a dead target of two isolates", () => {
  test("costs both together five calls and one that was not told yet, and then one each pause", async () => {
    const tenant = await withDeadTarget();
    const { key, dead, good } = tenant;
    for (let asked = 0; asked < 40; asked += 1) expect((await ask(asked, key)).status).toBe(200);
    const opening = callsOf(dead);
    expect(opening).toBeGreaterThanOrEqual(5);
    expect(opening).toBeLessThanOrEqual(6);
    expect(callsOf(good)).toBe(40);

    const health = await healthOf(tenant);
    expect(health.circuitsOf).toBe("tenant");
    expect(health.items[0]).toMatchObject({
      target: `up/${dead}`,
      circuit: "open",
      failures: 5,
      openedAt: expect.stringMatching(/^\d{4}-/),
      openUntil: expect.stringMatching(/^\d{4}-/),
      foundBy: {
        requestId: expect.stringMatching(/^req_/),
        traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
      },
    });
    const foundBy = Object(health.items[0]?.["foundBy"])["traceId"];
    for (const isolate of [0, 1]) {
      const answer = await ask(isolate, key);
      const spans = await spansOf(stack, answer);
      expect(checkTrace(spans)).toEqual([]);
      const [against = ""] = spanOf(spans, "gateway.route").attributes["gateway.route.rejected"] as string[];
      expect(against).toMatch(/circuit open for \d+ s, asked again in \d+ s, found by trace/);
      expect(against).toContain(String(foundBy));
    }

    await sleep(PAUSE_MS - 500);
    const startedAt = Date.now();
    for (let asked = 0; Date.now() - startedAt < TOLD_MS; asked += 1) {
      expect((await Promise.all([ask(0, key), ask(1, key)])).map(({ status }) => status)).toEqual([200, 200]);
      await sleep(20);
    }
    expect(callsOf(dead)).toBe(opening + 1);
    expect((await healthOf(tenant)).items[0]).toMatchObject({ circuit: "open" });
  }, 40_000);

  test("is found alive by one probe, after which both ask it again", async () => {
    const tenant = await withDeadTarget();
    const { key, dead } = tenant;
    for (let asked = 0; asked < 10; asked += 1) await ask(asked, key);
    const opening = callsOf(dead);
    stack.upstream.script(dead, { kind: "answer", text: "back" });
    await sleep(PAUSE_MS + TOLD_MS);
    const probe = await ask(0, key);
    expect(probe.content).toBe("back");
    const spans = await spansOf(stack, probe);
    expect(checkTrace(spans)).toEqual([]);
    expect(spanOf(spans, `chat ${dead}`).attributes["gateway.circuit.state"]).toBe("half_open");
    expect(spanOf(spans, "gateway.route").attributes["gateway.route.reason"]).toContain(
      "circuit is half-open",
    );
    expect(rootOf(spans).attributes["gateway.attempt.count"]).toBe(1);
    await vi.waitFor(async () =>
      expect((await healthOf(tenant)).items[0]).toMatchObject({ circuit: "closed" }),
    );
    await ask(1, key);
    for (const isolate of [0, 1]) expect((await ask(isolate, key)).content).toBe("back");
    expect(callsOf(dead)).toBeGreaterThanOrEqual(opening + 3);
  }, 40_000);
});
