// Collectors that are down for long under traffic: every trace arrives once when they are back, and sound destinations get theirs at
// once. Single faults are in export.test.ts; what clients notice of sick collectors is in export-overhead.test.ts.
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { startScriptedUpstream, type ScriptedUpstream } from "../../support/servers/scripted-upstream.ts";
import { startTcpProxy, type TcpProxy } from "../../support/servers/tcp-proxy.ts";
import {
  arrivalDelaysMs,
  arrivals,
  createOutageSetup,
  PROMPT_ARRIVAL_MS,
  sendRequest,
  sumsOf,
  tenantWith,
  type ExportSums,
  type TimedAnswer,
} from "./outage-setup.ts";

const OUTAGE_MS = 20_000;
const ASK_EVERY_MS = 250;
/** The outbox may be in a pause of 32 s by then. */
const RECOVERY_MS = 60_000;
const TIMEOUT_MS = 120_000;

let upstream: ScriptedUpstream;
const setup = createOutageSetup();
beforeAll(async () => {
  upstream = await startScriptedUpstream();
});
afterEach(() => setup.stop());
afterAll(() => upstream.close());

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test(
  "collectors that are down for 20 s under traffic get every trace once; a sound one got each at once",
  { timeout: TIMEOUT_MS },
  async () => {
    const [operator, own, well] = await Promise.all([
      setup.startReceiver(),
      setup.startReceiver(),
      setup.startReceiver(),
    ]);
    const proxies: readonly TcpProxy[] = await Promise.all([
      startTcpProxy(operator.url),
      startTcpProxy(own.url),
    ]);
    setup.onStop(() => Promise.all(proxies.map((proxy) => proxy.close())));
    const gateway = await setup.startGateway(proxies[0]?.url ?? "");
    const tenant = await tenantWith(gateway, upstream, { own: proxies[1]?.url ?? "", well: well.url });
    await sendRequest(gateway, tenant);
    const expectSums = (
      name: string,
      sums: Partial<ExportSums>,
      owner = `/tenants/${tenant.id}`,
    ): Promise<void> =>
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
