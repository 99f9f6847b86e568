// Whatever becomes of a request, all who keep count say one number: the vendor's bill, the attempts' spans, the root span, the
// response's header, the trace list, the metrics and the tenant's ledger. What no vendor has said is an estimate, and marked as one.
import fc, { type Arbitrary } from "fast-check";
import { describe, expect, it } from "vitest";
import { sampleTrace } from "../../../src/telemetry/metrics/sample-trace.ts";
import { summarize } from "../../../src/telemetry/trace/summary.ts";
import { formatTraceparent } from "../../../src/telemetry/trace/traceparent.ts";
import type { FinishedSpan } from "../../../src/telemetry/trace/trace.ts";
import type { Fate, VendorCall } from "./vendor.ts";
import { type Case, type Counts, play, type Played, PRICE, type RequestCase, WIRES } from "./world.ts";

const MICRO = 1_000_000;
const CHARS_PER_TOKEN = 4;
/** A connection that fails later than this was not refused: src/pipeline/attempts/bill.ts. */
const UNREACHED_MS = 1000;
/** Of one to three requests each: more than ten thousand. */
const RUNS = Number(process.env["LEDGER_RUNS"] ?? 5500);

const costOf = ({ attributes }: FinishedSpan): number | undefined => {
  const usd = attributes["gateway.attempt.cost_usd"];
  return usd === undefined ? undefined : Math.round(Number(usd) * MICRO);
};

const isAttempt = ({ attributes }: FinishedSpan): boolean =>
  attributes["gateway.attempt.number"] !== undefined && attributes["gateway.attempt.target"] !== undefined;

/** What is wrong with one attempt's bill, given what the vendor did. */
function faultsOfAttempt(span: FinishedSpan, call: VendorCall | undefined): readonly string[] {
  const { attributes } = span;
  const cost = costOf(span);
  const input = Number(attributes["gen_ai.usage.input_tokens"] ?? 0);
  const output = Number(attributes["gen_ai.usage.output_tokens"] ?? 0);
  const isEstimate = attributes["gateway.usage.source"] === "estimate";
  const name = `attempt ${String(attributes["gateway.attempt.number"])} (${call?.fate.kind ?? "not called"})`;
  const say = (what: string): readonly string[] => [
    `${name}: ${what} (cost ${cost}, ${input}+${output} tokens, estimate ${isEstimate})`,
  ];

  if (call === undefined) return cost === undefined ? [] : say("was not called and is billed");
  const { fate } = call;
  // It can't be known of a call that was stopped before its head whether it would have been refused.
  const isUnbilled =
    call.isDecided &&
    (fate.kind === "refused" || (fate.kind === "unreachable" && fate.afterMs < UNREACHED_MS));
  if (isUnbilled) return cost === undefined ? [] : say("owes nothing and is billed");
  if (cost === undefined) return say("is owed and not billed");
  if (cost !== (input * PRICE.input + output * PRICE.output) / MICRO) return say("cost is not its tokens'");

  const isExact = input === call.tokens.inputTokens && output === call.tokens.outputTokens;
  const isWhole = fate.kind === "answer" && fate.hasUsage && call.isSent && !call.isAborted;
  if (isWhole && !isExact) return say("is not the vendor's bill");
  if (isExact) return isEstimate ? say("is exact and marked as an estimate") : [];
  if (!isEstimate) return say("is no vendor's number and not marked as an estimate");
  if (input === 0) return say("lacks its prompt");
  const most = Math.ceil(call.textChars / CHARS_PER_TOKEN);
  return output > most ? say("has more output than was written") : [];
}

function faultsOfRequest({ trace, headers }: Played, calls: readonly VendorCall[]): readonly string[] {
  const attempts = trace.spans.filter(isAttempt);
  const faults = attempts.flatMap((span) =>
    faultsOfAttempt(
      span,
      calls.find(({ traceparent }) => traceparent === formatTraceparent(span)),
    ),
  );
  const { attributes } = trace.root;
  const costs = attempts.map(costOf).filter((cost) => cost !== undefined);
  const sum = costs.reduce((total, cost) => total + cost, 0);
  const root = Math.round(Number(attributes["gateway.cost.usd"] ?? 0) * MICRO);
  const check = (name: string, found: number, expected: number): void => {
    if (found !== expected) faults.push(`${name}: ${found}, not ${expected}`);
  };
  check("root's cost", root, sum);
  for (const tokens of ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"] as const) {
    const ofAttempts = attempts.reduce((total, span) => total + Number(span.attributes[tokens] ?? 0), 0);
    check(`root's ${tokens}`, Number(attributes[tokens] ?? 0), ofAttempts);
  }
  const counted = trace.spans.filter(({ name }) => name === "gateway.usage.count");
  if (costs.length > 0 && counted.length !== 1) faults.push(`${counted.length} spans count the usage`);
  for (const span of counted)
    check("counted cost", Math.round(Number(span.attributes["gateway.cost.usd"] ?? 0) * MICRO), sum);
  const isEstimate = attempts.some((span) => span.attributes["gateway.usage.source"] === "estimate");
  if (costs.length > 0 && (attributes["gateway.usage.source"] === "estimate") !== isEstimate)
    faults.push(`the root's usage is ${String(attributes["gateway.usage.source"])}`);
  const header = headers?.["x-headgate-cost-usd"];
  if (header !== undefined) check("header", Math.round(Number(header) * MICRO), sum);
  const row = summarize(trace);
  check("trace list's cost", Math.round((row.costUsd ?? 0) * MICRO), sum);
  let metered = 0;
  const measure: Parameters<typeof sampleTrace>[1] = (instrument, _labels, value, times = 1) => {
    if (instrument === "gateway.cost") metered += value * times;
  };
  sampleTrace(trace, measure, () => true);
  check("metered cost", Math.round(metered), sum);
  return faults;
}

