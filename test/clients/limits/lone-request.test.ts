// A lone request that takes longer than a lease, in a gateway that was busy before and is idle meanwhile: its queue object
// sleeps between two renewals (report cases: slot-lost-after-45s). In real time, since the platform puts the object to sleep.
import { afterAll, beforeAll, expect, test } from "vitest";
import { chat, spansOf } from "../../support/clients/chat-client.ts";
import { pause } from "../../support/clients/queued-request.ts";
import { makeTenant } from "../../support/clients/test-tenant.ts";
import { startGatewayStack, type GatewayStack } from "../../support/servers/gateway-stack.ts";

const BUSY_MS = 25_000;
const EVERY_MS = 2000;
/** Longer than a lease, by more than one renewal. */
const SLOW_MS = 65_000;

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

test.concurrent.each([false, true])(
  "is answered after more than a lease's time, streamed: %s",
  async (stream) => {
    const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url });
    const until = Date.now() + BUSY_MS;
    while (Date.now() < until) {
      expect((await chat(stack, tenant.key, { model: "up/gpt-4o-mini" })).status).toBe(200);
      await pause(EVERY_MS);
    }
    const model = `slow-${stream}`;
    stack.upstream.script(
      model,
      stream
        ? { kind: "answer", chunks: Array.from({ length: SLOW_MS / 1000 }, () => "a "), paceMs: 1000 }
        : { kind: "answer", text: "late", delayMs: SLOW_MS },
    );
    const headers = { "x-headgate-timeout-ms": "110000" };
    const answer = await chat(stack, tenant.key, { model: `up/${model}`, headers, stream });
    expect(answer).toMatchObject({ status: 200, error: undefined });
    expect(answer.text).toContain(stream ? "[DONE]" : "late");
    const spans = await spansOf(stack, answer);
    expect(spans.map(({ name }) => name)).toContain(`chat ${model}`);
    expect(spans.map(({ name }) => name)).not.toContain("gateway.abandoned");
  },
  150_000,
);
