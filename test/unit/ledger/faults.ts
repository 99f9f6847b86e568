// Whether all who keep count of a played case say one number: the vendor's bill, the attempts' spans, the root span, the response's
// header, the trace list, the metrics and the tenant's ledger; and what the ledger holds of requests that died with their isolate.
import { sampleTrace } from "../../../src/telemetry/metrics/sample-trace.ts";
import { isAnswerAttempt, summarize } from "../../../src/telemetry/trace/summary.ts";
import { formatTraceparent } from "../../../src/telemetry/trace/traceparent.ts";
import type { FinishedSpan, FinishedTrace } from "../../../src/telemetry/trace/trace.ts";
import { USAGE_SUMS, type UsageSum } from "../../../src/limits/usage/usage-cells.ts";
import type { VendorCall } from "./vendor.ts";
import type { Told } from "./queue-object.ts";
import { type Asked, type Case, type Counts, KEY_ID, type Played, PRICE } from "./world.ts";

const MICRO = 1_000_000;
const CHARS_PER_TOKEN = 4;
/** A connection that fails later than this was not refused: src/pipeline/attempts/bill.ts. */
const UNREACHED_MS = 1000;
/** A second, and the call's way. */
const REPORTED_MS = 1100;
const costOf = ({ attributes }: FinishedSpan): number | undefined => {
  const usd = attributes["gateway.attempt.cost_usd"];
  return usd === undefined ? undefined : Math.round(Number(usd) * MICRO);
};

/** Sums of fractions of a micro-dollar. */
const NOISE_MICRO_USD = 0.01;

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
  const check = (name: string, found: number, expected: number): void => {
    if (found !== expected) faults.push(`${name}: ${found}, not ${expected}`);
  };
  check("root's cost", rootCostOf(trace), sum);
  const answering = attempts.filter(isAnswerAttempt);
  for (const tokens of ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"] as const) {
    const ofAttempts = answering.reduce((total, span) => total + Number(span.attributes[tokens] ?? 0), 0);
    check(`root's ${tokens}`, Number(attributes[tokens] ?? 0), ofAttempts);
  }
  const counted = trace.spans.filter(
    ({ name, parentSpanId }) => name === "gateway.usage.count" && parentSpanId === trace.root.spanId,
  );
  if (answering.some((span) => costOf(span) !== undefined) && counted.length !== 1)
    faults.push(`${counted.length} spans count the usage`);
  for (const span of counted)
    check("counted cost", Math.round(Number(span.attributes["gateway.cost.usd"] ?? 0) * MICRO), sum);
  const isEstimate = ({ attributes: { "gateway.usage.source": source } }: FinishedSpan): boolean =>
    source === "estimate";
  if (isEstimate(trace.root) !== answering.some(isEstimate))
    faults.push(`the root's usage is ${String(attributes["gateway.usage.source"])}`);
  if (costs.length > 0 && (attributes["gateway.cost.basis"] === "estimate") !== attempts.some(isEstimate))
    faults.push(`the root's cost rests on ${String(attributes["gateway.cost.basis"])}`);
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

