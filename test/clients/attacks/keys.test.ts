// What one key can't do to another of its tenant, and what a client can't change of what the operator wrote on its key.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeKey, makeTenant } from "../../support/clients/test-tenant.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";

const LISTED_ORIGIN = "https://app.example";

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack({ CORS_ORIGINS: LISTED_ORIGIN });
});
afterAll(() => stack.close());

async function ask(
  key: string,
  model: string,
  content: string,
  headers: Readonly<Record<string, string>> = {},
) {
  const response = await fetch(`${stack.gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
    body: JSON.stringify({ model, messages: [{ role: "user", content }] }),
  });
  const text = await response.text();
  expect(response.status, text).toBe(200);
  return { text, headers: response.headers };
}

describe("what the operator wrote on a key", () => {
  const FREE = { tier: "free", team: "blue" };

  async function setUp() {
    const { id } = await makeTenant(stack.gateway, {
      upstreamUrl: stack.upstream.url,
      routes: {
        tiered: {
          when: [{ if: { metadata: { tier: ["gold"] } }, targets: [{ provider: "up", model: "gold" }] }],
          targets: [{ provider: "up", model: "plain" }],
        },
      },
    });
    const metadata = (labels: object) => makeKey(stack.gateway, id, { metadata: labels });
    return { free: await metadata(FREE), gold: await metadata({ tier: "gold" }), bare: await metadata({}) };
  }

  test("wins over the client's words, in routes and on the trace", async () => {
    const { free, gold, bare } = await setUp();
    const claimed = {
      "x-headgate-metadata": JSON.stringify({ tier: "gold", team: "crimson", job: "nightly" }),
    };
    const answer = await ask(free.key, "tiered", "hi", claimed);
    expect(answer.headers.get("x-headgate-target")).toBe("up/plain");
    const spans = await stack.otlp.waitForTrace(answer.headers.get("x-trace-id") ?? "");
    const root = spans.find(({ parentSpanId }) => parentSpanId === undefined)?.attributes ?? {};
    const labels = JSON.stringify(root);
    expect(labels).toContain("blue");
    expect(labels).toContain("nightly");
    expect(labels).not.toContain("crimson");
    expect(labels).not.toContain("gold");
    expect((await ask(gold.key, "tiered", "hi")).headers.get("x-headgate-target")).toBe("up/gold");
    // A key that says nothing leaves the word to the client.
    expect((await ask(bare.key, "tiered", "hi", claimed)).headers.get("x-headgate-target")).toBe("up/gold");
  });
});

describe("an answer that one key has planted", () => {
  const QUESTION = "What is our IBAN?";

  async function setUp(cache: object) {
    const [model, embedding] = [uniqueModel(), `embed-${randomUUID().slice(0, 8)}`];
    stack.upstream.script(model, ({ earlier }) => ({ kind: "answer", text: `answer number ${earlier}` }));
    // All texts alike: the attacker's prompt could not be nearer.
    stack.upstream.script(embedding, {
      kind: "raw",
      body: JSON.stringify({
        object: "list",
        data: [{ object: "embedding", index: 0, embedding: [1, 0, 0] }],
        model: embedding,
        usage: { prompt_tokens: 1, total_tokens: 1 },
      }),
    });
    const route = {
      targets: [{ provider: "up", model }],
      cache: { semantic: { embedding: `up/${embedding}` } },
    };
    const attacker = await makeTenant(stack.gateway, {
      upstreamUrl: stack.upstream.url,
      cache: { enabled: true, ...cache },
      routes: { chat: route },
    });
    const { key: victim } = await makeKey(stack.gateway, attacker.id);
    return { attacker: attacker.key, victim };
  }
  const cacheOf = async (key: string, content: string, headers?: Readonly<Record<string, string>>) =>
    (await ask(key, "chat", content, headers)).headers.get("x-headgate-cache");

  test("by its meaning is its own, unless the tenant shares", async () => {
    const own = await setUp({});
    expect(await cacheOf(own.attacker, `${QUESTION} Answer: XX00`)).toBe("MISS");
    expect(await cacheOf(own.attacker, `${QUESTION} Once more.`)).toBe("HIT");
    expect(await cacheOf(own.victim, QUESTION)).toBe("MISS");
    const shared = await setUp({ share: "tenant" });
    expect(await cacheOf(shared.attacker, `${QUESTION} Answer: XX00`)).toBe("MISS");
    expect(await cacheOf(shared.victim, QUESTION)).toBe("HIT");
  });

  test("by an idempotency key is its own, and the name is free to the others", async () => {
    const { attacker, victim } = await setUp({});
    const named = { "idempotency-key": "job-1", "x-headgate-cache": "off" };
    const first = await ask(attacker, "chat", "planted", named);
    expect((await ask(attacker, "chat", "planted", named)).text).toBe(first.text);
    expect((await ask(victim, "chat", "planted", named)).text).not.toBe(first.text);
    // With another body, which is a 409 for the same key.
    await ask(victim, "chat", "other words", { ...named, "idempotency-key": "job-2" });
    await ask(attacker, "chat", "planted", { ...named, "idempotency-key": "job-2" });
  });
});

describe("a listed origin", () => {
  const preflight = (path: string): Promise<Response> =>
    fetch(stack.gateway.url + path, {
      method: "OPTIONS",
      headers: { origin: LISTED_ORIGIN, "access-control-request-method": "POST" },
    });

  test.each(["/v1/chat/completions", "/v1beta/models/m:generateContent", "/proxy/up/v1/files"])(
    "may call %s, on the data plane",
    async (path) => {
      expect((await preflight(path)).headers.get("access-control-allow-origin")).toBe(LISTED_ORIGIN);
    },
  );

  test.each(["/admin/tenants", "/admin/traces", "/metrics", "/jaeger/api/services", "/healthz", "/nothing"])(
    "may not call %s",
    async (path) => {
      expect((await preflight(path)).headers.get("access-control-allow-origin")).toBeNull();
    },
  );
});
