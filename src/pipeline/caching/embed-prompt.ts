/**
 * A prompt's vector by the tenant's own embedding target: an upstream call like any other (span, credential, circuit, gate,
 * price), but for the cache's sake: in a time of its own, outside of the queue, and without ever failing the request.
 * Called by semantic-cache.ts.
 */

import { endAttempt } from "../attempts/attempt-span.ts";
import { tryOnce } from "../attempts/attempt.ts";
import { normalise, type Vector } from "../../cache/vectors.ts";
import type { ChatRequest } from "../../schema/chat.ts";
import { openAiEmbeddings } from "../../wires/openai-embeddings/client-codec.ts";
import type { GatewayError } from "../../errors.ts";
import { openExchange } from "../attempts/exchange.ts";
import type { Call, Deps } from "../ports.ts";
import type { RequestFacts } from "../request-facts.ts";
import type { Plan } from "../../routing/plan.ts";
import { type PlannedTarget, toTarget } from "../../routing/planned-target.ts";
import type { Span } from "../../telemetry/trace/trace.ts";
import { withDeadline } from "../../runtime/waits.ts";
import { DEFAULT_RETRIES, type SemanticSettings } from "../../tenants/records/route-record.ts";

export type Embedded =
  | { readonly vector: Vector; readonly costMicroUsd: number }
  /** Why there is none: `gateway.cache.reason`. */
  | { readonly vector?: undefined; readonly costMicroUsd: number; readonly reason: string };

/** What a call that its signal should have ended gets on top before it is left alone. */
const STRAGGLER_MS = 50;
const MICRO_USD_PER_USD = 1_000_000;

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
  if (!Object.hasOwn(call.bundle.providers, target.provider)) return none("embedding_unknown");
  if (deps.targets.concurrency.waitMs(target.label, deps.now()) > 0) return none("embedding_limited");
  // Too slow for a look-up is not too slow for a client who asks for embeddings: the circuit that opens here is not his.
  const pass = await deps.targets.circuits.take(`${target.label} (cache)`, call.requestId);
  if (pass === undefined) return none("embedding_open");

  const facts: RequestFacts = { startedAt: deps.now() };
  const embedding = embeddingCall(call, text, settings, facts, parent);
  let values: readonly number[] = [];
  const trying = tryOnce(
    {
      call: embedding,
      plan: planOf(target, deadlineAt - deps.now()),
      held: {
        // It waits for no place, and there is none to give back.
        admission: { reservedTokens: 0, canDeferSettle: true, signal: call.signal(), stopRenewal: () => {} },
        cacheKey: undefined,
        open(provider, chosen) {
          const exchange = openExchange(embedding, provider, chosen);
          const read: typeof exchange.read = (body) => {
            const answer = exchange.read(body);
            values = answer.vectors?.()[0] ?? [];
            return answer;
          };
          return { ...exchange, read };
        },
      },
      deps: { ...deps, ...contentOfWhole(call, deps) },
      deadlineAt,
      taken: new Set(),
      made: { count: 1 },
      asking: {},
    },
    { number: 1, reason: "cache", resends: 0, target, pass },
  );
  const leftMs = Math.max(0, deadlineAt - deps.now()) + STRAGGLER_MS;
  const tried = await withDeadline(trying, leftMs, target.label).catch(() => undefined);
  const costMicroUsd = (facts.costUsd ?? 0) * MICRO_USD_PER_USD;
  if (tried === undefined) return none("embedding_timeout");
  if (tried.answer === undefined) {
    if (tried.span) endAttempt(tried.span, { error: tried.error });
    return none(reasonOf(tried.error));
  }
  const vector = normalise(values);
  return vector === undefined ? { reason: "embedding_empty", costMicroUsd } : { vector, costMicroUsd };
}

function none(reason: string): Embedded {
  return { reason, costMicroUsd: 0 };
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
  const wire = { model: embedding, input: text, ...(dimensions === undefined ? {} : { dimensions }) };
  const chat: ChatRequest = {
    dialect: "openai-embeddings",
    operation: "embeddings",
    model: embedding,
    stream: false,
    params: {},
    wireText: JSON.stringify(wire),
    wire,
  };
  // The client's limit for a first byte is about his answer.
  const { firstByteMs: _, ...options } = call.options;
  return {
    ...call,
    chat,
    codec: openAiEmbeddings,
    options,
    facts,
    trace: { ...call.trace, root: parent },
    release: () => {},
  };
}

/** Never retried: it would come too late. */
function planOf(target: PlannedTarget, timeoutMs: number): Plan {
  return {
    routeId: target.label,
    strategy: "direct",
    targets: [target],
    candidates: [target],
    reason: "embeds for the cache",
    rejected: [],
    retries: DEFAULT_RETRIES,
    timeouts: { firstByteMs: timeoutMs, idleMs: timeoutMs, totalMs: timeoutMs },
    isSticky: false,
  };
}

/** What is noted of a trace's content belongs to the whole of it, not to the look-up's part. */
function contentOfWhole({ trace }: Call, { content }: Deps): Pick<Deps, "content"> {
  if (content === undefined) return {};
  return { content: { note: ({ chat }, span, choices) => content.note({ trace, chat }, span, choices) } };
}
