// Twenty thousand requests of all kinds through one isolate whose heap is capped at a third of what Workers have: it survives, its
// memory at the end is what it was in the middle, and each request's trace arrived once at both destinations. Plain workerd, since
// only there V8 takes flags; its heap is measured after a collection, so that a leak of some hundred bytes a request shows.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { startWorkerd, type WorkerdProcess } from "../bench/processes/process.ts";
import { writeGatewayConfig } from "../bench/processes/worker-folder.ts";
import { adminPlane, type AdminPlane } from "../support/clients/admin-client.ts";
import { measureHeap } from "../support/clients/heap-inspector.ts";
import { checkExports } from "../support/checkers/check-exports.ts";
import { makeKey, makeTenant, type TestTenant } from "../support/clients/test-tenant.ts";
import { bundleWorker } from "../support/servers/worker-bundle.ts";

const REQUESTS = 20_000;
const HALF = REQUESTS / 2;
const CONNECTIONS = 24;
/** Workers have 128 MB for an isolate; rc.52 of the tracing library died at 12,700 requests with this much. */
const HEAP_CAP_MIB = 40;
/** Of the second half: 100 bytes a request. The tracing library's own processor would leave 30 MiB. */
const MAX_HEAP_GROWTH_MIB = 1;
/** The process's own memory has SQLite's pages and the allocator's gaps in it. */
const MAX_RSS_GROWTH_MIB = 24;
/** One body in so many is judged whole: all of them would take longer than the requests. */
const JUDGED_OF = 20;
/** Small, so that the ring is cut from early on and the store stops growing. */
const STORED_TRACES = 500;
/** As long as an isolate keeps settlements to tell them again (15 s), plus a second. */
const SETTLE_MS = 16_000;
const TIMEOUT_MS = 420_000;
/** In memory where the system has such a folder: a Durable Object's answer waits for its writes. */
const STATE_ROOT = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

type Collector = { readonly url: string; readonly arrivals: Map<string, number>; close(): void };

const judged: { readonly text: string; readonly json: unknown }[] = [];
let dir: string;
let workerd: WorkerdProcess;
let admin: AdminPlane;
let upstream: { readonly url: string; close(): void };
let operator: Collector;
let own: Collector;

beforeAll(async () => {
  dir = mkdtempSync(join(STATE_ROOT, "headgate-endurance-"));
  [upstream, operator, own] = await Promise.all([startUpstream(), startCollector(), startCollector()]);
  const bundle = join(await bundleWorker(), "worker.js");
  const v8Flags = [`--max-old-space-size=${HEAP_CAP_MIB}`, "--expose-gc"];
  // With its objects inside the folder, which goes with the test: a worker that vitest ends runs no exit handler.
  const configFile = writeGatewayConfig(dir, bundle, {
    vars: { OTLP_ENDPOINT: operator.url },
    onDisk: true,
    v8Flags,
  });
  workerd = await startWorkerd(configFile, { withInspector: true });
  admin = adminPlane(workerd.url);
});
afterAll(() => {
  workerd.stop();
  for (const server of [upstream, operator, own]) server.close();
  rmSync(dir, { recursive: true, force: true });
});

test(
  "twenty thousand requests leave no memory behind, and each its trace",
  { timeout: TIMEOUT_MS },
  async () => {
    const tenant = await makeTenant(admin, {
      upstreamUrl: upstream.url,
      cache: { enabled: false },
      record: {
        tracing: {
          destinations: [{ name: "own", endpoint: own.url, gzip: true }],
          store: { maxTraces: STORED_TRACES },
        },
      },
      routes: { failing: { targets: [{ provider: "up", model: "failing" }], retries: { maxAttempts: 1 } } },
    });
    const limited = await makeKey(admin, tenant.id, {
      limits: { requestsPerMinute: 60 },
    });
    const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
    const statuses = new Map<number, number>();
    const requestIds: string[] = [];

    async function drive(from: number, to: number): Promise<void> {
      let next = from;
      const client = async (): Promise<void> => {
        while (next < to) {
          const { status, requestId } = await send(agent, kindOf(next++, tenant, limited.key));
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
          requestIds.push(requestId);
        }
      };
      await Promise.all(Array.from({ length: CONNECTIONS }, client));
      await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    }

    await drive(0, HALF);
    const middle = await memory();
    await drive(HALF, REQUESTS);
    const end = await memory();
    agent.destroy();

    expect(workerd.isRunning()).toBe(true);
    // Whole answers and streams, refusals of ours, faults of the upstream.
    expect(new Set(statuses.keys())).toEqual(new Set([200, 400, 404, 422, 429, 502, 503]));
    expect(statuses.get(200)).toBeGreaterThanOrEqual(REQUESTS / 2);
    expect(end.heapMib - middle.heapMib, JSON.stringify({ middle, end })).toBeLessThan(MAX_HEAP_GROWTH_MIB);
    expect(end.buffersMib - middle.buffersMib).toBeLessThan(MAX_HEAP_GROWTH_MIB);
    expect(end.rssMib - middle.rssMib).toBeLessThan(MAX_RSS_GROWTH_MIB);

    const sums = await settledSums(`/admin/tenants/${tenant.id}/export`, "own");
    expect(sums).toMatchObject({ enqueued: REQUESTS, delivered: REQUESTS, pending: 0, dropped: {} });
    expect(await settledSums("/admin/export", "(operator)")).toMatchObject({ pending: 0, dropped: {} });
    expect(new Set(requestIds).size).toBe(REQUESTS);
    for (const { arrivals } of [own, operator])
      expect(requestIds.filter((id) => arrivals.get(id) !== 1)).toEqual([]);
    expect(judged.length).toBeGreaterThan(0);
    checkExports(judged, []);
  },
);

