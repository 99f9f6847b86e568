/** What a request adds to its tenant's usage: once as a request, and by each attempt what that used and cost. Pure. */

import { type Bill, billedMicroUsd } from "./bills.ts";
import type { RequestFacts } from "./request-facts.ts";
import { sha256Hex } from "../bytes/digest.ts";
import { cellOf } from "../limits/usage/usage-cells.ts";
import type { UsageCell } from "../limits/usage-protocol.ts";

const MICRO_USD_PER_USD = 1_000_000;

/** What a request adds that is over: its bills, and itself where it is not counted yet. */
export function usageOf(facts: RequestFacts): readonly UsageCell[] {
  const { bills = [], bookedBills, target = bills.at(-1)?.target ?? "", outcome } = facts;
  const isFailed = outcome === "upstream_error" || outcome === "gateway_error";
  const counts = facts.isCounted ? uncounted() : countsOf(facts, isFailed);
  facts.isCounted = true;
  return cellsOf(facts, target, counts, bills.slice(bookedBills), isFailed);
}

/** What calls add that were made for a request beside those for its answer. */
export function usageOfBills(facts: RequestFacts, bills: readonly Bill[]): readonly UsageCell[] {
  return cellsOf(facts, bills[0]?.target ?? "", uncounted(), bills, false);
}

/** `own` is added to: the cell of the target that answered. */
function cellsOf(
  facts: RequestFacts,
  target: string,
  own: number[],
  bills: readonly Bill[],
  isFailed: boolean,
): readonly UsageCell[] {
  const cells: [string, number[]][] = [[mainCell(facts, target), own]];
  for (const bill of bills) {
    const sums = sumsOf(bill, isFailed);
    if (bill.target === target) addTo(own, sums);
    else cells.push([mainCell(facts, bill.target), sums]);
  }
  const labels = labelsOf(facts);
  if (labels.length === 0) return cells;
  const all = [...own];
  for (const [, sums] of cells.slice(1)) addTo(all, sums);
  return [...cells, ...labels.map((cell) => [cell, all] as const)];
}

const uncounted = (): number[] => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

function countsOf({ outcome, savedUsd = 0 }: RequestFacts, isFailed: boolean): number[] {
  const [isRefused, isHit] = [outcome === "rejected", outcome === "cache_hit"];
  const savedMicroUsd = isHit ? savedUsd * MICRO_USD_PER_USD : 0;
  return [1, Number(isFailed), Number(isRefused), Number(isHit), 0, 0, 0, 0, 0, 0, savedMicroUsd, 0];
}

function sumsOf(bill: Bill, isFailed: boolean): number[] {
  const { inputTokens, outputTokens, cacheReadTokens = 0, reasoningTokens = 0 } = bill.usage;
  const { cacheWriteTokens = 0 } = bill.usage;
  const cost = billedMicroUsd([bill]);
  const failed = isFailed || bill.isFailed ? cost : 0;
  const cached = [cacheReadTokens, cacheWriteTokens];
  return [0, 0, 0, 0, inputTokens, outputTokens, ...cached, reasoningTokens, cost, 0, failed];
}

function addTo(sums: number[], more: readonly number[]): void {
  for (const [at, value] of more.entries()) sums[at] = (sums[at] ?? 0) + value;
}

function mainCell({ keyId = "", routeId = "" }: RequestFacts, target: string): string {
  const slash = target.indexOf("/");
  return cellOf("main", keyId, target.slice(0, Math.max(0, slash)), target.slice(slash + 1), routeId);
}

function labelsOf({ endUser, session, metadata }: RequestFacts): readonly string[] {
  const labels = Object.entries(metadata ?? {}).map(([name, value]) => cellOf("metadata", name, value));
  if (endUser !== undefined) labels.push(cellOf("endUser", endUser));
  if (session !== undefined) labels.push(cellOf("session", session));
  return labels;
}

const END_USER_DIGITS = 16;

/** The client's name for its end user, by a field of its request's body: OpenAI's two, or Anthropic's. */
export function endUserIn(body: Readonly<Record<string, unknown>>): string | undefined {
  const { user, safety_identifier: identifier, metadata } = body;
  const nested =
    typeof metadata === "object" && metadata !== null ? Reflect.get(metadata, "user_id") : undefined;
  return [user, identifier, nested].find((each): each is string => typeof each === "string" && each !== "");
}

/** That name as the gateway keeps it: the first 16 hex digits of SHA-256 of the tenant's id, a line feed and the name. */
export async function hashEndUser(tenantId: string, name: string): Promise<string> {
  return (await sha256Hex(`${tenantId}\n${name}`)).slice(0, END_USER_DIGITS);
}
