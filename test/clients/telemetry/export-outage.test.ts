// Collectors that are down for long, or dead, under traffic: every trace arrives once when they are back, sound destinations get
// theirs at once, and clients don't feel it, which is measured against a gateway whose collectors are well. Single faults are in
// export.test.ts.
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { quantile } from "../../bench/statistics.ts";
import { post } from "../../support/clients/chat-client.ts";
import { startTcpProxy, type TcpProxy } from "../../support/servers/tcp-proxy.ts";
import { startGateway, type Gateway } from "../../support/servers/gateway-process.ts";
import { startOtlpReceiver, type OtlpReceiver } from "../../support/servers/otlp-receiver.ts";
import { startScriptedUpstream, type ScriptedUpstream } from "../../support/servers/scripted-upstream.ts";
import { makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";

const OUTAGE_MS = 20_000;
const ASK_EVERY_MS = 250;
/** The outbox may be in a pause of 32 s by then. */
const RECOVERY_MS = 60_000;
const TIMEOUT_MS = 120_000;
/** A request waits 50 ms for others to share its export; the rest is for a busy machine. */
const PROMPT_ARRIVAL_MS = 3000;

let upstream: ScriptedUpstream;
const stops: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  upstream = await startScriptedUpstream();
});
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
});
afterAll(() => upstream.close());

async function startReceiver(): Promise<OtlpReceiver> {
  const receiver = await startOtlpReceiver();
  stops.push(() => receiver.close());
  return receiver;
}

async function start(operatorUrl: string): Promise<Gateway> {
  const gateway = await startGateway({ vars: { OTLP_ENDPOINT: operatorUrl } });
  stops.push(() => gateway.stop());
  return gateway;
}

/** A tenant whose upstream answers at once. */
function tenantWith(gateway: Gateway, endpoints: Readonly<Record<string, string>>): Promise<TestTenant> {
  const destinations = Object.entries(endpoints).map(([name, endpoint]) => ({ name, endpoint }));
  return makeTenant(gateway, { upstreamUrl: upstream.url, record: { tracing: { destinations } } });
}

type TimedAnswer = { readonly traceId: string; readonly ms: number; readonly answeredAt: number };