async function memory() {
  return { ...(await measureHeap(workerd.inspectorUrl ?? "")), rssMib: workerd.rssMib() };
}

type Sums = {
  readonly destination: string;
  readonly enqueued: number;
  readonly delivered: number;
  readonly pending: number;
};

/** A destination's sums once nothing is on its way any more. */
async function settledSums(path: string, name: string): Promise<Sums | undefined> {
  return vi.waitFor(
    async () => {
      const { items } = await (await admin.admin("GET", path)).json<{ readonly items: readonly Sums[] }>();
      const sums = items.find(({ destination }) => destination === name);
      expect(sums?.pending).toBe(0);
      return sums;
    },
    { timeout: 20_000, interval: 250 },
  );
}

type Kind = { readonly key: string; readonly body: object; readonly traceparent: string | undefined };

/** The `at`th request: half of them share a trace id with nine others, a quarter has one of its own, a quarter none. */
function kindOf(at: number, { key }: TestTenant, limitedKey: string): Kind {
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0");
  const traceId =
    at % 4 < 2 ? hex(1 + Math.floor(at / 20), 32) : at % 4 === 2 ? hex(0xa_0000 + at, 32) : undefined;
  const traceparent = traceId === undefined ? undefined : `00-${traceId}-${hex(at + 1, 16)}-01`;
  const ask = (model: string, more: object = {}): object => ({
    model,
    messages: [{ role: "user", content: `This is request ${at}.` }],
    ...more,
  });
  const bodies: readonly object[] = [
    ask("up/sound"),
    ask("up/sound", { stream: true }),
    ask("up/sound", { tools: [{ type: "function", function: { name: "look", parameters: {} } }] }),
    ask("up/sound", { stream: true }),
    ask(`up/sound-${at}`),
    ask("up/refusing"),
    ask("failing", { stream: at % 2 === 0 }),
    ask(`nowhere-${at}`),
    { model: "up/sound", messages: at },
    ask("up/sound"),
  ];
  const place = at % bodies.length;
  return { key: place === bodies.length - 1 ? limitedKey : key, body: bodies[place] ?? {}, traceparent };
}

function send(
  agent: Agent,
  { key, body, traceparent }: Kind,
): Promise<{ readonly status: number; readonly requestId: string }> {
  const text = JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(`${workerd.url}/v1/chat/completions`, {
      agent,
      method: "POST",
      headers: {
        authorization: `Bearer ${key}`,
        "content-type": "application/json",
        "x-headgate-max-wait-ms": 0,
        "content-length": Buffer.byteLength(text),
        ...(traceparent !== undefined && { traceparent }),
      },
    });
    outgoing.once("error", reject);
    outgoing.once("response", (response) => {
      response.resume();
      response.once("error", reject);
      response.once("end", () =>
        resolve({ status: response.statusCode ?? 0, requestId: String(response.headers["x-request-id"]) }),
      );
    });
    outgoing.end(text);
  });
}

/** Counts the roots that arrive by their request's id and keeps nothing else: the traces come to some 300 MB. */
async function startCollector(): Promise<Collector> {
  const arrivals = new Map<string, number>();
  let bodies = 0;
  const url = await serve((request, body, response) => {
    const text = (request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body).toString();
    for (const [, id = ""] of text.matchAll(/"gateway\.request\.id","value":\{"stringValue":"([^"]+)"/g))
      arrivals.set(id, (arrivals.get(id) ?? 0) + 1);
    const isMetrics = request.url?.endsWith("/metrics") ?? false;
    if (!isMetrics && bodies++ % JUDGED_OF === 0) judged.push({ text, json: JSON.parse(text) });
    response.writeHead(200, { "content-type": "application/json" }).end("{}");
  });
  return { ...url, arrivals };
}

/** The scripted upstream remembers each request; this one nothing. */
function startUpstream(): Promise<{ readonly url: string; close(): void }> {
  const head = { id: "c", object: "chat.completion", created: 1_760_000_000, model: "sound" };
  const usage = { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 };
  const message = { role: "assistant", content: "Hello there." };
  const whole = JSON.stringify({ ...head, choices: [{ index: 0, message, finish_reason: "stop" }], usage });
  const events = [
    { choices: [{ index: 0, delta: { role: "assistant", content: "Hello " }, finish_reason: null }] },
    { choices: [{ index: 0, delta: { content: "there." }, finish_reason: "stop" }] },
    { choices: [], usage },
  ].map((event) => `data: ${JSON.stringify({ ...head, ...event })}\n\n`);
  return serve((_, body, response) => {
    const text = body.toString();
    if (text.includes('"model":"failing"')) response.writeHead(500).end();
    else if (text.includes('"model":"refusing"'))
      response.writeHead(422, { "content-type": "application/json" }).end('{"error":{"message":"no"}}');
    else if (text.includes('"stream":true')) {
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (const event of events) response.write(event);
      response.end("data: [DONE]\n\n");
    } else response.writeHead(200, { "content-type": "application/json" }).end(whole);
  });
}

async function serve(
  answer: (request: IncomingMessage, body: Buffer, response: ServerResponse) => void,
): Promise<{ readonly url: string; close(): void }> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => answer(request, Buffer.concat(chunks), response));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // A TCP server that listens has an AddressInfo (Node's types allow a pipe name or null as well).
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