/** What is wrong with a played case; empty where all counts agree. */
export function faultsOf(
  given: Case,
  { requests, died, calls, object, spends, ...counts }: Counts,
): readonly string[] {
  const faults = requests.flatMap((request) => faultsOfRequest(request, calls));
  const living = requests.filter(({ diedAt }) => diedAt === undefined);
  const dead = accountOfDead(
    given,
    [...died, ...requests.filter(({ diedAt }) => diedAt !== undefined)],
    object,
  );
  const spent = accountOfExpenses(living, { object, spends });
  faults.push(...dead.faults, ...faultsOfUsage(given, { requests, died, ...counts }));
  for (const { requestId, admission, trace } of requests) {
    // Its last settlement completes what it has told.
    if (!object.told.has(admission?.requestId ?? requestId)) continue;
    const told = toldOf(requestId, object).reduce((total, { microUsd }) => total + microUsd, 0);
    const sum = told + (spends.get(requestId) ?? 0);
    if (Math.abs(sum - rootCostOf(trace)) > NOISE_MICRO_USD)
      faults.push(`${requestId}: told ${sum}, not ${rootCostOf(trace)}`);
  }
  const sum = living.reduce((total, { trace }) => total + rootCostOf(trace), 0);
  const { ledgerMicroUsd, openLeases, reservedMicroUsd } = counts;
  const unreported = object.unreportedMicroUsd();
  if (unreported > 0 && given.deaths.length === 0)
    faults.push(`${unreported} booked for leases that were returned`);
  const [least, most] = [
    sum + unreported + dead.leastMicroUsd + spent.leastMicroUsd,
    sum + unreported + dead.mostMicroUsd + spent.mostMicroUsd,
  ];
  if (ledgerMicroUsd < least || ledgerMicroUsd > most)
    faults.push(`ledger: ${ledgerMicroUsd}, not ${least === most ? least : `${least} to ${most}`}`);
  if (openLeases > 0) faults.push(`${openLeases} leases are still open`);
  if (reservedMicroUsd !== 0) faults.push(`${reservedMicroUsd} micro-dollars are still reserved`);
  const spans = new Set(requests.flatMap(({ trace }) => trace.spans.map(formatTraceparent)));
  const unseen = calls.filter(
    ({ traceparent }) =>
      !spans.has(traceparent) && !died.some(({ traceId }) => traceparent.includes(traceId)),
  ).length;
  if (unseen > 0) faults.push(`${unseen} calls have no span`);
  return faults;
}

/** Usage is the ledger, whatever becomes of the object; and the requests, where no isolate dies. */
function faultsOfUsage(
  { deaths }: Case,
  { requests, died, usage, ledgerMicroUsd }: Pick<Counts, "requests" | "died" | "usage" | "ledgerMicroUsd">,
): readonly string[] {
  const faults: string[] = [];
  const check = (name: string, found: number, expected: number): void => {
    if (found !== expected) faults.push(`usage's ${name}: ${found}, not ${expected}`);
  };
  const sumBy = (dimension: string, sum: UsageSum): number =>
    [...usage(dimension).values()].reduce((all, sums) => all + (sums[USAGE_SUMS.indexOf(sum)] ?? 0), 0);
  for (const dimension of ["total", "main", "key", "provider", "model", "route"])
    check(`cost by ${dimension}`, Math.round(sumBy(dimension, "costUsd")), ledgerMicroUsd);
  const keys = [...usage("key").keys()];
  if (keys.some((key) => key !== KEY_ID)) faults.push(`usage has the keys ${keys.join()}`);
  const counted = sumBy("total", "requests");
  if (counted > requests.length + died.length) faults.push(`usage has ${counted} requests`);
  if (deaths.length > 0) return faults;
  check("requests", counted, requests.length);
  const sumOf = (read: (root: FinishedSpan) => unknown): number =>
    requests.reduce((all, { trace }) => all + Number(read(trace.root) ?? 0), 0);
  const attempts = requests.flatMap(({ trace }) => trace.spans.filter(isAttempt));
  const tokensOf = (name: "gen_ai.usage.input_tokens" | "gen_ai.usage.output_tokens"): number =>
    attempts.reduce((all, { attributes }) => all + Number(attributes[name] ?? 0), 0);
  check("input tokens", sumBy("total", "inputTokens"), tokensOf("gen_ai.usage.input_tokens"));
  check("output tokens", sumBy("total", "outputTokens"), tokensOf("gen_ai.usage.output_tokens"));
  const hasOutcome =
    (outcomes: readonly string[]) =>
    (root: FinishedSpan): boolean =>
      outcomes.includes(String(root.attributes["gateway.outcome"]));
  check("errors", sumBy("total", "errors"), sumOf(hasOutcome(["upstream_error", "gateway_error"])));
  check("refusals", sumBy("total", "refused"), sumOf(hasOutcome(["rejected"])));
  for (const { trace } of requests)
    if (trace.root.attributes["gateway.outcome"] === undefined) faults.push("a request has no outcome");
  return faults;
}

