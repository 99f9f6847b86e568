/**
 * Bills attempts, and records their sum where the request ends. An attempt whose request left the gateway owes its prompt
 * at least, whatever became of it: vendors bill what they have read.
 */

import type { Exchange } from "./exchange.ts";
import type { AttemptContext, AttemptTurn } from "./attempt-context.ts";
import { type AnswerSummary, type CountedUsage, isReadCall } from "../answers/answer-summary.ts";
import { promptTokens } from "../../pricing/estimate/request-tokens.ts";
import type { ErrorCode, GatewayError } from "../../errors.ts";
import { basisOf, type Bill, billedMicroUsd, billedUsage, knownUsd, missingOf } from "../bills.ts";
import type { BareCall } from "../ports.ts";
import type { RequestFacts } from "../request-facts.ts";
import { hasUnitPrice } from "../../pricing/media-prices.ts";
import { type MediaReport, mediaUsage } from "../../pricing/media-usage.ts";
import type { ModelPrice } from "../../pricing/price-finder.ts";
import type { MediaUnits } from "../../schema/media-units.ts";
import { costMicroUsd } from "../../pricing/cost.ts";
import type { Target } from "../../wires/upstream-wire.ts";
import { billedPrice, lookUpPrice } from "../target-price.ts";

/** Whose bill it is. */
export interface Billed {
  readonly attempts: AttemptContext;
  readonly turn: AttemptTurn;
  readonly target: Target;
}

/** Bills an attempt that answered. `isPartial`: its length says nothing of how long a whole answer gets. */
export function billAnswer(
  billed: Billed,
  answer: Pick<AnswerSummary, "model" | "media">,
  counted: CountedUsage,
  isPartial: boolean,
): Bill {
  if (!counted.isEstimate && !isPartial) {
    const { call, deps } = billed.attempts;
    const each = Math.ceil(counted.usage.outputTokens / (call.chat.params.choiceCount ?? 1));
    deps.targets.outputLengths.note(call.bundle.id, billed.turn.target.label, each);
  }
  return bill(billed, answer, counted, false);
}

/** How far a failed attempt had come. */
export interface Progress {
  /** When its request was sent, ms since the epoch; absent where it never was. */
  sentAt?: number;
  /** A response's head has come. */
  hasHead?: boolean;
}

/** Bills an attempt that failed; undefined where it owes nothing. One that had read its whole answer keeps that bill. */
export function billFailure(
  billed: Billed,
  exchange: Exchange,
  error: GatewayError,
  progress: Progress,
  isLost: boolean,
): Bill | undefined {
  const { call, deps } = billed.attempts;
  const { bills = [] } = call.facts;
  // A client that left has what it paid for.
  const isFailed = error.code !== "client_disconnected";
  const at = bills.findIndex(({ attempt }) => attempt === billed.turn.number);
  const earlier = bills[at];
  if (earlier !== undefined) return (bills[at] = { ...earlier, isLost, ...(isFailed && { isFailed }) });
  const isGenerating = GENERATING.has(exchange.kind) || (exchange.kind === "native" && isReadCall(call.chat));
  if (!isGenerating || !owesPrompt(error, progress, deps.now())) return undefined;
  // Media is made to its end, even for a client that has left: it is owed by the piece.
  const inputTokens = call.chat.media === undefined ? promptTokens(call.chat) : 0;
  return bill(billed, {}, { usage: { inputTokens, outputTokens: 0 }, isEstimate: true }, isLost, isFailed);
}

const GENERATING: ReadonlySet<Exchange["kind"]> = new Set(["chat", "embeddings", "forward"]);

/** Vendors bill none of the requests that they refuse. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set([
  "upstream_rejected",
  "upstream_auth",
  "upstream_rate_limited",
  "upstream_overloaded",
]);

/**
 * workerd tells a refused connection from one that was lost later by nothing but its time: refusals come at once, and a
 * vendor that has begun to work holds the connection.
 */
const UNREACHED_MS = 1000;

function owesPrompt({ code, details }: GatewayError, { sentAt, hasHead }: Progress, now: number): boolean {
  if (sentAt === undefined || REFUSALS.has(code) || (details.upstreamStatus ?? 0) >= 400) return false;
  return code !== "upstream_error" || hasHead === true || now - sentAt >= UNREACHED_MS;
}

function bill(
  { attempts: { call, deps }, turn, target: { account, model } }: Billed,
  { model: answered, media: report }: Pick<AnswerSummary, "model" | "media">,
  counted: CountedUsage,
  isLost: boolean,
  isFailed = false,
): Bill {
  const { media } = call.chat;
  const found = lookUpPrice(call.bundle, { accountName: account.name, model }, deps, answered, media);
  const { usage, isEstimate, isSilent } = inUnits(media, found?.price, report, counted);
  const billed = isSilent || !found ? undefined : billedPrice(found, usage, account, answered ?? model);
  const made: Bill = {
    attempt: turn.number,
    target: turn.target.label,
    usage,
    isEstimate,
    ...(counted.isRefused === true && { isCountRefused: true }),
    costMicroUsd: costMicroUsd(billed?.price, usage),
    basis: billed && found?.basis,
    missing: billed?.missing ?? [`model:${account.name}/${model}`],
    isLost,
    ...(isFailed && { isFailed }),
  };
  (call.facts.bills ??= []).push(made);
  return made;
}

/**
 * What is billed: the tokens, or the pieces of media where no tokens were reported or the price knows none. `isSilent`:
 * neither is known.
 */
function inUnits(
  media: MediaUnits | undefined,
  price: ModelPrice | undefined,
  report: MediaReport | undefined,
  counted: CountedUsage,
): CountedUsage & { readonly isSilent: boolean } {
  const hasTokens = counted.usage.inputTokens + counted.usage.outputTokens > 0;
  const hasTokenPrice = price === undefined || price.input + price.output > 0;
  if (media === undefined || (hasTokens && hasTokenPrice)) return { ...counted, isSilent: false };
  const { units, isEstimate } = mediaUsage(media, price, report);
  return {
    usage: { ...counted.usage, ...units },
    isEstimate: isEstimate || counted.isEstimate,
    isSilent: price !== undefined && !hasUnitPrice(price, media),
  };
}

/** Writes the cost onto the facts, and what it rests on: of all attempts, and of the semantic look-up's embedding. */
export function noteCost(facts: RequestFacts): void {
  const { bills = [], embeddingBills } = facts;
  const all = embeddingBills === undefined ? bills : [...bills, ...embeddingBills];
  facts.costBasis = basisOf(all);
  facts.costMissing = missingOf(all);
  const costUsd = knownUsd(all);
  if (costUsd !== undefined) facts.costUsd = costUsd;
}

/** Writes usage and cost of all attempts onto the facts, with a span that says who counted. */
export function recordBills(call: BareCall): void {
  const { facts } = call;
  const { bills = [] } = facts;
  const usage = billedUsage(bills);
  if (usage === undefined) return;
  facts.usage = usage;
  facts.usageIsEstimate = bills.some(({ isEstimate }) => isEstimate);
  noteCost(facts);
  const lost = bills.filter(({ isLost }) => isLost);
  if (lost.length > 0) facts.hedgeMicroUsd = billedMicroUsd(lost);
  call.trace.root
    .child("gateway.usage.count", {
      attributes: {
        "gateway.span.cpu_only": true,
        "gateway.usage.source": facts.usageIsEstimate ? "estimate" : "provider",
        "gateway.cost.usd": facts.costUsd,
      },
    })
    .end();
}
