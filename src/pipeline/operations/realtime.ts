/**
 * `GET /v1/realtime`: a WebSocket to a target that speaks OpenAI's Realtime API. Planned, admitted, tried and traced like
 * any request as far as the handshake; the lease is then held for as long as the session lasts. Called by routes/realtime.ts.
 */

import { admit } from "../lease.ts";
import { firstSuccess, type Held } from "../attempts/attempts.ts";
import { concludeFailure } from "../end.ts";
import type { RealtimeAsk } from "../../wires/openai-realtime/handshake.ts";
import { GatewayError, toGatewayError } from "../../errors.ts";
import type { RealtimeExchange } from "../attempts/exchange.ts";
import type { BareCall, Deps } from "../ports.ts";
import { routeFresh } from "../routed.ts";
import type { Provider, Target } from "../../providers/provider.ts";

/**
 * The client's end of the session, once an upstream has taken it. Throws a row of the error table, before the client's
 * handshake is answered.
 */
export async function realtime(asked: BareCall, ask: RealtimeAsk, deps: Deps): Promise<WebSocket> {
  if (ask.isModelless && asked.key.allowedModels !== undefined) {
    const message = "A key that is bound to models may not open a session without one.";
    throw new GatewayError("permission_denied", message);
  }
  const { call, plan } = await routeFresh(asked, deps);
  const admission = await admit(call, deps, plan);
  const admitted = { ...call, signal: () => admission.signal };
  const open: Held["open"] = (provider, target) => openHandshake(ask, provider, target);
  try {
    const { socket } = await firstSuccess(admitted, plan, { admission, cacheKey: undefined, open }, deps);
    if (socket !== undefined) return socket;
    throw new GatewayError("internal_error", "A handshake came to no session.");
  } catch (thrown) {
    const error = toGatewayError(thrown);
    concludeFailure(call, admission, error, deps);
    throw error;
  }
}

function openHandshake(
  { protocol, beta, query, isModelless }: RealtimeAsk,
  provider: Provider,
  target: Target,
): RealtimeExchange {
  const request = provider.toRealtime?.(target, query, isModelless);
  if (request === undefined) {
    const message = `'${target.account.name}' (${provider.kind}) has no Realtime API of OpenAI's form.`;
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
    upstreamDialect: undefined,
    isSameWire: true,
    dropped: [],
  };
}
