/**
 * Requests that are passed on to an OpenAI-compatible target without being understood: text completions, images, speech,
 * transcriptions, moderations, reranking. Routed, limited, retried and traced like a generation, with the model's name put in; never cached.
 */

import { callTargets, openAttempts } from "../attempts/attempts.ts";
import type { OpenExchange } from "../attempts/attempt-context.ts";
import { withLease } from "../lease.ts";
import { GatewayError } from "../../errors.ts";
import type { ForwardExchange } from "../attempts/exchange.ts";
import { inspectTexts, inspectUsage } from "../answers/inspectors.ts";
import { nativeUrl } from "../../upstream/native-url.ts";
import type { BareCall, Deps, Generation } from "../ports.ts";
import { routeFresh } from "../routed.ts";
import { baseUrlFor, type Provider } from "../../providers/provider.ts";
import type { Target } from "../../wires/upstream-wire.ts";
import type { Payload } from "../../upstream/send.ts";

export interface Forwarding {
  /** Behind the base URL: `/images/generations`. */
  readonly path: string;
  /** Absent for a form, whose own type names its boundary. */
  readonly contentType?: string;
  /** The body with the target's model in it; made for each attempt. */
  payloadFor(model: string): Payload;
}

/** Throws a row of the error table. */
export async function forward(asked: BareCall, forwarding: Forwarding, deps: Deps): Promise<Generation> {
  const { call, plan } = await routeFresh(asked, deps);
  const open: OpenExchange = (provider, target) => openForward(forwarding, provider, target);
  return withLease(call, plan, deps, (admitted) => callTargets(openAttempts(admitted, plan, { open }, deps)));
}

function openForward(
  forwarding: Forwarding,
  provider: Provider,
  { account, model }: Target,
): ForwardExchange {
  const { path, contentType, payloadFor } = forwarding;
  const baseUrl = baseUrlFor(provider, account);
  if (
    provider.wires[0].clientWireName !== "openai-chat" ||
    !provider.nativeHeaders ||
    baseUrl === undefined
  ) {
    throw new GatewayError(
      "invalid_request",
      `'${account.name}' speaks another API: it has no ${path}. Name a model of an OpenAI-compatible provider.`,
      {
        param: "model",
      },
    );
  }
  return {
    kind: "forward",
    request: {
      method: "POST",
      url: nativeUrl(baseUrl, path),
      headers: {
        ...(contentType !== undefined && { "content-type": contentType }),
        ...provider.nativeHeaders(account),
      },
    },
    payload: payloadFor(model),
    upstreamWireName: undefined,
    isSameWire: true,
    dropped: [],
    inspect: path === "/completions" ? inspectTexts : inspectUsage,
  };
}
