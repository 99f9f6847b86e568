/**
 * How many input tokens a request has, without generating: counted by the target's vendor where it can, else estimated.
 * Limited and traced like a generation, but free. Knows no vendor.
 */

import { callTargets, openAttempts } from "../attempts/attempts.ts";
import type { CountExchange } from "../attempts/exchange.ts";
import type { OpenExchange } from "../attempts/attempt-context.ts";
import type { Answered } from "../ended.ts";
import { withLease } from "../lease.ts";
import { mediaTokens } from "../../pricing/estimate/media-tokens.ts";
import { textTokens } from "../../pricing/estimate/text-tokens.ts";
import type { Conversation, MediaSource, Part } from "../../schema/conversation.ts";
import type { MediaRule } from "../../schema/wire-traits.ts";
import type { ClientWire } from "../../wires/client-wire.ts";
import { GatewayError, toGatewayError } from "../../errors.ts";
import type { BareCall, Call, Deps } from "../ports.ts";
import { routeFresh } from "../routed.ts";
import type { Provider, TokenCounter } from "../../providers/provider.ts";
import type { Target } from "../../wires/upstream-wire.ts";
import type { Plan } from "../../routing/plan.ts";
import { DEFAULT_FIRST_BYTE_MS } from "../../tenants/records/route-record.ts";
import type { PlannedTarget } from "../../routing/planned-target.ts";

/** The vendor's own body, or a number of ours. */
export type TokenCount =
  | { readonly source: "provider"; readonly body: string }
  | { readonly source: "provider" | "estimate"; readonly body?: undefined; readonly inputTokens: number };

type CountCall = Call & { readonly clientWire: ClientWire };

/** Throws a row of the error table. Calls the next target where one's upstream is at fault; none is called twice. */
export async function countTokens(asked: CountCall, deps: Deps): Promise<TokenCount> {
  const { call, plan } = await routeFresh(asked, deps);
  const counting = createCounting({ ...call, clientWire: asked.clientWire });
  const run = async (admitted: BareCall): Promise<Answered> => {
    const targets = await countableOf(call, plan, counting, deps);
    const answered = await countAt(admitted, plan, targets, counting, deps);
    const attributes = { "gateway.span.cpu_only": true, "gateway.usage.source": counting.count().source };
    call.trace.root.child("gateway.usage.count", { attributes }).end();
    return answered;
  };
  await withLease(call, undefined, deps, run);
  return counting.count();
}

/** The plan's first targets whose vendors can count: where one can't, an estimate is as good as a later one's count. */
async function countableOf(
  call: Call,
  { targets }: Plan,
  counting: Counting,
  deps: Deps,
): Promise<readonly PlannedTarget[]> {
  for (const [index, { accountName, model, label }] of targets.entries()) {
    const account = await deps.accountOf(call.bundle, accountName).catch(() => undefined);
    // One whose credential can't be opened fails as an attempt does.
    if (account === undefined) continue;
    const provider = deps.providerOf(account.kind);
    if (counting.counterAt(provider, { account, model }) !== undefined) continue;
    if (index === 0) Object.assign(call.facts, { attempts: 1, target: label, vendor: provider.vendor });
    return targets.slice(0, index);
  }
  return targets;
}

const ESTIMATED: Answered = { generation: { contentType: "", body: "" }, ended: { kind: "count" } };

/** Calls the targets in turn; a count that can't be had where the request is translated stays an estimate. */
async function countAt(
  call: BareCall,
  plan: Plan,
  targets: readonly PlannedTarget[],
  counting: Counting,
  deps: Deps,
): Promise<Answered> {
  const [first, ...others] = targets;
  if (first === undefined) return ESTIMATED;
  const once = { ...plan.retries, maxAttempts: 1 };
  const { hedge: _, ...unhedged } = plan;
  // Counting is quick, and no generation is lost with a call that is not.
  const timeouts = { firstByteMs: DEFAULT_FIRST_BYTE_MS, ...plan.timeouts };
  const countPlan: Plan = { ...unhedged, targets: [first, ...others], retries: once, timeouts };
  try {
    return await callTargets(openAttempts(call, countPlan, { open: counting.open, needsPrice: false }, deps));
  } catch (thrown) {
    const error = toGatewayError(thrown);
    const isLast = targets.length < plan.targets.length && error.canFallBack;
    if (isLast || (counting.isTranslated() && error.details.upstreamStatus !== undefined)) return ESTIMATED;
    throw error;
  }
}

