// The rate of requests that no model answers, through HTTP: cache hits, replays, lists and what is refused have one of their own, apart
// from the requests that may call a model.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeTenant } from "../../support/clients/test-tenant.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";

/** Ten seconds' worth: one in five seconds. */
const PER_MINUTE = 12;
const BURST = 2;

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

interface Ask {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly content?: string;
}

async function withTenant(limits: Readonly<Record<string, number>>) {
  const model = uniqueModel();
  stack.upstream.script(model, { kind: "answer", text: "done" });
  const { key } = await makeTenant(stack.gateway, {
    upstreamUrl: stack.upstream.url,
    limits,
    cache: { enabled: true },
  });
  return async ({ method = "POST", path = "/v1/chat/completions", headers, content = "hello" }: Ask = {}) => {
    const response = await fetch(stack.gateway.url + path, {
      method,
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
      ...(method === "POST" && {
        body: JSON.stringify({ model: `up/${model}`, max_tokens: 10, messages: [{ role: "user", content }] }),
      }),
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
}

type Send = Awaited<ReturnType<typeof withTenant>>;

const MODELS: Ask = { method: "GET", path: "/v1/models" };

async function allOf(send: Send, asks: readonly Ask[]): Promise<readonly Awaited<ReturnType<Send>>[]> {
  const told: Awaited<ReturnType<Send>>[] = [];
  for (const ask of asks) told.push(await send(ask));
  return told;
}

const times = (count: number, ask: Ask): readonly Ask[] => Array.from({ length: count }, () => ask);
const statuses = (told: readonly { readonly status: number }[]): readonly number[] =>
  told.map(({ status }) => status);

describe.concurrent("requests that no model answers", () => {
  const replay: Ask = { headers: { "idempotency-key": randomUUID(), "x-headgate-cache": "off" } };
  test.each<[string, Ask, Ask]>([
    ["cache hits", {}, {}],
    ["replays", replay, replay],
    ["lists of models", {}, MODELS],
    ["requests that are wrong", {}, { headers: { "x-headgate-max-wait-ms": "soon" } }],
    ["requests for what doesn't exist", {}, { method: "GET", path: "/v1/models/none" }],
  ])(
    "%s are refused beyond their rate, with a Retry-After after which one is answered",
    async (_, first, ask) => {
      const send = await withTenant({ unqueuedRequestsPerMinute: PER_MINUTE });
      await send(first);
      const told = await allOf(send, times(BURST + 2, ask));
      expect(statuses(told.slice(0, BURST))).not.toContain(429);
      const last = told.find(({ status }) => status === 429);
      expect(last?.text).toContain(`${PER_MINUTE} per minute`);
      const retryMs = Number(last?.headers.get("retry-after-ms"));
      expect(retryMs).toBeGreaterThan(0);
      expect(retryMs).toBeLessThanOrEqual(5000);
      await new Promise((resolve) => setTimeout(resolve, retryMs));
      expect((await send(ask)).status).not.toBe(429);
    },
  );

  test("have ten times what may call a model where no record says more, and don't count there", async () => {
    const send = await withTenant({ requestsPerMinute: 1, burst: 1 });
    const asks = [{}, ...times(8, {}), ...times(5, MODELS)];
    expect(statuses(await allOf(send, asks))).toEqual(asks.map(() => 200));
    // A hundred at once; each of these is refused by the queue or not at all.
    expect(statuses(await Promise.all(times(160, MODELS).map(send)))).toContain(429);
  });

  test("leave requests that call a model alone: those give their turn back", async () => {
    const send = await withTenant({ unqueuedRequestsPerMinute: 6 });
    const asks = Array.from({ length: 8 }, (_, n): Ask => ({ content: `question ${n}` }));
    expect(statuses(await allOf(send, asks))).toEqual(asks.map(() => 200));
  });
});
