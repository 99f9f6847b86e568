// The world of the planted situations: one gateway, a scripted upstream, and a tenant for each situation with requests that are as
// usual before anything is planted.
import { setTimeout as pause } from "node:timers/promises";
import { expect } from "vitest";
import { explainTrace } from "../../../src/cli/explain-trace.ts";
import type { Explanation } from "../../../src/telemetry/explain/explanation.ts";
import { chat, type Answer, type Ask } from "../../support/clients/chat-client.ts";
import { makeTenant, type TenantOptions, type TestTenant } from "../../support/clients/test-tenant.ts";
import { uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import type { Script } from "../../support/servers/scripted-upstream.ts";

/** What a situation leaves: whose trace is explained, what is to be found first, and how long it is. */
export interface Planted {
  readonly traceId: string;
  /** Undefined where the cause has no length of its own (a refusal). */
  readonly ms?: number;
}

export interface Situation {
  /** What is planted, for the table of src/docs/why.md. */
  readonly name: string;
  readonly kind: string;
  readonly options?: TenantOptions | ((models: Models) => TenantOptions);
  /** Of the requests that are as usual; a streamed question where absent. */
  readonly usual?: (models: Models, at: number) => Ask;
  /** How both models answer these, or each. */
  readonly script?: Script;
  readonly scripts?: { readonly m?: Script; readonly other?: Script };
  /** What the sentence says. */
  readonly says?: RegExp;
  readonly plant: (world: World) => Promise<Planted>;
}

/** Models of the situation's own: `m` is the usual one. */
export interface Models {
  readonly m: string;
  readonly other: string;
}

export interface World {
  readonly stack: GatewayStack;
  readonly tenant: TestTenant;
  readonly models: Models;
  /** `{up/m}`, as the client names it. */
  readonly usual: Ask;
  ask(ask: Ask, key?: string): Promise<Answer>;
  script(model: string, script: Script): void;
}

/** As long as it takes to tell it from the noise of a busy machine. */
export const USUAL_MS = 100;
/** Enough for the route to have a usual, and few enough to be quick. */
const USUAL_REQUESTS = 24;
const AT_ONCE = 6;

export const answer = (fields: object = {}): Extract<Script, { kind: "answer" }> => ({
  kind: "answer",
  text: "one two three four",
  firstChunkDelayMs: USUAL_MS,
  usage: { inputTokens: 100, outputTokens: 20 },
  ...fields,
});

/** By the response's own header. */
export function waitedMs(answered: Answer | undefined): Planted {
  return {
    traceId: answered?.traceId ?? "",
    ms: Number(answered?.headers.get("x-headgate-queue-ms")),
  };
}

export async function play(
  stack: GatewayStack,
  situation: Situation,
): Promise<{ readonly planted: Planted; readonly found: Explanation; readonly quiet: Explanation }> {
  const models = { m: uniqueModel(), other: uniqueModel() };
  for (const name of ["m", "other"] as const)
    stack.upstream.script(models[name], situation.scripts?.[name] ?? situation.script ?? answer());
  const { options = {} } = situation;
  const tenant = await makeTenant(stack.gateway, {
    upstreamUrl: stack.upstream.url,
    providerKind: "openai-compatible",
    ...(typeof options === "function" ? options(models) : options),
  });
  const usual = (at: number): Ask =>
    situation.usual?.(models, at) ?? { model: `up/${models.m}`, stream: true };
  const world: World = {
    stack,
    tenant,
    models,
    usual: usual(0),
    ask: (ask, key = tenant.key) => chat(stack, key, ask),
    script: stack.upstream.script,
  };
  for (let done = 0; done < USUAL_REQUESTS; done += AT_ONCE) {
    const answers = await Promise.all(
      Array.from({ length: AT_ONCE }, (_, at) => world.ask(usual(done + at))),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  }
  const quiet = await explanationOf(stack, tenant.id, await askQuietly(world, usual));
  const planted = await situation.plant(world);
  return { planted, quiet, found: await explanationOf(stack, tenant.id, planted.traceId) };
}

/** One by one, and the quickest of them: the machine has other things to do, and that is not planted. */
async function askQuietly(world: World, usual: (at: number) => Ask): Promise<string> {
  const asked: { readonly traceId: string; readonly ms: number }[] = [];
  for (let at = 0; at < 3; at++) {
    const startedAt = performance.now();
    const { traceId } = await world.ask(usual(USUAL_REQUESTS + at));
    asked.push({ traceId, ms: performance.now() - startedAt });
  }
  return asked.toSorted((a, b) => a.ms - b.ms)[0]?.traceId ?? "";
}

/** As soon as the trace is stored. */
export async function explanationOf(
  stack: GatewayStack,
  tenant: string,
  traceId: string,
): Promise<Explanation> {
  const get = async (path: string): Promise<unknown> => {
    const response = await stack.gateway.admin("GET", path);
    return response.status === 200 ? response.json() : undefined;
  };
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const [item] = await explainTrace(get, traceId, tenant);
    if (item !== undefined) return item;
    await pause(RETRY_MS);
  }
  throw new Error(`no explanation of ${traceId} at ${tenant}`);
}

const RETRY_MS = 30;
const MAX_TRIES = 200;
