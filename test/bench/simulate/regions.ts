// One limit, five regions: a single object far from most callers against a root that leases shares of the limit to a child in
// each region every second (src/docs/queue.md, More than one region). A model in steps of 10 ms, no code of the gateway: it asks whether
// building it would pay. What follows from it is src/decisions/024-one-object.md.
import { createRandom } from "../../support/fakes/virtual-time.ts";

const STEP_MS = 10;
const PERIOD_MS = 1000;
const RUN_MS = 120_000;
/** From a caller to an object in its own region, there and back. */
const NEAR_MS = 8;

/** Round trips to the single object, or the root, in eastern North America: typical of Cloudflare's backbone. */
export const REGIONS = [
  { name: "enam", rttMs: 8, share: 0.35 },
  { name: "wnam", rttMs: 65, share: 0.2 },
  { name: "weur", rttMs: 85, share: 0.25 },
  { name: "sam", rttMs: 125, share: 0.05 },
  { name: "apac", rttMs: 210, share: 0.15 },
] as const;

export interface Scenario {
  readonly name: string;
  /** Mean arrivals a second, all regions, as a share of the limit. */
  readonly load: number;
  /** One region at a time gets four times its share for ten seconds. */
  readonly hasBursts: boolean;
  /** This region can't reach the root for thirty seconds in the middle. */
  readonly cutOff?: (typeof REGIONS)[number]["name"];
}

export interface Outcome {
  /** Admitted of what the limit and the demand would have allowed. */
  readonly utilisation: number;
  /** The most over the limit in any second, in percent of it. */
  readonly overPercent: number;
  /** From arrival to admission, round trips included. */
  readonly meanMs: number;
  readonly p95Ms: number;
  /** Of all requests those that were not let in within ten seconds. */
  readonly lostPercent: number;
}

const LIMIT_PER_SECOND = 200;
const GIVE_UP_MS = 10_000;
/** What the root keeps aside for a child it can't reach, so that the child may go on with it: part of an equal share. */
const FLOOR = 0.5;

interface RegionState {
  readonly rttMs: number;
  readonly share: number;
  readonly name: string;
  /** Arrival times of those who wait. */
  readonly waiting: number[];
  /** Admissions that may still be given out, and until when. */
  tokens: number;
  arrivedInPeriod: number;
}

interface Ledger {
  readonly waits: number[];
  readonly perSecond: number[];
  arrived: number;
  lost: number;
}

