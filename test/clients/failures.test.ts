// What happens around the gateway may not reach its clients: a sick collector, a crash of the process. Black box; each test has
// surroundings of its own, since it breaks them.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { startGateway, type Gateway } from "../support/servers/gateway-process.ts";
import { startOtlpReceiver, type OtlpReceiver } from "../support/servers/otlp-receiver.ts";
import type { ReceivedExport } from "../support/checkers/otlp-spans.ts";
import { startScriptedUpstream } from "../support/servers/scripted-upstream.ts";
import { makeTenant } from "../support/clients/test-tenant.ts";

/** Far above what a request takes here, far below any export's time limit. */
const PROMPT_MS = 1_500;

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

async function start(): Promise<{ readonly gateway: Gateway; readonly otlp: OtlpReceiver }> {
  const otlp = await startOtlpReceiver();
  cleanUps.push(() => otlp.close());
  const gateway = await startGateway({ vars: { OTLP_ENDPOINT: otlp.url } });
  cleanUps.push(() => gateway.stop());
  return { gateway, otlp };
}

/** Asks the simulated model, reads the answer, and returns what the client saw of it. */
async function ask(
  gateway: Gateway,
  key: string,
): Promise<{ readonly traceId: string; readonly tookMs: number }> {
  const startedAt = performance.now();
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "sim/echo", messages: [{ role: "user", content: "hello" }] }),
  });
  await response.text();
  expect(response.status).toBe(200);
  return { traceId: response.headers.get("x-trace-id") ?? "", tookMs: performance.now() - startedAt };
}

function postsWith(otlp: OtlpReceiver, traceId: string): readonly ReceivedExport[] {
  return otlp.exports.filter(({ path, text }) => path === "/v1/traces" && text.includes(traceId));
}

test.for([
  ["hangs", { hang: true }],
  ["breaks the connection", { reset: true }],
  ["answers 503", { status: 503 }],
  ["answers 400", { status: 400 }],
] as const)("a collector that %s delays no client", async ([, behaviour]) => {
  const { gateway, otlp } = await start();
  const { key } = await makeTenant(gateway);
  await ask(gateway, key);
  otlp.behave(behaviour);
  for (let count = 0; count < 3; count += 1) expect((await ask(gateway, key)).tookMs).toBeLessThan(PROMPT_MS);
});

test("a collector's 503 is tried again after its Retry-After, with the same bytes, and the trace arrives once", async () => {
  const { gateway, otlp } = await start();
  const { key } = await makeTenant(gateway);
  otlp.behave({ status: 503, retryAfter: "1" });
  const { traceId } = await ask(gateway, key);
  await otlp.waitUntil(() => postsWith(otlp, traceId).length === 1);
  otlp.behave({});
  await otlp.waitForTrace(traceId);
  const [first, second, ...more] = postsWith(otlp, traceId);
  expect(more).toHaveLength(0);
  expect(second?.text).toBe(first?.text);
  expect((second?.receivedAt ?? 0) - (first?.receivedAt ?? 0)).toBeGreaterThanOrEqual(1_000);
  const ids = otlp.spansOf(traceId).map(({ spanId }) => spanId);
  expect(new Set(ids).size).toBe(ids.length);
});

test("a broken connection to the collector is tried again too", async () => {
  const { gateway, otlp } = await start();
  const { key } = await makeTenant(gateway);
  otlp.behave({ reset: true });
  const { traceId } = await ask(gateway, key);
  await otlp.waitUntil(() => postsWith(otlp, traceId).length === 1);
  otlp.behave({});
  expect((await otlp.waitForTrace(traceId)).length).toBeGreaterThan(1);
});

test("tenants and keys survive a crash of the gateway", async () => {
  const persistTo = mkdtempSync(join(tmpdir(), "headgate-crash-"));
  cleanUps.push(() => rmSync(persistTo, { recursive: true, force: true }));
  const before = await startGateway({ persistTo });
  const { id, key } = await makeTenant(before);
  await ask(before, key);
  await before.kill();

  const after = await startGateway({ persistTo });
  cleanUps.push(() => after.stop());
  await ask(after, key);
  expect((await after.admin("GET", `/admin/tenants/${id}`)).status).toBe(200);
});

test("an address that a stricter deployment refuses is not called, on its own or under /proxy, and the trace says so", async () => {
  const persistTo = mkdtempSync(join(tmpdir(), "headgate-stricter-"));
  cleanUps.push(() => rmSync(persistTo, { recursive: true, force: true }));
  const upstream = await startScriptedUpstream();
  cleanUps.push(() => upstream.close());
  const lenient = await startGateway({ persistTo });
  const { id, key } = await makeTenant(lenient, { upstreamUrl: upstream.url });
  await lenient.stop();
  const gateway = await startGateway({ persistTo, vars: { UPSTREAM_ALLOW_PRIVATE: "false" } });
  cleanUps.push(() => gateway.stop());
  for (const [path, model] of [
    ["v1/chat/completions", "up/m"],
    ["proxy/up/chat/completions", "m"],
  ]) {
    const response = await fetch(`${gateway.url}/${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "hello" }] }),
    });
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ error: { code: "unavailable" } });
    const traceId = response.headers.get("x-trace-id") ?? "";
    const stored = await (await gateway.admin("GET", `/admin/traces/${traceId}`)).text();
    expect(stored).toContain('"gateway.decision","value":{"stringValue":"unavailable"}');
  }
  const traces = await (
    await gateway.admin("GET", `/admin/traces?tenant=${id}&status=503`)
  ).json<{
    readonly items: readonly unknown[];
  }>();
  expect(traces.items).toHaveLength(2);
  expect(upstream.requests).toEqual([]);
});
