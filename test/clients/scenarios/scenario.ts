// What a scenario is, and the context it is played in: the real gateway, a scripted upstream, real OTLP receivers for the operator and
// for a tenant. A scenario does something and gives the spans it left; the player compares.
import { expect } from "vitest";
import { chat, type Answer, type Ask } from "../../support/clients/chat-client.ts";
import type { Gateway } from "../../support/servers/gateway-process.ts";
import type { OtlpReceiver } from "../../support/servers/otlp-receiver.ts";
import type { FlatSpan } from "../../support/checkers/otlp-spans.ts";
import { uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import type { Script } from "../../support/servers/scripted-upstream.ts";
import { makeTenant, type TenantOptions, type TestTenant } from "../../support/clients/test-tenant.ts";

export interface Scenario {
  /** Row of the table in src/telemetry/README.md. */
  readonly name: string;
  /** What is done, for that table. */
  readonly done: string;
  /** What is left, a span a line: see tree.ts. */
  readonly tree: readonly string[];
  /** What the receiver that was looked at may have beyond the allow-list. */
  readonly gets?: readonly ("content" | "langfuse")[];
  /** Spans of the one request that the tree is of. */
  readonly play: (context: ScenarioContext) => Promise<readonly FlatSpan[]>;
}

export interface ScenarioContext {
  readonly stack: GatewayStack;
  readonly gateway: Gateway;
  /** A tenant's own destination. */
  readonly own: OtlpReceiver;
  /** A model of the scenario's own, which stands in the tree under its alias. */
  model(alias: string, script?: Script): string;
  /** With the scripted upstream as its provider `up`. */
  tenant(options?: TenantOptions): Promise<TestTenant>;
  /** Asks, and reads the answer to its end. */
  ask(tenant: Pick<TestTenant, "key">, ask: Ask): Promise<Answer>;
  /** Asks, and gives the trace as the operator got it. */
  trace(tenant: Pick<TestTenant, "key">, ask: Ask): Promise<readonly FlatSpan[]>;
  /** A request of any kind to the gateway, its answer read to its end. */
  send(path: string, init?: RequestInit & { readonly key?: string }): Promise<Sent>;
  /** The operator's spans of a trace. */
  spansOf(of: { readonly traceId: string }): Promise<readonly FlatSpan[]>;
  /** Names that are made up for each run, and what stands for them in a tree. */
  readonly aliases: Map<string, string>;
}

export interface Sent {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly traceId: string;
}

export function createContext(stack: GatewayStack, own: OtlpReceiver): ScenarioContext {
  const aliases = new Map<string, string>();
  const { gateway, upstream, otlp } = stack;
  const context: ScenarioContext = {
    stack,
    gateway,
    own,
    aliases,
    model(alias, script) {
      const name = uniqueModel();
      aliases.set(name, alias);
      if (script !== undefined) upstream.script(name, script);
      return name;
    },
    tenant: (options) => makeTenant(gateway, { upstreamUrl: upstream.url, ...options }),
    async ask(tenant, ask) {
      const answer = await chat(stack, tenant.key, ask);
      expectTraced(answer);
      return answer;
    },
    trace: async (tenant, ask) => context.spansOf(await context.ask(tenant, ask)),
    async send(path, { key, ...init } = {}) {
      const headers = new Headers(init.headers);
      if (key !== undefined) headers.set("authorization", `Bearer ${key}`);
      if (init.body !== undefined && !headers.has("content-type"))
        headers.set("content-type", "application/json");
      const response = await fetch(gateway.url + path, { ...init, headers });
      const text = await response.text();
      const traceId = response.headers.get("x-trace-id") ?? "";
      const sent = { status: response.status, headers: response.headers, text, traceId };
      expectTraced(sent);
      return sent;
    },
    spansOf: ({ traceId }) => otlp.waitForTrace(traceId),
  };
  return context;
}

/** Every response says where its trace is and where its time went, an error's too. */
export function expectTraced({ traceId, headers }: Pick<Sent, "traceId" | "headers">): void {
  expect(traceId).toMatch(/^[0-9a-f]{32}$/);
  expect(headers.get("traceresponse")).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`));
  expect(headers.get("server-timing")).toMatch(
    /^queue;dur=\d+, cache;dur=\d+, upstream;dur=\d+, gateway;dur=\d+$/,
  );
}

/** What all requests begin with that have a key and a model. */
export const ENTRY = ["  auth", "  config.load", "  route"] as const;

/** The way on to an upstream where no cache is asked for and no request is ahead; `route` is what its span tells. */
export function passed(route: string): readonly string[] {
  const [auth, config] = ENTRY;
  const cache = "  cache.lookup cache=bypass cache_reason=tenant_off";
  return [auth, config, `  route${route}`, cache, "  admission", "    queue.wait"];
}

/** By the name of a model. */
export const PASSED = passed("");
/** By a route with one target. */
export const ALONE = passed(" strategy=fallback reason='first in the route's order'");
/** By a route whose second target is `m2`. */
export const FIRST_OF_TWO = passed(
  " strategy=fallback reason='first in the route's order' rejected='up/m2: later in the order'",
);
/** The end of one that was answered, and its usage told. */
export const SETTLED = ["  usage.count usage=provider", "  usage.record"] as const;
/** The same where a part of the usage is an estimate: a failed call owes its prompt. */
export const ESTIMATED = ["  usage.count usage=estimate", "  usage.record"] as const;

/** A body for `send`. */
export function post(body: unknown, headers: Readonly<Record<string, string>> = {}): RequestInit {
  return { method: "POST", headers, body: JSON.stringify(body) };
}

/** Targets of a route, all of the scripted upstream. */
export const targets = (...models: readonly string[]): readonly object[] =>
  models.map((model) => ({ provider: "up", model }));

export const CHAT = "POST /v1/chat/completions";
export const HELLO = [{ role: "user", content: "Hello?" }] as const;
