// Collectors that are sick add nothing to a client's time, measured against a gateway whose collectors are well. Runs alone, since it
// compares milliseconds.
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { quantile } from "../../bench/reports/statistics.ts";
import { startScriptedUpstream, type ScriptedUpstream } from "../../support/servers/scripted-upstream.ts";
import {
  arrivalDelaysMs,
  arrivals,
  createOutageSetup,
  PROMPT_ARRIVAL_MS,
  sendRequest,
  sumsOf,
  tenantWith,
  type TimedAnswer,
} from "./outage-setup.ts";

const TIMEOUT_MS = 120_000;

let upstream: ScriptedUpstream;
const setup = createOutageSetup();
beforeAll(async () => {
  upstream = await startScriptedUpstream();
});
afterEach(() => setup.stop());
afterAll(() => upstream.close());

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
      setup.startReceiver(),
      setup.startReceiver(),
      setup.startReceiver(),
      setup.startReceiver(),
    ]);
    dead.behave(behaviour);
    const [sick, sound] = await Promise.all([setup.startGateway(dead.url), setup.startGateway(well.url)]);
    const [tenantOfSick, tenantOfSound] = await Promise.all([
      tenantWith(sick, upstream, { dead: dead.url, own: ownOfDead.url }),
      tenantWith(sound, upstream, { dead: well.url, own: ownOfWell.url }),
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
