// What the tests of sick collectors share: gateways and receivers that end with their test, timed requests, and when the traces of
// those requests arrived.
import { expect } from "vitest";
import { post } from "../../support/clients/chat-client.ts";
import { makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import { startGateway, type Gateway } from "../../support/servers/gateway-process.ts";
import { startOtlpReceiver, type OtlpReceiver } from "../../support/servers/otlp-receiver.ts";
import type { ScriptedUpstream } from "../../support/servers/scripted-upstream.ts";

/** A request waits 50 ms for others to share its export; the rest is for a busy machine. */
export const PROMPT_ARRIVAL_MS = 3000;

export type TimedAnswer = { readonly traceId: string; readonly ms: number; readonly answeredAt: number };

export interface OutageSetup {
  startReceiver(): Promise<OtlpReceiver>;
  /** A gateway whose operator's traces go to this address. */
  startGateway(operatorUrl: string): Promise<Gateway>;
  onStop(stop: () => Promise<unknown>): void;
  /** Stops all that was started, the last first. */
  stop(): Promise<void>;
}

export function createOutageSetup(): OutageSetup {
  const stops: (() => Promise<unknown>)[] = [];
  return {
    async startReceiver() {
      const receiver = await startOtlpReceiver();
      stops.push(() => receiver.close());
      return receiver;
    },
    async startGateway(operatorUrl) {
      const gateway = await startGateway({ vars: { OTLP_ENDPOINT: operatorUrl } });
      stops.push(() => gateway.stop());
      return gateway;
    },
    onStop: (stop) => void stops.push(stop),
    async stop() {
      for (const stop of stops.splice(0).toReversed()) await stop();
    },
  };
}

/** A tenant with this upstream as `up`, and a trace destination for each endpoint. */
export function tenantWith(
  gateway: Gateway,
  { url: upstreamUrl }: ScriptedUpstream,
  endpoints: Readonly<Record<string, string>>,
): Promise<TestTenant> {
  const destinations = Object.entries(endpoints).map(([name, endpoint]) => ({ name, endpoint }));
  return makeTenant(gateway, { upstreamUrl, record: { tracing: { destinations } } });
}

export async function sendRequest(gateway: Gateway, { key }: TestTenant): Promise<TimedAnswer> {
  const startedAt = performance.now();
  const response = await post(gateway.url, key, { model: "up/any" });
  await response.text();
  expect(response.status).toBe(200);
  const ms = performance.now() - startedAt;
  return { traceId: response.headers.get("x-trace-id") ?? "", ms, answeredAt: Date.now() };
}

/** In how many accepted exports each trace stood. */
export function arrivals({ exports }: OtlpReceiver, answers: readonly TimedAnswer[]): readonly number[] {
  const accepted = exports.filter(({ status = 0 }) => status >= 200 && status < 300);
  return answers.map(({ traceId }) => accepted.filter(({ text }) => text.includes(traceId)).length);
}

/** How long after its answer each trace arrived; Infinity for one that did not. */
export function arrivalDelaysMs(
  { exports }: OtlpReceiver,
  answers: readonly TimedAnswer[],
): readonly number[] {
  return answers.map(({ traceId, answeredAt }) => {
    const arrived = exports.find(({ text }) => text.includes(traceId));
    return arrived === undefined ? Number.POSITIVE_INFINITY : arrived.receivedAt - answeredAt;
  });
}

export type ExportSums = {
  readonly destination: string;
  readonly enqueued: number;
  readonly delivered: number;
  readonly pending: number;
  readonly dropped: Readonly<Record<string, number>>;
};

/** A destination's counters, after a check that those of each destination add up. */
export async function sumsOf(gateway: Gateway, path: string, name: string): Promise<ExportSums | undefined> {
  const { items } = await (
    await gateway.admin("GET", path)
  ).json<{ readonly items: readonly ExportSums[] }>();
  for (const { enqueued, delivered, pending, dropped } of items)
    expect(delivered + pending + Object.values(dropped).reduce((sum, count) => sum + count, 0)).toBe(
      enqueued,
    );
  return items.find(({ destination }) => destination === name);
}
