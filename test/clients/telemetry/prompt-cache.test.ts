// Why a conversation got less from the vendor's prompt cache, through the real gateway and its object: a scripted Anthropic and a
// scripted OpenAI, whole and streamed. A cache's life is minutes: that cause is played in unit/gateway/generate-prompt-cache.test.ts.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TEST_VARS } from "../../support/clients/admin-client.ts";
import { makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import { anthropicMessage } from "../../support/servers/scripted-anthropic.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";

let stack: GatewayStack;
let claude: TestTenant;
let gpt: TestTenant;
const MODELS = [uniqueModel(), uniqueModel()] as const;
const TARGETS = MODELS.map((model) => ({ provider: "up", model }));

beforeAll(async () => {
  stack = await startGatewayStack();
  const options = {
    upstreamUrl: stack.upstream.url,
    routes: { r: { targets: TARGETS } },
    record: { prices: { "up/*": { input: 3, output: 15, cacheRead: 0.3, cacheWrite: 3.75 } } },
  };
  claude = await makeTenant(stack.gateway, { ...options, providerKind: "anthropic" });
  gpt = await makeTenant(stack.gateway, { ...options, providerKind: "openai" });
});
afterAll(() => stack.close());

/** Tokens of one answer, as both vendors' usage says them. */
interface Tokens {
  readonly fresh?: number;
  readonly read?: number;
  readonly written?: number;
}

interface Turn extends Tokens {
  readonly messages: readonly string[];
  readonly system?: string;
  readonly target?: number;
}

interface Vendor {
  readonly tenant: () => TestTenant;
  readonly path: string;
  body(turn: Turn): object;
  script(model: string, tokens: Tokens): void;
}

const USAGE_FIELDS = { stream_options: { include_usage: true } };

const ANTHROPIC: Vendor = {
  tenant: () => claude,
  path: "/v1/messages",
  body: ({ messages, system = "You are terse." }) => ({
    max_tokens: 64,
    system,
    messages: messages.map((content, index) => {
      const text = { type: "text", text: content, cache_control: { type: "ephemeral" } };
      // The mark is always on the last message, as agents send it.
      return {
        role: index % 2 ? "assistant" : "user",
        content: index === messages.length - 1 ? [text] : content,
      };
    }),
  }),
  script(model, { fresh = 100, read = 0, written = 0 }) {
    const usage = {
      input_tokens: fresh,
      cache_read_input_tokens: read,
      cache_creation_input_tokens: written,
      output_tokens: 5,
    };
    stack.upstream.script(model, anthropicMessage({ usage }));
  },
};

const OPENAI: Vendor = {
  tenant: () => gpt,
  path: "/v1/chat/completions",
  body: ({ messages, system = "You are terse." }) => ({
    prompt_cache_key: "conversation",
    messages: [
      { role: "system", content: system },
      ...messages.map((content, index) => ({ role: index % 2 ? "assistant" : "user", content })),
    ],
  }),
  script(model, { fresh = 100, read = 0 }) {
    const usage = {
      prompt_tokens: fresh + read,
      completion_tokens: 5,
      total_tokens: fresh + read + 5,
      prompt_tokens_details: { cached_tokens: read },
    };
    stack.upstream.script(model, ({ json }) => {
      const choice = { index: 0, finish_reason: "stop" };
      const message = { role: "assistant", content: "ok" };
      const answer = { id: "c1", model, created: 1 };
      if (json["stream"] !== true) {
        return { kind: "raw", body: JSON.stringify({ ...answer, choices: [{ ...choice, message }], usage }) };
      }
      const events = [
        { ...answer, choices: [{ ...choice, delta: message }] },
        { ...answer, choices: [], usage },
      ];
      const pieces = [...events.map((event) => `data: ${JSON.stringify(event)}\n\n`), "data: [DONE]\n\n"];
      return { kind: "pieces", contentType: "text/event-stream", pieces };
    });
  },
};

/** Sends one turn; gives its trace id. */
async function send(vendor: Vendor, turn: Turn, stream: boolean): Promise<string> {
  for (const model of MODELS) vendor.script(model, turn);
  const { key } = vendor.tenant();
  const response = await fetch(stack.gateway.url + vendor.path, {
    method: "POST",
    headers: {
      authorization: `Bearer ${key}`,
      "content-type": "application/json",
      "x-headgate-target": `up/${MODELS[turn.target ?? 0]}`,
    },
    body: JSON.stringify({
      model: "r",
      stream,
      ...(stream && vendor === OPENAI && USAGE_FIELDS),
      ...vendor.body(turn),
    }),
  });
  const text = await response.text();
  expect(response.status, text).toBe(200);
  return response.headers.get("x-trace-id") ?? "";
}

async function rootOf(vendor: Vendor, traceId: string) {
  const spans = await stack.otlp.waitForTrace(traceId);
  return spans.find(({ name }) => name === `POST ${vendor.path}`)?.attributes ?? {};
}

/** Two turns of a new conversation: the first fills the cache, the second is `after`. */
async function secondTurn(vendor: Vendor, after: Partial<Turn>, stream: boolean): Promise<string> {
  const opening = `Question ${crypto.randomUUID()}?`;
  const held = vendor === ANTHROPIC ? { written: 9000 } : { read: 9000 };
  await send(vendor, { messages: [opening], ...held }, stream);
  const { messages = ["Answer.", "And then?"], ...fields } = after;
  return send(vendor, { fresh: 10_000, ...fields, messages: [opening, ...messages] }, stream);
}

/** Dollars that 9,000 tokens cost more as written ones, or as plain input, than from the cache. */
const LOST_9000 = { anthropic: (9000 * (3 - 0.3)) / 1e6, written: (9000 * (3.75 - 0.3)) / 1e6 };

describe.each([
  ["Anthropic", ANTHROPIC],
  ["OpenAI", OPENAI],
])("%s", (_, vendor) => {
  const changedAt = vendor === ANTHROPIC ? "system" : "messages[0]";

  test.each<[string, Partial<Turn>, object]>([
    ["the target changed", { target: 1 }, { cause: "target_changed", earlier_target: `up/${MODELS[0]}` }],
    [
      "the system prompt changed",
      { system: "It is 12:01." },
      { cause: "prefix_changed", changed_at: changedAt },
    ],
    ["the prompt is too short now", { fresh: 900 }, { cause: "below_minimum", lost_tokens: 900 }],
    ["nothing that the gateway sees", {}, { cause: "unknown", lost_tokens: 9000 }],
  ])("whole: %s", async (_why, after, said) => {
    const root = await rootOf(vendor, await secondTurn(vendor, after, false));
    for (const [name, value] of Object.entries(said))
      expect(root[`gateway.prompt_cache.${name}`]).toBe(value);
    expect(root["gateway.prompt_cache.share"]).toBe(0);
    expect(root["gateway.prompt_cache.earlier_share"]).toBe(0.989);
    if (after.fresh === undefined) {
      expect(root["gateway.prompt_cache.wasted_usd"]).toBeCloseTo(LOST_9000.anthropic, 6);
    }
  });

  test("streamed: a message in the middle changed, seen in the drawing and the stored trace", async () => {
    const opening = `Question ${crypto.randomUUID()}?`;
    const held = vendor === ANTHROPIC ? { written: 9000 } : { read: 9000 };
    await send(vendor, { messages: [opening, "First.", "And?"], ...held }, true);
    const edited = { messages: [opening, "Edited.", "And?", "Second.", "Then?"], fresh: 10_000 };
    const traceId = await send(vendor, edited, true);
    const place = vendor === ANTHROPIC ? "messages[1]" : "messages[2]";
    expect(await rootOf(vendor, traceId)).toMatchObject({
      "gateway.prompt_cache.cause": "prefix_changed",
      "gateway.prompt_cache.changed_at": place,
    });
    const drawing = await fetch(`${stack.gateway.url}/admin/traces/${traceId}?width=160`, {
      headers: { authorization: `Bearer ${TEST_VARS["ADMIN_TOKEN"]}`, accept: "text/plain" },
    });
    expect(await drawing.text()).toContain(`99% → 0% cached · prefix changed at ${place} · cost $0.0243`);
  });

  test("a conversation that goes on keeps its share, and has no cause", async () => {
    const traceId = await secondTurn(vendor, { read: 9000, fresh: 1000 }, false);
    const root = await rootOf(vendor, traceId);
    expect(root["gateway.prompt_cache.share"]).toBe(0.9);
    expect(root).not.toHaveProperty("gateway.prompt_cache.cause");
  });
});

test("tokens that were written to the cache again cost what a write costs more", async () => {
  const traceId = await secondTurn(ANTHROPIC, { fresh: 100, written: 9500, target: 1 }, false);
  const root = await rootOf(ANTHROPIC, traceId);
  expect(root["gateway.prompt_cache.wasted_usd"]).toBeCloseTo(LOST_9000.written, 6);
});
