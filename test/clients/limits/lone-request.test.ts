// A lone request that takes longer than a lease, in a gateway that was busy before and is idle meanwhile: its queue object
// sleeps between two renewals (report cases: slot-lost-after-45s). In real time, since the platform puts the object to sleep.
// With LONE_REQUEST_SECONDS=300 it takes as long as that.
import { request } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { billedBy, pricedModel, settledSums } from "../../support/checkers/ledger-sums.ts";
import { chat, read, rootOf, spansOf, type Answer } from "../../support/clients/chat-client.ts";
import { pause } from "../../support/clients/queued-request.ts";
import { makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import { startGatewayStack, type GatewayStack } from "../../support/servers/gateway-stack.ts";

/** Longer than a lease, by more than one renewal, unless asked for otherwise. */
const SLOW_SECONDS = Number(process.env["LONE_REQUEST_SECONDS"] ?? 65);
const BUSY_MS = 25_000;
const EVERY_MS = 2000;
const BILL = { inputTokens: 7000, outputTokens: 3000 };

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

/** Node's `fetch` gives up after five minutes without a head; this waits. */
function ask({ key }: TestTenant, body: object): Promise<Answer> {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  return new Promise((resolve, reject) => {
    request(`${stack.gateway.url}/v1/chat/completions`, { method: "POST", headers }, (reply) => {
      let text = "";
      reply.setEncoding("utf8");
      reply.on("data", (part: string) => (text += part));
      reply.on("error", reject);
      reply.on("end", () => {
        const known = Object.entries(reply.headersDistinct).map(([name, values = []]) => [
          name,
          values.join(),
        ]);
        resolve(read(new Response(null, { status: reply.statusCode ?? 0, headers: known }), text));
      });
    })
      .on("error", reject)
      .end(JSON.stringify(body));
  });
}

test.concurrent.each([false, true])(
  "is answered after more than a lease's time, streamed: %s",
  async (stream) => {
    const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url });
    const [early, model] = [pricedModel(), pricedModel()];
    const until = Date.now() + BUSY_MS;
    const answers: Answer[] = [];
    stack.upstream.script(early, { kind: "answer", text: "soon", usage: BILL });
    while (Date.now() < until) {
      answers.push(await chat(stack, tenant.key, { model: `up/${early}` }));
      await pause(EVERY_MS);
    }
    stack.upstream.script(
      model,
      stream
        ? {
            kind: "answer",
            chunks: Array.from({ length: SLOW_SECONDS }, () => "a "),
            paceMs: 1000,
            usage: BILL,
          }
        : { kind: "answer", text: "late", delayMs: SLOW_SECONDS * 1000, usage: BILL },
    );
    const startedAt = Date.now();
    const answer = await ask(tenant, {
      model: `up/${model}`,
      stream,
      messages: [{ role: "user", content: "Hello?" }],
    });
    const tookMs = Date.now() - startedAt;
    answers.push(answer);
    expect(answers.map(({ status, error }) => ({ status, error }))).toEqual(
      answers.map(() => ({ status: 200, error: undefined })),
    );
    expect(answer.text).toContain(stream ? "[DONE]" : "late");
    expect(tookMs).toBeGreaterThan((SLOW_SECONDS - 2) * 1000);
    const spans = await spansOf(stack, answer);
    const names = spans.map(({ name }) => name);
    expect(rootOf(spans).attributes).toMatchObject({ "gateway.outcome": "ok" });
    expect(names.filter((name) => name === `chat ${model}`)).toHaveLength(1);
    expect(names).not.toContain("gateway.abandoned");
    // Its lease was settled, once, and no other request's was lost.
    const sums = await settledSums(stack, tenant, answers);
    expect(sums.microUsd).toBe(
      billedBy(stack.upstream, early).microUsd + billedBy(stack.upstream, model).microUsd,
    );
    console.info(`streamed ${stream}: ${answer.status} after ${tookMs} ms, spans: ${names.join(", ")}`);
  },
  (SLOW_SECONDS + 85) * 1000,
);