async function sendRequest(gateway: Gateway, { key }: TestTenant): Promise<TimedAnswer> {
  const startedAt = performance.now();
  const response = await post(gateway.url, key, { model: "up/any" });
  await response.text();
  expect(response.status).toBe(200);
  const ms = performance.now() - startedAt;
  return { traceId: response.headers.get("x-trace-id") ?? "", ms, answeredAt: Date.now() };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** In how many accepted exports each trace stood. */
function arrivals({ exports }: OtlpReceiver, answers: readonly TimedAnswer[]): readonly number[] {
  const accepted = exports.filter(({ status = 0 }) => status >= 200 && status < 300);
  return answers.map(({ traceId }) => accepted.filter(({ text }) => text.includes(traceId)).length);
}

/** How long after its answer each trace was there; Infinity for one that was not. */
function arrivalDelaysMs({ exports }: OtlpReceiver, answers: readonly TimedAnswer[]): readonly number[] {
  return answers.map(({ traceId, answeredAt }) => {
    const arrived = exports.find(({ text }) => text.includes(traceId));
    return arrived === undefined ? Number.POSITIVE_INFINITY : arrived.receivedAt - answeredAt;
  });
}

type Sums = {
  readonly destination: string;
  readonly enqueued: number;
  readonly delivered: number;
  readonly pending: number;
  readonly dropped: Readonly<Record<string, number>>;
};

async function sumsOf(gateway: Gateway, path: string, name: string): Promise<Sums | undefined> {
  const { items } = await (await gateway.admin("GET", path)).json<{ readonly items: readonly Sums[] }>();
  for (const { enqueued, delivered, pending, dropped } of items)
    expect(delivered + pending + Object.values(dropped).reduce((sum, count) => sum + count, 0)).toBe(
      enqueued,
    );
  return items.find(({ destination }) => destination === name);
}

test(
  "collectors that are down for 20 s under traffic get every trace once; a sound one got each at once",
  { timeout: TIMEOUT_MS },
  async () => {
    const [operator, own, well] = await Promise.all([startReceiver(), startReceiver(), startReceiver()]);
    const proxies: readonly TcpProxy[] = await Promise.all([
      startTcpProxy(operator.url),
      startTcpProxy(own.url),
    ]);
    stops.push(() => Promise.all(proxies.map((proxy) => proxy.close())));
    const gateway = await start(proxies[0]?.url ?? "");
    const tenant = await tenantWith(gateway, { own: proxies[1]?.url ?? "", well: well.url });
    await sendRequest(gateway, tenant);
    const expectSums = (name: string, sums: Partial<Sums>, owner = `/tenants/${tenant.id}`): Promise<void> =>
      vi.waitFor(
        async () => expect(await sumsOf(gateway, `/admin${owner}/export`, name)).toMatchObject(sums),
        { timeout: PROMPT_ARRIVAL_MS },
      );
    for (const name of ["own", "well"]) await expectSums(name, { delivered: 1, pending: 0 });
    await operator.waitUntil(() => operator.exports.length > 0);

    await Promise.all(proxies.map((proxy) => proxy.close()));
    const answers: TimedAnswer[] = [];
    const until = Date.now() + OUTAGE_MS;
    while (Date.now() < until) {
      answers.push(await sendRequest(gateway, tenant));
      await pause(ASK_EVERY_MS);
    }
    expect(arrivals(own, answers)).toEqual(answers.map(() => 0));
    await expectSums("own", { enqueued: 1 + answers.length, pending: answers.length, dropped: {} });

    await Promise.all(proxies.map((proxy) => proxy.open()));
    for (const receiver of [operator, own, well]) {
      const check = (): void => expect(arrivals(receiver, answers)).toEqual(answers.map(() => 1));
      await vi.waitFor(check, { timeout: RECOVERY_MS, interval: 250 });
    }
    const all = { enqueued: 1 + answers.length, delivered: 1 + answers.length, pending: 0, dropped: {} };
    for (const name of ["own", "well"]) await expectSums(name, all);
    expect(Math.max(...arrivalDelaysMs(well, answers))).toBeLessThan(PROMPT_ARRIVAL_MS);
    // The operator's has the making of the tenant in it as well.
    await expectSums("(operator)", { pending: 0, dropped: {} }, "");
  },
);

/** Requests to each gateway, one after the other, in turns: whatever else the machine does, it does to both. */
const TURNS = 200;
/** Far above what the two differ by here (tenths of a ms), far below any time limit of an export. */
const MAX_ADDED_MS = 5;
const MAX_ADDED_P90_MS = 20;

test.each([
  ["hangs", { hang: true }],
  ["is slow", { delayMs: 4000 }],
  ["breaks connections", { reset: true }],
  ["is busy", { status: 503, retryAfter: "30" }],
  ["refuses all", { status: 400 }],
] as const)(
  "a collector that %s adds nothing to a client's time, nor to another destination's",
  { timeout: TIMEOUT_MS },
  async (_, behaviour) => {
    const [dead, well, ownOfDead, ownOfWell] = await Promise.all([
      startReceiver(),
      startReceiver(),
      startReceiver(),
      startReceiver(),
    ]);
    dead.behave(behaviour);
    const [sick, sound] = await Promise.all([start(dead.url), start(well.url)]);
    const [tenantOfSick, tenantOfSound] = await Promise.all([
      tenantWith(sick, { dead: dead.url, own: ownOfDead.url }),
      tenantWith(sound, { dead: well.url, own: ownOfWell.url }),
    ]);
    for (let warmUp = 0; warmUp < 20; warmUp += 1)
      await Promise.all([sendRequest(sick, tenantOfSick), sendRequest(sound, tenantOfSound)]);

    const answers: { readonly sick: TimedAnswer[]; readonly sound: TimedAnswer[] } = { sick: [], sound: [] };
    for (let turn = 0; turn < TURNS; turn += 1) {
      const first = turn % 2 === 0;
      if (first) answers.sick.push(await sendRequest(sick, tenantOfSick));
      answers.sound.push(await sendRequest(sound, tenantOfSound));
      if (!first) answers.sick.push(await sendRequest(sick, tenantOfSick));
    }
    const share = (of: readonly TimedAnswer[], q: number): number =>
      quantile(
        of.map(({ ms }) => ms).toSorted((a, b) => a - b),
        q,
      );
    const added = (q: number): number => share(answers.sick, q) - share(answers.sound, q);
    expect(added(0.5)).toBeLessThan(MAX_ADDED_MS);
    expect(added(0.9)).toBeLessThan(MAX_ADDED_P90_MS);

    for (const { traceId } of answers.sick) await ownOfDead.waitForTrace(traceId);
    expect(Math.max(...arrivalDelaysMs(ownOfDead, answers.sick))).toBeLessThan(PROMPT_ARRIVAL_MS);
    expect(arrivals(ownOfDead, answers.sick)).toEqual(answers.sick.map(() => 1));
    const sums = await sumsOf(sick, `/admin/tenants/${tenantOfSick.id}/export`, "dead");
    expect(sums?.enqueued).toBe(answers.sick.length + 20);
  },
);
