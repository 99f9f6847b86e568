// Whatever becomes of a request, all who keep count say one number: the vendor's bill, the attempts' spans, the root span, the
// response's header, the trace list, the metrics, the tenant's ledger and its usage. What no vendor has said is an estimate, and marked as one.
import fc, { type Arbitrary } from "fast-check";
import { describe, expect, it } from "vitest";
import { deathCases, objectCases, quietCases, worstCases } from "./cases.ts";
import { faultsOf } from "./faults.ts";
import { type Case, EMBEDDING_MODEL, play, type RequestCase } from "./world.ts";

/**
 * Worlds, of four requests on average. The suite plays a share of them; `HEADGATE_LEDGER_CASES=10000` before a release, or where
 * something that counts money was changed.
 */
const CASES = Number(process.env["HEADGATE_LEDGER_CASES"] ?? 500);
const TIMEOUT_MS = 1_800_000;

interface Coverage {
  /** On average over the worlds. */
  readonly requestsOfWorld: number;
  /** Of all requests, which share paid for an embedding, and which got its answer by it. */
  readonly embeddedShare: number;
  readonly hitShare: number;
}

const ENOUGH = { requestsOfWorld: 3.85, embeddedShare: 0.2 };

/** Plays a share of all worlds. */
async function playAll(cases: Arbitrary<Case>, share: number): Promise<Coverage> {
  const numRuns = Math.ceil(share * CASES);
  let [requests, embedded, hits] = [0, 0, 0];
  const property = fc.asyncProperty(cases, async (given) => {
    const counts = await play(given);
    requests += counts.requests.length + counts.died.length;
    embedded += counts.calls.filter(({ model }) => model === EMBEDDING_MODEL).length;
    hits += counts.requests.filter(
      ({ trace: { root } }) =>
        root.attributes["gateway.cache.kind"] === "semantic" &&
        root.attributes["gateway.outcome"] === "cache_hit",
    ).length;
    expect(faultsOf(given, counts)).toEqual([]);
  });
  await fc.assert(property, { numRuns });
  return {
    requestsOfWorld: requests / numRuns,
    embeddedShare: embedded / requests,
    hitShare: hits / requests,
  };
}

/** Whose shares are too small to have tried what the test is about. */
function tooFew(found: Coverage): readonly string[] {
  return [
    ...(found.requestsOfWorld < ENOUGH.requestsOfWorld ? ["requests"] : []),
    ...(found.embeddedShare < ENOUGH.embeddedShare ? ["embeddings"] : []),
  ];
}

describe("the ledger", { timeout: TIMEOUT_MS }, () => {
  it("is the vendor's bill, the spans, the headers, the trace list and the metrics, whatever becomes of a request", async () => {
    const found = await playAll(quietCases, 0.4);
    expect(tooFew(found)).toEqual([]);
    expect(found.hitShare).toBeGreaterThan(0);
  });

  it("is so too where its object restarts, sleeps or is out of reach", async () => {
    expect(tooFew(await playAll(objectCases, 0.3))).toEqual([]);
  });

  it("holds of a request that dies with its isolate what was told, or what was reserved", async () => {
    expect(tooFew(await playAll(deathCases, 0.15))).toEqual([]);
  });

  it("has one request, and its cost, where the slot that it gave back for a Retry-After could not be reported", async () => {
    const given: Case = {
      requests: [
        {
          wire: "chat",
          prompt: 0,
          isSemantic: false,
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
      embeddingFates: [],
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

  it("has nothing of a slot that was given back for a Retry-After, where its object restarts before it has saved that", async () => {
    const request: RequestCase = {
      wire: "chat",
      prompt: 0,
      isSemantic: false,
      stream: false,
      providers: ["openai", "openai"],
      startAfterMs: 0,
      leavesAfterMs: undefined,
      hedgeAfterMs: undefined,
      maxAttempts: 2,
      firstByteMs: 2000,
    };
    const given: Case = {
      requests: [request, { ...request, providers: ["openai"], maxAttempts: 1 }],
      fates: [{ kind: "refused", afterMs: 900, status: 500, retryAfterMs: 2000 }],
      embeddingFates: [],
      outages: [{ atMs: 1404, forMs: 500 }],
      restarts: [4707],
      deaths: [],
      sleepsAfterMs: undefined,
      hasBudget: true,
    };
    expect(faultsOf(given, await play(given))).toEqual([]);
  });

  it("holds no more and no less where object and isolate end", async () => {
    expect(tooFew(await playAll(worstCases, 0.15))).toEqual([]);
  });
});
