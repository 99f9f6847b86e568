// The official Google Gen AI SDK when something goes wrong: each fault as the SDK's ApiError with its status, before and after the
// first byte, and what happens when the client leaves. The good cases are in gemini.test.ts.
import { ApiError, GoogleGenAI } from "@google/genai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import {
  candidate,
  startScriptedGemini,
  type GeminiReply,
  type ScriptedGemini,
} from "../../support/servers/scripted-gemini.ts";
import { makeTenant } from "../../support/clients/test-tenant.ts";

let stack: GatewayStack;
let google: ScriptedGemini;
beforeAll(async () => {
  [stack, google] = await Promise.all([startGatewayStack(), startScriptedGemini()]);
});
afterAll(() => Promise.all([stack.close(), google.close()]));

async function setUp(
  reply: GeminiReply,
): Promise<{ readonly ai: GoogleGenAI; readonly name: string; readonly model: string }> {
  const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url });
  const record = { kind: "gemini", baseUrl: google.url, apiKey: "AIza-canary-credential" };
  await stack.gateway.admin("PUT", `/admin/tenants/${tenant.id}/providers/gem`, record);
  const name = uniqueModel();
  google.script(name, reply);
  return { ai: clientOf(tenant.key), name, model: `gem/${name}` };
}

const clientOf = (apiKey: string): GoogleGenAI =>
  new GoogleGenAI({ apiKey, httpOptions: { baseUrl: stack.gateway.url } });

/** The SDK's error, with the body that its message holds. */
async function errorOf(
  call: Promise<unknown>,
): Promise<{ readonly status: number; readonly error: Record<string, unknown> }> {
  const thrown: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(thrown instanceof ApiError)) throw new Error(`expected an ApiError, got ${String(thrown)}`);
  const json = thrown.message.slice(thrown.message.indexOf("{"));
  return { status: thrown.status, error: JSON.parse(json).error };
}

const refusal = (status: number, word: string, message = "No.") =>
  ({ kind: "json", status, body: { error: { code: status, message, status: word } } }) as const;

describe("before the first byte", () => {
  test("a wrong key is UNAUTHENTICATED, an unknown provider NOT_FOUND, half a token INVALID_ARGUMENT", async () => {
    const call = clientOf("AIza-not-ours").models.generateContent({ model: "gem/m", contents: "Hi" });
    expect(await errorOf(call)).toMatchObject({
      status: 401,
      error: { code: 401, status: "UNAUTHENTICATED" },
    });
    const { ai, model } = await setUp(refusal(500, "INTERNAL"));
    expect(await errorOf(ai.models.generateContent({ model: "nobody/m", contents: "Hi" }))).toMatchObject({
      status: 404,
      error: { status: "NOT_FOUND" },
    });
    expect(
      await errorOf(ai.models.generateContent({ model, contents: "Hi", config: { maxOutputTokens: 1.5 } })),
    ).toMatchObject({
      status: 400,
      error: { status: "INVALID_ARGUMENT" },
    });
  });

  test("what Gemini calls the caller's fault is passed on with its words, without our credential", async () => {
    const words = "Unknown name temprature. Key AIza-canary-credential.";
    const { ai, model, name } = await setUp(refusal(400, "INVALID_ARGUMENT", words));
    const { status, error } = await errorOf(ai.models.generateContent({ model, contents: "Hi" }));
    expect(status).toBe(400);
    expect(error["message"]).toContain("temprature");
    expect(error["message"]).not.toContain("canary");
    expect(google.requestsFor(name)).toHaveLength(1);
  });

  test("a key that Gemini refuses is our fault: a 502, whatever Google's status", async () => {
    const { ai, model } = await setUp(
      refusal(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
    );
    expect(await errorOf(ai.models.generateContent({ model, contents: "Hi" }))).toMatchObject({
      status: 502,
    });
  });

  test("a field without a counterpart is named, or dropped and listed for a lenient client", async () => {
    const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url });
    const request = { model: `up/${uniqueModel()}`, contents: "Hi", config: { safetySettings: [] } };
    const { status, error } = await errorOf(clientOf(tenant.key).models.generateContent(request));
    expect(status).toBe(400);
    expect(error["message"]).toContain("safetySettings");
    const httpOptions = { baseUrl: stack.gateway.url, headers: { "x-headgate-lenient": "1" } };
    const answer = await new GoogleGenAI({ apiKey: tenant.key, httpOptions }).models.generateContent(request);
    expect(answer.text).toBe("Hello from the upstream.");
    expect(answer.sdkHttpResponse?.headers?.["x-headgate-dropped"]).toBe("safetySettings");
  });
});

describe("in mid-stream", () => {
  const begun = candidate([{ text: "The first half" }]);

  async function readAll(ai: GoogleGenAI, model: string): Promise<string> {
    let text = "";
    for await (const chunk of await ai.models.generateContentStream({ model, contents: "Hi" }))
      text += chunk.text ?? "";
    return text;
  }

  test("a Gemini stream that is cut throws, and never ends as if it were whole", async () => {
    const { ai, model } = await setUp({ kind: "events", events: [begun], end: "cut" });
    expect(await errorOf(readAll(ai, model))).toMatchObject({ status: 502, error: { status: "INTERNAL" } });
  });

  test("a translated stream that fails throws", async () => {
    const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url });
    const name = uniqueModel();
    stack.upstream.script(name, {
      kind: "answer",
      text: "one two three",
      end: "error-event",
      endAfterChunks: 2,
    });
    expect(await errorOf(readAll(clientOf(tenant.key), `up/${name}`))).toMatchObject({ status: 502 });
  });

  test("an error that Gemini itself sends throws with Gemini's status", async () => {
    const error = { error: { code: 503, message: "Overloaded.", status: "UNAVAILABLE" } };
    const { ai, model } = await setUp({ kind: "events", events: [begun, error] });
    expect(await errorOf(readAll(ai, model))).toMatchObject({
      status: 503,
      error: { status: "UNAVAILABLE" },
    });
  });
});

test("a client that leaves a stream ends the upstream's", async () => {
  const events = Array.from({ length: 200 }, (_, at) => candidate([{ text: `${at} ` }]));
  const { ai, model, name } = await setUp({ kind: "events", events, paceMs: 50 });
  const abort = new AbortController();
  const stream = await ai.models.generateContentStream({
    model,
    contents: "Count.",
    config: { abortSignal: abort.signal },
  });
  await stream.next();
  abort.abort();
  await google.requestsFor(name)[0]?.ended;
  expect(google.requestsFor(name)[0]?.outcome).toBe("client_closed");
});
