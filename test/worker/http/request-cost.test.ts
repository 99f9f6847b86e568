/**
 * What a request in steady state makes the platform do, counted: each call costs more than most of what the gateway computes
 * (decision 040 and test/bench/RESULTS.md have the times, which no test can compare). The whole Worker over the real objects.
 */
import { env } from "cloudflare:workers";
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import worker from "../../../src/worker.ts";
import { TEST_VARS } from "../../support/clients/admin-client.ts";

const REQUESTS = 40;
const root = "/admin/tenants/counted";
const contexts: ExecutionContext[] = [];
let key = "";

async function call(method: string, path: string, token: string, body: unknown): Promise<Response> {
  const context = createExecutionContext();
  contexts.push(context);
  const text = JSON.stringify(body);
  const headers = {
    authorization: `Bearer ${token}`,
    "content-type": "application/json",
    "content-length": String(text.length),
  };
  return worker.fetch(
    new Request(`https://gateway.example${path}`, { method, headers, body: text }),
    env,
    context,
  );
}

async function admin(method: string, path: string, body: unknown): Promise<string> {
  const response = await call(method, path, TEST_VARS["ADMIN_TOKEN"] ?? "", body);
  expect([200, 201]).toContain(response.status);
  return response.text();
}

const COMPLETION = JSON.stringify({
  id: "c-1",
  object: "chat.completion",
  created: 1,
  model: "m",
  choices: [{ index: 0, message: { role: "assistant", content: "Hello." }, finish_reason: "stop" }],
  usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
});
/** What the upstream answers with. */
let completion = COMPLETION;
function answer(): Response {
  return new Response(completion, {
    headers: {
      "content-type": "application/json",
      "content-length": String(completion.length),
      "x-request-id": "up-1",
      "x-ratelimit-remaining-requests": "9",
    },
  });
}

beforeAll(async () => {
  vi.spyOn(globalThis, "fetch").mockImplementation(async () => answer());
  const limits = { requestsPerMinute: 1_000_000, burst: 100_000, concurrency: 1000 };
  await admin("PUT", root, { name: "Counted", limits });
  const account = { kind: "openai-compatible", baseUrl: "https://up.example/v1", apiKey: "k" };
  await admin("PUT", `${root}/providers/up`, account);
  key = JSON.parse(await admin("POST", `${root}/keys`, { name: "k" })).key;
});

afterAll(async () => {
  vi.restoreAllMocks();
  await Promise.all(contexts.map(waitOnExecutionContext));
}, 60_000);

async function chat(): Promise<void> {
  const messages = [{ role: "user", content: "Hello?" }];
  const response = await call("POST", "/v1/chat/completions", key, { model: "up/m", messages });
  expect(response.status).toBe(200);
  expect(await response.text()).toContain("Hello.");
}

/** Calls of each kind for one request, on the average of `REQUESTS` that follow each other. */
async function count(): Promise<Record<string, number>> {
  for (let warmUps = 0; warmUps < REQUESTS; warmUps += 1) await chat();
  const spies = {
    setTimeout: vi.spyOn(globalThis, "setTimeout"),
    clearTimeout: vi.spyOn(globalThis, "clearTimeout"),
    setHeader: vi.spyOn(Headers.prototype, "set"),
    getHeader: vi.spyOn(Headers.prototype, "get"),
    forEachHeader: vi.spyOn(Headers.prototype, "forEach"),
    anySignal: vi.spyOn(AbortSignal, "any"),
    addListener: vi.spyOn(AbortSignal.prototype, "addEventListener"),
    removeListener: vi.spyOn(AbortSignal.prototype, "removeEventListener"),
    abortController: vi.spyOn(globalThis, "AbortController"),
    response: vi.spyOn(globalThis, "Response"),
    parseUrl: vi.spyOn(globalThis, "URL"),
  };
  for (let requests = 0; requests < REQUESTS; requests += 1) await chat();
  const counts = Object.entries(spies).map(([name, spy]) => [name, spy.mock.calls.length / REQUESTS]);
  for (const spy of Object.values(spies)) spy.mockRestore();
  return Object.fromEntries(counts);
}

/** A little above what it is: what is made once for many requests (a batch of traces, a call for leases) is in it too. */
const MOST: Readonly<Record<string, number>> = {
  setTimeout: 1.25,
  clearTimeout: 0.25,
  setHeader: 0,
  getHeader: 26,
  forEachHeader: 0,
  anySignal: 0,
  abortController: 2,
  // One of them is the upstream's.
  response: 2.25,
  parseUrl: 0.1,
};

describe("a whole answer with a prefetched lease and traces on", () => {
  let counts: Record<string, number> = {};
  beforeAll(async () => void (counts = await count()));

  test.each(Object.entries(MOST))("costs no more calls of %s than %d a request", (name, most) => {
    expect(counts[name]).toBeLessThanOrEqual(most);
  });

  test("takes each listener away that it added: one that stays keeps the request until a full collection", () => {
    expect(counts["addListener"]).toBeGreaterThan(0);
    expect(counts["removeListener"]).toBe(counts["addListener"]);
  });
});

describe("a large answer", () => {
  beforeAll(() => void (completion = COMPLETION.replace("Hello.", `Hello. ${"word ".repeat(10_000)}`)));
  afterAll(() => void (completion = COMPLETION));

  test("is given to the client in the bytes in which it came, and not encoded again", async () => {
    await chat();
    const made = vi.spyOn(globalThis, "Response");
    await chat();
    const bodies = made.mock.calls.map(([body]) => body);
    made.mockRestore();
    // The upstream's own comes first.
    expect(bodies).toEqual([completion, expect.any(Uint8Array)]);
  });
});
