/**
 * A prompt's vector by the tenant's own embedding target: an attempt like any other (span, credential, circuit, cooldown,
 * price), but with a deadline of its own, outside of the queue, and without ever failing the request.
 */

import { endAttempt } from "../attempts/attempt-span.ts";
import { tryOnce } from "../attempts/attempt.ts";
import { recordBills } from "../attempts/bill.ts";
import { isRefusedUnpriced } from "../budget.ts";
import type { Bill } from "../bills.ts";
import type { AttemptContext, OpenExchange } from "../attempts/attempt-context.ts";
import { normalise, type Vector } from "../../cache/vectors.ts";
import type { ChatRequest } from "../../schema/chat.ts";
import { openAiEmbeddings } from "../../wires/openai-embeddings/client-wire.ts";
import type { GatewayError } from "../../errors.ts";
import { openExchange } from "../attempts/exchange.ts";
import type { Call, Deps } from "../ports.ts";
import type { RequestFacts } from "../request-facts.ts";
import { type Plan, singleTargetPlan } from "../../routing/plan.ts";
import { type PlannedTarget, toTarget } from "../../routing/planned-target.ts";
import type { Span } from "../../telemetry/trace/trace.ts";
import { withDeadline } from "../../runtime/waits.ts";
import type { SemanticSettings } from "../../tenants/records/route-record.ts";

export type Embedded =
  | { readonly vector: Vector; readonly bills: readonly Bill[] }
  /** Why there is none: `gateway.cache.reason`. */
  | { readonly vector?: undefined; readonly bills: readonly Bill[]; readonly reason: string };

/** How much longer a call is waited for that its time limit should have ended. */
const STRAGGLER_MS = 50;

/** Never throws. The call's span hangs under `parent`; it is over by `deadlineAt`, ms since the epoch. */
export async function embedPrompt(
  call: Call,
  text: string,
  settings: SemanticSettings,
  deadlineAt: number,
  parent: Span,
  deps: Deps,
): Promise<Embedded> {
  const target = targetOf(settings);
  if (!Object.hasOwn(call.bundle.providers, target.accountName)) return none("embedding_unknown");
  if (isRefusedUnpriced(call, target, deps)) return none("embedding_unpriced");
  if (deps.targets.concurrency.waitMs(target.label, deps.now()) > 0) return none("embedding_limited");
  // Too slow for a look-up is not too slow for a client's embeddings request: this circuit is the look-up's own.
  const pass = await deps.targets.circuits.take(`${target.label} (cache)`, call.key.id, call.requestId);
  if (pass === undefined) return none("embedding_open");

  const facts: RequestFacts = { startedAt: deps.now() };
  const embedding = embeddingCall(call, text, settings, facts, parent);
  let values: readonly number[] = [];
  const open: OpenExchange = (provider, chosen) => {
    const exchange = openExchange(embedding, provider, chosen);
    const read: typeof exchange.read = (body) => {
      const answer = exchange.read(body);
      values = answer.vectors?.()[0] ?? [];
      return answer;
    };
    return { ...exchange, read };
  };
  const attempts: AttemptContext = {
    call: embedding,
    plan: singleTargetPlan(target, timeoutsOf(deadlineAt - deps.now()), "embeds for the semantic cache"),
    open,
    isKept: false,
    needsPrice: true,
    deps: { ...deps, ...contentOfWhole(call, deps) },
    deadlineAt,
    taken: new Set(),
    made: { count: 1 },
  };
  const trying = tryOnce(attempts, { number: 1, reason: "cache", resends: 0, target, pass });
  const leftMs = Math.max(0, deadlineAt - deps.now()) + STRAGGLER_MS;
  const tried = await withDeadline(trying, leftMs, target.label).catch(() => undefined);
  recordBills(embedding);
  const { bills = [] } = facts;
  if (tried === undefined) return { reason: "embedding_timeout", bills };
  if (tried.answered === undefined) {
    if (tried.span) endAttempt(tried.span, tried);
    return { reason: reasonOf(tried.error), bills };
  }
  const vector = normalise(values);
  return vector === undefined ? { reason: "embedding_empty", bills } : { vector, bills };
}

function none(reason: string): Embedded {
  return { reason, bills: [] };
}

function reasonOf({ code }: GatewayError): string {
  if (code === "upstream_timeout") return "embedding_timeout";
  return code === "client_disconnected" ? "client_left" : "embedding_failed";
}

function targetOf({ embedding }: SemanticSettings): PlannedTarget {
  const slash = embedding.indexOf("/");
  return toTarget({ provider: embedding.slice(0, slash), model: embedding.slice(slash + 1) });
}

/** The text as an embeddings request of the same client, with facts of its own: the request's are about its answer. */
function embeddingCall(
  call: Call,
  text: string,
  { embedding, dimensions }: SemanticSettings,
  facts: RequestFacts,
  parent: Span,
): Call {
  const body = { model: embedding, input: text, ...(dimensions !== undefined && { dimensions }) };
  const chat: ChatRequest = {
    wire: openAiEmbeddings,
    operation: "embeddings",
    model: embedding,
    stream: false,
    params: {},
    bodyText: JSON.stringify(body),
    body,
  };
  // The client's limit for a first byte is about its answer.
  const { firstByteMs: _, ...options } = call.options;
  return {
    ...call,
    chat,
    clientWire: openAiEmbeddings,
    options,
    facts,
    trace: { ...call.trace, root: parent },
    release: () => {},
  };
}

function timeoutsOf(ms: number): Plan["timeouts"] {
  return { firstByteMs: ms, idleMs: ms, totalMs: ms };
}

/** What is noted of a trace's content belongs to the whole of it, not to the look-up's part. */
function contentOfWhole({ trace }: Call, { content }: Deps): Pick<Deps, "content"> {
  if (content === undefined) return {};
  return { content: { note: ({ chat }, span, choices) => content.note({ trace, chat }, span, choices) } };
}
