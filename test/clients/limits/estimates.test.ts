// What a request with media reserves and is booked for where no vendor has counted it, through HTTP: an image is an image, not its
// base64.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { post, rootOf, spansOf } from "../../support/clients/chat-client.ts";
import { makeKey, makeTenant } from "../../support/clients/test-tenant.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

const LIMITS = { tokensPerMinute: 100_000 };
const MEDIA = "A".repeat(4_000_000);

describe.each<[string, object]>([
  ["an image", { type: "image_url", image_url: { url: `data:image/png;base64,${MEDIA}` } }],
  ["a sound", { type: "input_audio", input_audio: { data: MEDIA, format: "mp3" } }],
])("%s of 4 MB", (_, part) => {
  const messages = [{ role: "user", content: [{ type: "text", text: "What is this?" }, part] }];

  test("leaves the tenant's other keys their tokens", async () => {
    const [slow, quick] = [uniqueModel(), uniqueModel()];
    stack.upstream.script(slow, { kind: "answer", text: "a b c", firstChunkDelayMs: 1500 });
    const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url, limits: LIMITS });
    const other = await makeKey(stack.gateway, tenant.id);
    const underWay = post(stack.gateway.url, tenant.key, {
      model: `up/${slow}`,
      stream: true,
      body: { messages },
    });
    await stack.upstream.waitForRequest(slow);
    const response = await post(stack.gateway.url, other.key, { model: `up/${quick}` });
    expect(response.status).toBe(200);
    await response.text();
    await (await underWay).text();
  });

  test("is booked as what it is where the vendor counts nothing", async () => {
    const model = uniqueModel();
    stack.upstream.script(model, { kind: "answer", text: "a cat", usageChunk: "never" });
    const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url });
    const response = await post(stack.gateway.url, tenant.key, {
      model: `up/${model}`,
      stream: true,
      body: { messages },
    });
    await response.text();
    const { attributes } = rootOf(
      await spansOf(stack, { traceId: response.headers.get("x-trace-id") ?? "" }),
    );
    expect(attributes["gateway.usage.source"]).toBe("estimate");
    expect(Number(attributes["gen_ai.usage.input_tokens"])).toBeGreaterThan(100);
    expect(Number(attributes["gen_ai.usage.input_tokens"])).toBeLessThan(3000);
  });
});
