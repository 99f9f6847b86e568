// An upstream's Retry-After through HTTP, under a tenant's only slot: while one request waits for it, others use the slot.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { adminJson } from "../../support/clients/admin-client.ts";
import { chat, rootOf, spansOf } from "../../support/clients/chat-client.ts";
import { makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { checkTrace } from "../../support/checkers/trace-invariants.ts";

const RETRY_S = 2;

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

interface OneSlot extends TestTenant {
  /** Answers once it has been refused with a Retry-After. */
  readonly limited: string;
  readonly quick: string;
}

/** `quickMs`: how long the other model takes. */
async function withOneSlot(quickMs: number): Promise<OneSlot> {
  const [limited, quick] = [uniqueModel(), uniqueModel()];
  stack.upstream.script(limited, ({ earlier }) =>
    earlier === 0
      ? { kind: "error", status: 429, headers: { "retry-after": String(RETRY_S) } }
      : { kind: "answer", text: "back" },
  );
  stack.upstream.script(quick, { kind: "answer", text: "quick", delayMs: quickMs });
  const tenant = await makeTenant(stack.gateway, {
    upstreamUrl: stack.upstream.url,
    limits: { concurrency: 1, requestsPerMinute: 6, burst: 10 },
  });
  return { ...tenant, limited: `up/${limited}`, quick: `up/${quick}` };
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe.concurrent("a Retry-After that a request waits for", () => {
  test("leaves its slot to others; the request counts once and its trace has both admissions", async () => {
    const { id, key, limited, quick } = await withOneSlot(0);
    const startedAt = Date.now();
    const waiting = chat(stack, key, { model: limited });
    await sleep(300);
    const other = await chat(stack, key, { model: quick });
    expect(other).toMatchObject({ status: 200, content: "quick" });
    expect(Date.now() - startedAt).toBeLessThan(RETRY_S * 1000);
    const answer = await waiting;
    expect(answer).toMatchObject({ status: 200, content: "back" });
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(RETRY_S * 1000);
    expect(answer.headers.get("x-ratelimit-remaining-requests")).toBe("8");

    const spans = await spansOf(stack, answer);
    expect(checkTrace(spans)).toEqual([]);
    const admissions = spans.filter(({ name }) => name === "gateway.admission");
    expect(admissions.map(({ attributes }) => attributes["gateway.admission.number"])).toEqual([
      undefined,
      2,
    ]);
    expect(rootOf(spans).attributes["gateway.attempt.count"]).toBe(2);
    expect(await adminJson(stack.gateway, "GET", `/admin/tenants/${id}/queue`)).toMatchObject({
      leases: 0,
      depth: 0,
    });
  }, 20_000);

  test("ends with the upstream's refusal where the slot is taken, and a Retry-After of the slot", async () => {
    const { key, limited, quick } = await withOneSlot(6000);
    const waiting = chat(stack, key, { model: limited, headers: { "x-headgate-max-wait-ms": "0" } });
    await sleep(300);
    const holding = chat(stack, key, { model: quick });
    const answer = await waiting;
    expect(answer).toMatchObject({ status: 429, error: "upstream_rate_limited" });
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
    const spans = await spansOf(stack, answer);
    expect(checkTrace(spans)).toEqual([]);
    expect(
      spans
        .filter(({ name }) => name === "gateway.admission")
        .map(({ attributes }) => attributes["gateway.queue.outcome"]),
    ).toEqual(["admitted", "refused"]);
    expect((await holding).status).toBe(200);
    expect((await chat(stack, key, { model: limited })).content).toBe("back");
  }, 20_000);
});