/** What each of a request's admissions has told: one that returned its slot for a pause is admitted again. */
function toldOf(requestId: string, { told }: Counts["object"]): readonly Told[] {
  return [...told].filter(([id]) => id === requestId || id.startsWith(`${requestId}.`)).map(([, one]) => one);
}

/** What the ledger holds of the dead that they spent without a lease: all that reached it, less what the living spent. */
function accountOfExpenses(
  living: readonly Asked[],
  { object, spends }: Pick<Counts, "object" | "spends">,
): Omit<AccountOfDead, "faults"> {
  const sumOf = (costs: readonly number[]): number => costs.reduce((total, cost) => total + cost, 0);
  const isForgotten = ({ fate }: Told): boolean => fate === "forgotten";
  const told = [...object.expenses.values()];
  const certain = sumOf(told.filter((one) => !isForgotten(one)).map(({ microUsd }) => microUsd));
  const ofLiving = sumOf(living.map(({ requestId }) => spends.get(requestId) ?? 0));
  const leastMicroUsd = Math.max(0, Math.round(certain - ofLiving));
  const uncertain = sumOf(told.filter(isForgotten).map(({ microUsd }) => microUsd));
  return { leastMicroUsd, mostMicroUsd: leastMicroUsd + uncertain };
}

interface AccountOfDead {
  readonly faults: readonly string[];
  readonly leastMicroUsd: number;
  readonly mostMicroUsd: number;
}

/**
 * What the ledger holds of requests whose isolate died: their settlement where it had reached the object, else what the object books
 * when the lease runs out (src/docs/queue.md). Uncertain is only what the object itself had not saved when it ended after that.
 */
function accountOfDead(given: Case, dead: readonly Asked[], object: Counts["object"]): AccountOfDead {
  const faults: string[] = [];
  let leastMicroUsd = 0;
  let uncertain = 0;
  for (const one of dead) {
    const told = object.told.get(one.admission?.requestId ?? one.requestId);
    const isCertain = told !== undefined && told.fate !== "forgotten";
    for (const { microUsd, fate } of toldOf(one.requestId, object)) {
      if (fate === "forgotten") uncertain += microUsd;
      else leastMicroUsd += microUsd;
    }
    const records = object.abandoned.filter(({ traceId }) => traceId === one.traceId);
    for (const record of records) {
      const booked = rootCostOf(record);
      leastMicroUsd += booked;
      if (booked > 0 !== given.hasBudget) faults.push(`${one.requestId}: booked ${booked}`);
      if (booked > 0 && record.root.attributes["gateway.usage.source"] !== "estimate")
        faults.push(`${one.requestId}: booked and not marked as an estimate`);
    }
    const isKnown = isCertain || (isReported(one) && isObjectWell(given));
    if (records.length > 1 || (isKnown && records.length !== (isCertain ? 0 : 1)))
      faults.push(`${one.requestId}: abandoned ${records.length} times, told ${String(told?.microUsd)}`);
  }
  return { faults, leastMicroUsd, mostMicroUsd: leastMicroUsd + uncertain };
}

/**
 * Whether the object knew of the request when its isolate died: it has no lease while it waits for a Retry-After, and one that was
 * given in advance reports its use a second later.
 */
function isReported({ admission, diedAt }: Asked): boolean {
  if (admission === undefined || diedAt === undefined) return false;
  return !admission.isPrefetched || admission.at + REPORTED_MS < diedAt;
}

function isObjectWell({ restarts, outages, sleepsAfterMs }: Case): boolean {
  return restarts.length === 0 && outages.length === 0 && sleepsAfterMs === undefined;
}

function rootCostOf({ root }: Pick<FinishedTrace, "root">): number {
  return Math.round(Number(root.attributes["gateway.cost.usd"] ?? 0) * MICRO);
}
