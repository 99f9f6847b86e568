// The official Anthropic SDK when something goes wrong: each fault of caller, gateway and upstream as the SDK's own error class,
// before and after the first byte, and what happens when the client leaves. The good cases are in anthropic.test.ts.
import Anthropic from "@anthropic-ai/sdk";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { anthropicError, anthropicMessage } from "../../support/servers/scripted-anthropic.ts";
import type { Script } from "../../support/servers/scripted-upstream.ts";
import { makeTenant, type TenantOptions } from "../../support/clients/test-tenant.ts";

const ASK = { max_tokens: 64, messages: [{ role: "user" as const, content: "Say hello." }] };
/** Far beyond the time a lost connection takes to be noticed. */
const SOON_MS = 3_000;

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

async function setUp(kind: TenantOptions["providerKind"], script: Script, options: TenantOptions = {}) {
  const tenant = await makeTenant(stack.gateway, {
    upstreamUrl: stack.upstream.url,
    ...(kind !== undefined && { providerKind: kind }),
    ...options,
  });
  const upstreamModel = uniqueModel();
  stack.upstream.script(upstreamModel, script);
  return { client: clientOf(tenant.key), model: `${tenant.provider}/${upstreamModel}`, upstreamModel };
}

function clientOf(apiKey: string): Anthropic {
  return new Anthropic({ apiKey, baseURL: stack.gateway.url, maxRetries: 0 });
}

/** The API error a call ends with; fails the test where it ends well or with another kind of error. */
async function errorOf(call: PromiseLike<unknown>): Promise<InstanceType<typeof Anthropic.APIError>> {
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof Anthropic.APIError) return error;
  throw new Error(`expected an APIError, got ${String(error)}`);
}

describe("the caller's faults", () => {
  test("a key that is none is a 401 of Anthropic's form", async () => {
    const error = await errorOf(clientOf("hg_garbage").messages.create({ model: "a/b", ...ASK }));
    expect(error).toBeInstanceOf(Anthropic.AuthenticationError);
    expect(error.error).toMatchObject({ type: "error", error: { type: "authentication_error" } });
    expect(error.requestID).toBeTruthy();
  });

  test("an unknown model is a 404, a wrong body a 400", async () => {
    const { client, model } = await setUp("anthropic", anthropicMessage());
    const unknown = await errorOf(client.messages.create({ model: "nobody/model", ...ASK }));
    expect(unknown).toBeInstanceOf(Anthropic.NotFoundError);
    const wrong = await errorOf(client.messages.create({ model, ...ASK, max_tokens: -1 }));
    expect(wrong).toBeInstanceOf(Anthropic.BadRequestError);
    expect(wrong.message).toContain("max_tokens");
  });

  test("a limit reached is a 429 that says when to come back", async () => {
    const { client, model } = await setUp("anthropic", anthropicMessage(), {
      limits: { requestsPerMinute: 1, burst: 1, queue: { maxDepth: 10, maxWaitMs: 0 } },
    });
    await client.messages.create({ model, ...ASK });
    const error = await errorOf(client.messages.create({ model, ...ASK }));
    expect(error).toBeInstanceOf(Anthropic.RateLimitError);
    expect(Number(error.headers?.get("retry-after"))).toBeGreaterThan(0);
  });
});

/** A refusal in the words of the upstream's own kind. */
function refusal(kind: string, status: number, type: string): Script {
  return kind === "anthropic" ? anthropicError(status, type) : { kind: "error", status };
}

describe.each(["anthropic", "openai-compatible"] as const)("the faults of %s", (kind) => {
  test.each([
    [400, "invalid_request_error", 400, Anthropic.BadRequestError],
    [404, "not_found_error", 404, Anthropic.NotFoundError],
    [422, "invalid_request_error", 422, Anthropic.UnprocessableEntityError],
    [401, "authentication_error", 502, Anthropic.InternalServerError],
    [429, "rate_limit_error", 429, Anthropic.RateLimitError],
    [500, "api_error", 502, Anthropic.InternalServerError],
    [529, "overloaded_error", 529, Anthropic.InternalServerError],
  ] as const)("%i %s is a %i", async (status, type, expected, errorClass) => {
    const { client, model } = await setUp(kind, refusal(kind, status, type));
    for (const stream of [false, true]) {
      const error = await errorOf(client.messages.create({ model, ...ASK, stream }));
      expect(error).toBeInstanceOf(errorClass);
      expect(error.status).toBe(expected);
      expect(error.error).toMatchObject({ type: "error", error: { type: expect.any(String) } });
    }
  });
});

describe("a stream that fails after its first byte", () => {
  const failing: Readonly<Record<string, readonly [TenantOptions["providerKind"], Script]>> = {
    "an error event of Anthropic's": [
      "anthropic",
      anthropicMessage({ end: "error-event", endAfterEvents: 4 }),
    ],
    "a cut of Anthropic's": ["anthropic", anthropicMessage({ end: "cut", endAfterEvents: 4 })],
    "an error event of OpenAI's": [
      "openai-compatible",
      { kind: "answer", chunks: ["Half ", "of it"], end: "error-event", endAfterChunks: 2 },
    ],
    "a cut of OpenAI's": [
      "openai-compatible",
      { kind: "answer", chunks: ["Half ", "of it"], end: "cut", endAfterChunks: 2 },
    ],
  };

  test.each(Object.entries(failing))("by %s is an APIError", async (_, [kind, script]) => {
    const { client, model } = await setUp(kind, script);
    const stream = await client.messages.create({ model, ...ASK, stream: true });
    const types: string[] = [];
    const read = async (): Promise<void> => {
      for await (const { type } of stream) types.push(type);
    };
    const error = await errorOf(read());
    expect(error.error).toMatchObject({ type: "error", error: { type: expect.any(String) } });
    expect(types[0]).toBe("message_start");
    expect(types).not.toContain("message_stop");
  });
});

describe("a client that leaves", () => {
  const words = Array.from({ length: 100 }, (_, at) => `word ${at} `);
  const content = words.map((text) => ({ type: "text", text }));
  const long: Readonly<Record<string, readonly [TenantOptions["providerKind"], Script]>> = {
    anthropic: ["anthropic", anthropicMessage({ content, paceMs: 50 })],
    "openai-compatible": ["openai-compatible", { kind: "answer", chunks: words, paceMs: 50 }],
  };

  test.each(Object.entries(long))("in mid-stream leaves no call to %s open", async (_, [kind, script]) => {
    const { client, model, upstreamModel } = await setUp(kind, script);
    const stream = await client.messages.create({ model, ...ASK, stream: true });
    for await (const event of stream) if (event.type === "content_block_delta") break;
    const [request] = stack.upstream.requestsFor(upstreamModel);
    const late = new Promise((_resolve, reject) =>
      setTimeout(() => reject(new Error("still open")), SOON_MS),
    );
    await Promise.race([request?.ended, late]);
    expect(request?.outcome).toBe("client_closed");
  });
});