function faultsOf({ requests, calls, ledgerMicroUsd, openLeases }: Counts): readonly string[] {
  const faults = requests.flatMap((request) => faultsOfRequest(request, calls));
  const sum = requests.reduce(
    (total, { trace }) => total + Math.round(Number(trace.root.attributes["gateway.cost.usd"] ?? 0) * MICRO),
    0,
  );
  if (ledgerMicroUsd !== sum) faults.push(`ledger: ${ledgerMicroUsd}, not ${sum}`);
  if (openLeases > 0) faults.push(`${openLeases} leases are still open`);
  const spans = new Set(requests.flatMap(({ trace }) => trace.spans.map(formatTraceparent)));
  const unseen = calls.filter(({ traceparent }) => !spans.has(traceparent)).length;
  if (unseen > 0) faults.push(`${unseen} calls have no span`);
  return faults;
}

/** Some add up with a hedge's wait, so that both calls answer at the same moment. */
const waits = fc.constantFrom(0, 1, 40, 50, 300, 440, 900, 1500, 4000);
const fate: Arbitrary<Fate> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("answer" as const),
      afterMs: waits,
      paceMs: fc.constantFrom(0, 20, 700),
      hasUsage: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("cut" as const),
      afterMs: waits,
      paceMs: fc.constantFrom(0, 20, 700),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      by: fc.constantFrom("fault" as const, "end" as const, "silence" as const),
    }),
  },
  fc.constant<Fate>({ kind: "hang" }),
  {
    weight: 2,
    arbitrary: fc.record(
      {
        kind: fc.constant("refused" as const),
        afterMs: waits,
        status: fc.constantFrom(400, 401, 408, 429, 500, 503, 529),
        retryAfterMs: fc.constantFrom(10, 2000),
      },
      { requiredKeys: ["kind", "afterMs", "status"] },
    ),
  },
  fc.record({ kind: fc.constant("unreachable" as const), afterMs: waits }),
  fc.record({ kind: fc.constant("malformed" as const), afterMs: waits }),
);

const request: Arbitrary<RequestCase> = fc
  .record({
    wire: fc.constantFrom(...WIRES),
    stream: fc.boolean(),
    providers: fc.array(fc.constantFrom("openai" as const, "anthropic" as const, "gemini" as const), {
      minLength: 1,
      maxLength: 3,
    }),
    startAfterMs: fc.constantFrom(0, 0, 500, 3000),
    leavesAfterMs: fc.option(fc.integer({ min: 0, max: 8000 }), { nil: undefined, freq: 2 }),
    hedgeAfterMs: fc.option(fc.constantFrom(10, 400, 2000), { nil: undefined, freq: 2 }),
    maxAttempts: fc.integer({ min: 1, max: 3 }),
    firstByteMs: fc.constantFrom(200, 2000, 10_000),
  })
  .map((asked) =>
    asked.wire === "embeddings"
      ? { ...asked, stream: false, providers: asked.providers.map(() => "openai" as const) }
      : asked,
  );

const casesWith = (restarts: Arbitrary<readonly number[]>): Arbitrary<Case> =>
  fc.record({
    requests: fc.array(request, { minLength: 1, maxLength: 3 }),
    fates: fc.array(fate, { minLength: 1, maxLength: 6 }),
    restarts,
  });

/** Some thirty seconds of a free core. */
const TIMEOUT_MS = 300_000;

describe("the ledger", { timeout: TIMEOUT_MS }, () => {
  it("is the vendor's bill, the spans, the headers, the trace list and the metrics, whatever becomes of a request", async () => {
    let requests = 0;
    await fc.assert(
      fc.asyncProperty(casesWith(fc.constant([])), async (given) => {
        requests += given.requests.length;
        expect(faultsOf(await play(given))).toEqual([]);
      }),
      { numRuns: RUNS },
    );
    expect(requests).toBeGreaterThan(RUNS);
  });
});
