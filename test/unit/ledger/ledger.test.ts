// Whatever becomes of a request, all who keep count say one number: the vendor's bill, the attempts' spans, the root span, the
// response's header, the trace list, the metrics, the tenant's ledger and its usage. What no vendor has said is an estimate, and marked as one.
import fc, { type Arbitrary } from "fast-check";
import { describe, expect, it } from "vitest";
import { deathCases, objectCases, quietCases, worstCases } from "./cases.ts";
import { faultsOf } from "./faults.ts";
import { type Case, play } from "./world.ts";

/** Worlds, of four requests on average: more than ten thousand requests in all. */
const RUNS = Number(process.env["LEDGER_RUNS"] ?? 2600);
const MIN_REQUESTS_OF_WORLD = 3.85;
const TIMEOUT_MS = 300_000;

/** Plays a share of all worlds and returns of how many requests each was, on average. */
async function playAll(cases: Arbitrary<Case>, share: number): Promise<number> {
  const numRuns = Math.ceil(share * RUNS);
  let requests = 0;
  const property = fc.asyncProperty(cases, async (given) => {
    const counts = await play(given);
    requests += counts.requests.length + counts.died.length;
    expect(faultsOf(given, counts)).toEqual([]);
  });
  await fc.assert(property, { numRuns });
  return requests / numRuns;
}

describe("the ledger", { timeout: TIMEOUT_MS }, () => {
  it("is the vendor's bill, the spans, the headers, the trace list and the metrics, whatever becomes of a request", async () => {
    expect(await playAll(quietCases, 0.4)).toBeGreaterThan(MIN_REQUESTS_OF_WORLD);
  });

  it("is so too where its object restarts, sleeps or is out of reach", async () => {
    expect(await playAll(objectCases, 0.3)).toBeGreaterThan(MIN_REQUESTS_OF_WORLD);
  });

  it("holds of a request that dies with its isolate what was told, or what was reserved", async () => {
    expect(await playAll(deathCases, 0.15)).toBeGreaterThan(MIN_REQUESTS_OF_WORLD);
  });

  it("has one request, and its cost, where the slot that it gave back for a Retry-After could not be reported", async () => {
    const given: Case = {
      requests: [
        {
          wire: "chat",
          stream: false,
          providers: ["openai"],
          startAfterMs: 0,
          leavesAfterMs: undefined,
          hedgeAfterMs: undefined,
          maxAttempts: 2,
          firstByteMs: 200,
        },
      ],
      fates: [
        { kind: "refused", afterMs: 0, status: 529, retryAfterMs: 2000 },
        { kind: "answer", afterMs: 0, paceMs: 0, hasUsage: true },
      ],
      outages: [{ atMs: 2, forMs: 5 }],
      restarts: [],
      deaths: [],
      sleepsAfterMs: undefined,
      hasBudget: true,
    };
    const counts = await play(given);
    expect(counts.object.abandoned).toEqual([]);
    expect(faultsOf(given, counts)).toEqual([]);
  });

  it("holds no more and no less where object and isolate end", async () => {
    expect(await playAll(worstCases, 0.15)).toBeGreaterThan(MIN_REQUESTS_OF_WORLD);
  });
});
