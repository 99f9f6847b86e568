/**
 * `GET /v1/realtime`: a WebSocket to a target that speaks OpenAI's Realtime API. Planned, admitted, tried and traced like
 * any request as far as the handshake; the lease is then held for as long as the session lasts.
 */

import { callTargets, openAttempts } from "../attempts/attempts.ts";
import type { OpenExchange } from "../attempts/attempt-context.ts";
import { withLease } from "../lease.ts";
import type { RealtimeAsk } from "../../wires/openai-realtime/handshake.ts";
import { GatewayError } from "../../errors.ts";
import type { RealtimeExchange } from "../attempts/exchange.ts";
import type { BareCall, Deps } from "../ports.ts";
import { routeFresh } from "../routed.ts";
import type { Provider } from "../../providers/provider.ts";
import type { Target } from "../../wires/upstream-wire.ts";

/**
 * The client's end of the session, once an upstream has taken it. Throws a row of the error table, before the client's
 * handshake is answered.
 */
export async function realtime(asked: BareCall, ask: RealtimeAsk, deps: Deps): Promise<WebSocket> {
  if (ask.isModelless && asked.key.allowedModels !== undefined) {
    const message = "Keys with `allowedModels` can't open a session without a model.";
    throw new GatewayError("permission_denied", message);
  }
  const { call, plan } = await routeFresh(asked, deps);
  const open: OpenExchange = (provider, target) => openHandshake(ask, provider, target);
  const { socket } = await withLease(call, plan, deps, (admitted) =>
    callTargets(openAttempts(admitted, plan, { open }, deps)),
  );
  if (socket !== undefined) return socket;
  throw new GatewayError("internal_error", "The handshake produced no session.");
}

function openHandshake(
  { protocol, beta, query, isModelless }: RealtimeAsk,
  provider: Provider,
  target: Target,
): RealtimeExchange {
  const request = provider.toRealtime?.(target, query, isModelless);
  if (request === undefined) {
    const message = `'${target.account.name}' (${provider.kind}) does not offer OpenAI's Realtime API.`;
    throw new GatewayError("invalid_request", message, { param: "model" });
  }
  return {
    kind: "realtime",
    request: {
      ...request,
      headers: {
        upgrade: "websocket",
        ...(protocol !== undefined && { "sec-websocket-protocol": protocol }),
        ...(beta !== undefined && { "openai-beta": beta }),
        ...request.headers,
      },
    },
    upstreamWireName: undefined,
    isSameWire: true,
    dropped: [],
  };
}
