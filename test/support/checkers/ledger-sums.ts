// What a tenant's requests have cost by each of those who keep count: the upstream's bill, the spans, the response's header, the
// trace list, and the ledger in the tenant's queue object. It adds up and compares; whose count is right it leaves to the test.
import { expect, vi } from "vitest";
import { findPrice } from "../../../src/pricing/prices.ts";
import type { FlatSpan } from "./otlp-spans.ts";
import type { GatewayStack } from "../servers/gateway-stack.ts";
import type { ScriptedUpstream } from "../servers/scripted-upstream.ts";
import type { TestTenant } from "../clients/test-tenant.ts";
import { checkTrace } from "./trace-invariants.ts";

/** Input has the cached tokens in it, output the reasoning. */
export type Tokens = {
  readonly input: number;
  readonly output: number;
  readonly cacheRead?: number;
  readonly cacheWrite?: number;
};

export type Sums = { readonly input: number; readonly output: number; readonly microUsd: number };

/** What a test knows of a request that it has made and read to its end. */
export type Asked = { readonly traceId: string; readonly headers: Headers };

const MICRO = 1_000_000;
/** Settlements ride with later calls or go by themselves after a while. */
const SETTLED_MS = 20_000;

let snapshots = 0;
const DAYS = 28;

/** A model that has a list price and that no other test of the file has used: a made-up snapshot of a real one. */
export function pricedModel(name = "gpt-4o-mini"): string {
  const digits = (value: number): string => String(value).padStart(2, "0");
  const date = `${digits(1 + Math.floor(snapshots / DAYS))}-${digits(1 + (snapshots % DAYS))}`;
  snapshots += 1;
  return `${name}-2024-${date}`;
}

/** What a scripted upstream has written down for its answers with a model of OpenAI's. */
export function billedBy({ requestsFor }: ScriptedUpstream, model: string): Sums {
  const bills = requestsFor(model).flatMap(({ billed }) => billed ?? []);
  return addUp(
    bills.map(({ inputTokens: input, outputTokens: output, cachedTokens: cacheRead = 0 }) => ({
      input,
      output,
      microUsd: priceOf("openai", model, { input, output, cacheRead }),
    })),
  );
}

/** Micro-US-dollars at the list price, which this test reads but multiplies for itself. */
export function priceOf(kind: string, model: string, tokens: Tokens): number {
  const price = findPrice(kind, model);
  if (price === undefined) throw new Error(`${kind} ${model} has no price`);
  const { input, output, cacheRead = 0, cacheWrite = 0 } = tokens;
  const fresh = input - cacheRead - cacheWrite;
  const cached =
    cacheRead * (price.cacheRead ?? price.input) + cacheWrite * (price.cacheWrite ?? price.input);
  return (fresh * price.input + cached + output * price.output) / MICRO;
}

export function addUp(sums: readonly Sums[]): Sums {
  const total = (name: keyof Sums): number => sums.reduce((sum, each) => sum + each[name], 0);
  return { input: total("input"), output: total("output"), microUsd: total("microUsd") };
}

/** One request's tokens and cost by its own spans and header, after it was checked that they all say the same. */
export async function sumsOf(stack: GatewayStack, { traceId, headers }: Asked): Promise<Sums> {
  const spans = await stack.otlp.waitForTrace(traceId);
  expect(checkTrace(spans)).toEqual([]);
  const root = rootOf(spans);
  const own = { input: tokensOf(root, "input"), output: tokensOf(root, "output") };
  const attempts = spans.filter(({ attributes }) => attributes["gateway.attempt.number"] !== undefined);
  const sumOf = (name: "input" | "output"): number =>
    attempts.reduce((sum, span) => sum + tokensOf(span, name), 0);
  expect({ input: sumOf("input"), output: sumOf("output") }).toEqual(own);

  const costUsd = root.attributes["gateway.cost.usd"] ?? 0;
  const count = spans.find(({ name }) => name === "gateway.usage.count");
  if (count !== undefined) expect(count.attributes["gateway.cost.usd"] ?? 0).toBe(costUsd);
  const header = headers.get("x-headgate-cost-usd");
  if (header !== null) expect(Number(header)).toBe(costUsd);
  const record = spans.find(({ name }) => name === "gateway.usage.record")?.attributes;
  if (record !== undefined) {
    const settled =
      Number(record["gateway.usage.reserved_tokens"]) + Number(record["gateway.usage.estimate_error_tokens"]);
    expect(settled).toBe(own.input + own.output);
  }
  return { ...own, microUsd: Math.round(Number(costUsd) * MICRO) };
}

/** The sums of a tenant's requests, once the ledger and the trace list agree with their spans. Fails where they don't. */
export async function settledSums(
  stack: GatewayStack,
  tenant: TestTenant,
  asked: readonly Asked[],
): Promise<Sums> {
  const sums = addUp(await Promise.all(asked.map((each) => sumsOf(stack, each))));
  const check = async (): Promise<void> =>
    expect(await ledgerOf(stack, tenant)).toEqual({ holding: [], microUsd: sums.microUsd });
  await vi.waitFor(check, { timeout: SETTLED_MS, interval: 100 });
  expect(await listedSums(stack, tenant)).toEqual(sums);
  return sums;
}

function rootOf(spans: readonly FlatSpan[]): FlatSpan {
  const root = spans.find(({ name }) => /^[A-Z]+ \//.test(name));
  if (root === undefined) throw new Error("the trace has no root");
  return root;
}

function tokensOf({ attributes }: FlatSpan, name: "input" | "output"): number {
  return Number(attributes[`gen_ai.usage.${name}_tokens`] ?? 0);
}

async function ledgerOf(
  stack: GatewayStack,
  { id }: TestTenant,
): Promise<{ readonly holding: readonly unknown[]; readonly microUsd: number }> {
  const response = await stack.gateway.admin("GET", `/admin/tenants/${id}/queue`);
  const { holding, spentUsd } = await response.json<{
    readonly holding: readonly unknown[];
    readonly spentUsd: { readonly month: number };
  }>();
  return { holding, microUsd: Math.round(spentUsd.month * MICRO) };
}

async function listedSums(stack: GatewayStack, { id }: TestTenant): Promise<Sums> {
  const response = await stack.gateway.admin("GET", `/admin/traces?tenant=${id}&limit=100`);
  const { items } = await response.json<{
    readonly items: readonly {
      readonly inputTokens: number | null;
      readonly outputTokens: number | null;
      readonly costUsd: number | null;
    }[];
  }>();
  return addUp(
    items.map(({ inputTokens, outputTokens, costUsd }) => ({
      input: inputTokens ?? 0,
      output: outputTokens ?? 0,
      microUsd: Math.round((costUsd ?? 0) * MICRO),
    })),
  );
}