export function simulateRegions(scenario: Scenario, design: "single" | "hierarchy"): Outcome {
  const random = createRandom(11);
  const regions: RegionState[] = REGIONS.map((region) => ({
    ...region,
    waiting: [],
    tokens: 0,
    arrivedInPeriod: 0,
  }));
  const ledger: Ledger = { waits: [], perSecond: [], arrived: 0, lost: 0 };
  let demandLeft = 0;
  let possible = 0;
  let bucket = 0;

  function isCut({ name }: RegionState, now: number): boolean {
    return name === scenario.cutOff && now >= RUN_MS / 3 && now < RUN_MS / 3 + 30_000;
  }

  function loadOf(region: RegionState, now: number): number {
    const burstIndex = Math.floor(now / 10_000) % (2 * REGIONS.length);
    const isBurst = scenario.hasBursts && REGIONS[burstIndex]?.name === region.name;
    return scenario.load * LIMIT_PER_SECOND * region.share * (isBurst ? 4 : 1);
  }

  function arrive(now: number): void {
    for (const region of regions) {
      const mean = (loadOf(region, now) * STEP_MS) / 1000;
      // Poisson: gaps of an exponential, as many as fit.
      let used = -Math.log(1 - random());
      while (used < mean) {
        used -= Math.log(1 - random());
        region.waiting.push(now);
        region.arrivedInPeriod += 1;
        ledger.arrived += 1;
        demandLeft += 1;
      }
    }
  }

  function admit(region: RegionState, now: number, rttMs: number): void {
    const arrivedAt = region.waiting.shift() ?? now;
    ledger.waits.push(Math.max(now - arrivedAt, 0) + rttMs);
    const second = Math.floor(now / 1000);
    ledger.perSecond[second] = (ledger.perSecond[second] ?? 0) + 1;
  }

  function giveUp(region: RegionState, now: number): void {
    while ((region.waiting[0] ?? Infinity) <= now - GIVE_UP_MS) {
      region.waiting.shift();
      ledger.lost += 1;
    }
  }

  /** First come, first served over all regions that reach it; a request is heard of half a round trip after it came. */
  function stepSingle(now: number): void {
    bucket = Math.min(LIMIT_PER_SECOND / 10, bucket + (LIMIT_PER_SECOND * STEP_MS) / 1000);
    while (bucket >= 1) {
      const ready = regions.filter(
        (region) => !isCut(region, now) && (region.waiting[0] ?? Infinity) <= now - region.rttMs / 2,
      );
      const [first] = ready.toSorted((one, other) => (one.waiting[0] ?? 0) - (other.waiting[0] ?? 0));
      if (first === undefined) return;
      bucket -= 1;
      admit(first, now, first.rttMs / 2);
    }
  }

  /** Shares by demand at each period's begin, max-min fair; a child hears of its share half a round trip later. */
  function leaseShares(now: number): void {
    const floor = (FLOOR * LIMIT_PER_SECOND) / regions.length;
    let left = LIMIT_PER_SECOND;
    const open: { readonly region: RegionState; readonly wants: number }[] = [];
    for (const region of regions) {
      // One that is out of reach goes on with its floor, which no other region gets meanwhile.
      if (isCut(region, now)) {
        left -= floor;
        region.tokens = floor;
      } else {
        open.push({ region, wants: region.waiting.length + 1.2 * region.arrivedInPeriod + 1 });
      }
      region.arrivedInPeriod = 0;
    }
    open.sort((one, other) => one.wants - other.wants);
    for (const [index, { region, wants }] of open.entries()) {
      const given = Math.min(wants, left / (open.length - index));
      left -= given;
      region.tokens = given;
    }
    // What no region asked for is spread, so that a burst need not wait for the next period.
    for (const { region } of open) region.tokens += left / open.length;
  }

  function stepHierarchy(now: number): void {
    if (now % PERIOD_MS === 0) leaseShares(now);
    for (const region of regions) {
      const hasHeard = isCut(region, now) || now % PERIOD_MS >= region.rttMs / 2;
      if (!hasHeard) continue;
      while (region.tokens >= 1 && region.waiting.length > 0) {
        region.tokens -= 1;
        admit(region, now, NEAR_MS);
      }
    }
  }

  for (let now = 0; now < RUN_MS; now += STEP_MS) {
    arrive(now);
    for (const region of regions) giveUp(region, now);
    if (design === "single") stepSingle(now);
    else stepHierarchy(now);
    const could = Math.min(demandLeft, (LIMIT_PER_SECOND * STEP_MS) / 1000);
    demandLeft -= could;
    possible += could;
  }

  const sorted = ledger.waits.toSorted((one, other) => one - other);
  const most = Math.max(0, ...ledger.perSecond.map((count) => count ?? 0));
  return {
    utilisation: ledger.waits.length / possible,
    overPercent: Math.max(0, (100 * (most - LIMIT_PER_SECOND)) / LIMIT_PER_SECOND),
    meanMs: sorted.reduce((sum, ms) => sum + ms, 0) / sorted.length,
    p95Ms: sorted[Math.floor(0.95 * sorted.length)] ?? Number.NaN,
    lostPercent: (100 * ledger.lost) / ledger.arrived,
  };
}

export const SCENARIOS: readonly Scenario[] = [
  { name: "calm: 30 % of the limit", load: 0.3, hasBursts: false },
  { name: "busy: 85 %", load: 0.85, hasBursts: false },
  { name: "bursts: 60 %, one region fourfold", load: 0.6, hasBursts: true },
  { name: "overload: 150 %", load: 1.5, hasBursts: false },
  { name: "partition: 60 %, weur cut off for 30 s", load: 0.6, hasBursts: false, cutOff: "weur" },
];