interface Counting {
  /** Undefined where the target's vendor can't count this request. */
  counterAt(provider: Provider, target: Target): TokenCounter | undefined;
  readonly open: OpenExchange;
  /** Whether the last target was called on another wire than the client's. */
  isTranslated(): boolean;
  count(): TokenCount;
}

/** One request's count: the call of each target, and its result. */
function createCounting({ chat, clientWire }: CountCall): Counting {
  // What the wire can't say counts for nothing here, and is not a fault.
  const drop = (): void => {};
  let conversation: Conversation | undefined;
  let isTranslated = false;
  let counted: TokenCount | undefined;
  const readConversation = (): Conversation => (conversation ??= clientWire.toConversation(chat, drop));

  function counterAt(provider: Provider, target: Target): TokenCounter | undefined {
    const counter = provider.counterOf ? provider.counterOf(target) : provider.counter;
    return counter?.clientWireName === undefined || counter.clientWireName === chat.wire.name
      ? counter
      : undefined;
  }

  function open(provider: Provider, target: Target): CountExchange {
    const counter = counterAt(provider, target);
    if (counter === undefined) throw new GatewayError("internal_error", "The target can't count tokens.");
    const isForwarded = counter.clientWireName === chat.wire.name;
    isTranslated = !isForwarded;
    const asked = isForwarded ? undefined : { conversation: readConversation(), drop };
    return {
      kind: "count",
      request: counter.toRequest(chat, target, asked),
      upstreamWireName: counter.clientWireName,
      isSameWire: true,
      dropped: [],
      read(body) {
        if (isForwarded) {
          counted = { source: "provider", body };
          return;
        }
        const inputTokens = counter.read?.(parse(body));
        if (inputTokens !== undefined) counted = { source: "provider", inputTokens };
      },
    };
  }

  return {
    counterAt,
    open,
    isTranslated: () => isTranslated,
    count: () =>
      counted ?? {
        source: "estimate",
        inputTokens: estimateInputTokens(readConversation(), chat.wire.mediaRule),
      },
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A message's role and frame. */
const MESSAGE_TOKENS = 4;

/** An estimate in tokens; the bytes of media are not taken for text. */
export function estimateInputTokens({ system, messages, tools }: Conversation, rule: MediaRule): number {
  const turns = messages.reduce((sum, { parts }) => sum + MESSAGE_TOKENS + tokensOf(parts, rule), 0);
  const definitions = tools.length === 0 ? 0 : textTokens(JSON.stringify(tools));
  return Math.ceil(turns + tokensOf(system, rule) + definitions);
}

function tokensOf(parts: readonly Part[], rule: MediaRule): number {
  return parts.reduce((sum, part) => sum + tokensOfPart(part, rule), 0);
}

function tokensOfPart(part: Part, rule: MediaRule): number {
  switch (part.type) {
    case "text":
    case "reasoning":
    case "refusal":
      return textTokens(part.text);
    case "tool_call":
      return textTokens(part.name) + textTokens(part.argumentsJson);
    case "tool_result":
      return tokensOf(part.parts, rule);
    case "image":
      return inlineTokens(rule, "image/", part.source);
    case "document":
      return part.source.kind === "text"
        ? textTokens(part.source.text)
        : inlineTokens(rule, "application/pdf", part.source);
    case "audio":
      return inlineTokens(rule, "audio/", part.source);
  }
}

/** `usual` is the media type of a source that is only named. */
function inlineTokens(rule: MediaRule, usual: string, source: MediaSource): number {
  if (source.kind !== "inline") return Math.ceil(mediaTokens(rule, usual, undefined));
  return Math.ceil(mediaTokens(rule, source.mediaType, source.base64));
}
