/**
 * How many input tokens a request has, without generating: asked of the target's vendor where it can count for the
 * client's dialect or for any, else estimated. Limited and traced like a generation, but free. Called by the routes that
 * count; knows no vendor.
 */

import { admit } from "../lease.ts";
import { endAttempt, openAttempt } from "../attempts/attempt-span.ts";
import { concludeCount, concludeFailure } from "../end.ts";
import type { Conversation, Part } from "../../schema/conversation.ts";
import type { DialectCodec } from "../../wires/client-wire.ts";
import { GatewayError, toGatewayError } from "../../errors.ts";
import type { Call, Deps } from "../ports.ts";
import { routeFresh } from "../routed.ts";
import type { Target } from "../../providers/provider.ts";
import type { Plan } from "../../routing/plan.ts";
import { PASSED_HEADERS, readBody, sendUpstream } from "../../upstream/call.ts";
import { formatTraceparent } from "../../telemetry/trace/traceparent.ts";

type PlannedTarget = Plan["targets"][number];

/** The vendor's own body, or a number of ours. */
export type TokenCount =
  | { readonly source: "provider"; readonly body: string }
  | { readonly source: "provider" | "estimate"; readonly body?: undefined; readonly inputTokens: number };

type CountCall = Call & { readonly codec: DialectCodec };

/** Throws a row of the error table. Asks the next target where one's upstream is at fault. */
export async function countTokens(asked: CountCall, deps: Deps): Promise<TokenCount> {
  const { call, plan } = await routeFresh(asked, deps);
  const admission = await admit(call, deps);
  try {
    const count = await firstCount(
      { ...call, codec: asked.codec, signal: () => admission.signal },
      plan,
      deps,
    );
    call.trace.root
      .child("gateway.usage.count", {
        attributes: { "gateway.span.cpu_only": true, "gateway.usage.source": count.source },
      })
      .end();
    concludeCount(call, admission, deps);
    return count;
  } catch (thrown) {
    const error = toGatewayError(thrown);
    concludeFailure(call, admission, error, deps);
    throw error;
  }
}

async function firstCount(call: CountCall, plan: Plan, deps: Deps): Promise<TokenCount> {
  let last: GatewayError | undefined;
  for (const [index, target] of plan.targets.entries()) {
    try {
      return await countAt(call, plan, target, index + 1, deps);
    } catch (thrown) {
      last = toGatewayError(thrown);
      if (!last.canFallBack) throw last;
    }
  }
  throw last ?? new GatewayError("internal_error", "The plan had no target.");
}

async function countAt(
  call: CountCall,
  plan: Plan,
  planned: PlannedTarget,
  number: number,
  deps: Deps,
): Promise<TokenCount> {
  const { chat, codec, facts, options } = call;
  facts.attempts = number;
  facts.usedFallback = number > 1;
  const account = await deps.accountOf(call.bundle, planned.provider);
  const provider = deps.providerOf(account.kind);
  facts.target = planned.label;
  facts.provider = provider.semconvName;
  const target: Target = { account, model: planned.model };
  const counter = provider.counterOf ? provider.counterOf(target) : provider.counter;
  // Whatever the wire can't say counts for nothing here, and is no fault.
  const drop = (): void => {};
  const isForwarded = counter?.dialect === chat.dialect;
  const conversation = isForwarded ? undefined : codec.toConversation(chat, drop);
  const estimate = (of: Conversation): TokenCount => ({
    source: "estimate",
    inputTokens: estimateInputTokens(of),
  });
  if (counter === undefined || (counter.dialect !== undefined && conversation))
    return estimate(conversation ?? codec.toConversation(chat, drop));

  const reason = number === 1 ? "initial" : "fallback";
  const span = openAttempt(call, provider, target, { number, reason, resends: 0, target: planned });
  try {
    const { firstByteMs, idleMs, totalMs } = plan.timeouts;
    const limits = {
      firstByteMs: options.firstByteMs ?? firstByteMs,
      idleMs,
      deadlineAt: deps.now() + totalMs,
    };
    const traceparent = formatTraceparent(span.ref);
    const passed = PASSED_HEADERS[chat.dialect];
    const client = { signal: call.signal(), headers: call.headers, passed, traceparent };
    const request = counter.toRequest(chat, target, conversation && { conversation, drop });
    const attempt = await sendUpstream(
      { request, provider, target, limits, client, throwOnStatus: true },
      deps,
    );
    const body = await readBody(attempt, idleMs);
    endAttempt(span, { status: attempt.response.status });
    if (conversation === undefined) return { source: "provider", body };
    const inputTokens = counter.read?.(parse(body));
    return inputTokens === undefined ? estimate(conversation) : { source: "provider", inputTokens };
  } catch (thrown) {
    const error = toGatewayError(thrown);
    endAttempt(span, { error });
    // The vendor counts for some of its models and accounts only: what it refuses it may still generate for.
    if (conversation && error.details.upstreamStatus !== undefined) return estimate(conversation);
    throw error;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Rule of thumb of every vendor's documentation: four characters of English a token. */
const CHARS_PER_TOKEN = 4;
/** An image of 1.15 megapixels at Anthropic; others are of the same order. */
const IMAGE_TOKENS = 1600;
/** A page or two, which is all that can be said of a document that isn't read. */
const DOCUMENT_TOKENS = 3000;
/** A message's role and frame. */
const MESSAGE_TOKENS = 4;

/** An estimate in tokens; the bytes of media are not taken for text. */
export function estimateInputTokens({ system, messages, tools }: Conversation): number {
  const turns = messages.reduce((sum, { parts }) => sum + MESSAGE_TOKENS + tokensOf(parts), 0);
  const definitions = tools.length === 0 ? 0 : JSON.stringify(tools).length / CHARS_PER_TOKEN;
  return Math.ceil(turns + tokensOf(system) + definitions);
}

function tokensOf(parts: readonly Part[]): number {
  return parts.reduce((sum, part) => sum + tokensOfPart(part), 0);
}

function tokensOfPart(part: Part): number {
  switch (part.type) {
    case "text":
    case "reasoning":
    case "refusal":
      return part.text.length / CHARS_PER_TOKEN;
    case "tool_call":
      return (part.name.length + part.argumentsJson.length) / CHARS_PER_TOKEN;
    case "tool_result":
      return tokensOf(part.parts);
    case "image":
      return IMAGE_TOKENS;
    case "document":
      return part.source.kind === "text" ? part.source.text.length / CHARS_PER_TOKEN : DOCUMENT_TOKENS;
    case "audio":
      return DOCUMENT_TOKENS;
  }
}
