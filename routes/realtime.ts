/** `GET /v1/realtime`: OpenAI's Realtime API over a WebSocket; the model is a route's name or `provider/model`. */

import type { Context } from "hono";
import type { AppEnv } from "../src/app-types.ts";
import { isWebSocketUpgrade, readRealtimeAsk } from "../src/wires/openai-realtime/handshake.ts";
import { GatewayError } from "../src/errors.ts";
import { realtime } from "../src/pipeline/operations/realtime.ts";
import { readRequestOptions } from "../src/pipeline/request-options.ts";
import { openCall, unreadRequest } from "../src/http/open-call.ts";

const SWITCHING_PROTOCOLS = 101;

export async function openRealtime(c: Context<AppEnv>): Promise<Response> {
  const { headers, url } = c.req.raw;
  if (!isWebSocketUpgrade(headers)) {
    const message = "This path is a WebSocket. Connect with 'upgrade: websocket'.";
    // RFC 9110 wants an `upgrade` header beside a 426, which workerd does not let a response carry.
    throw new GatewayError("upgrade_required", message);
  }
  const params = new URL(url).searchParams;
  const model = params.get("model") ?? c.var.caller.bundle.tenant.defaultRoute;
  if (model === undefined || model === "") {
    const message = "The query must name a `model`: a route, or `provider/model`.";
    throw new GatewayError("invalid_request", message, { param: "model" });
  }
  const ask = readRealtimeAsk(headers, params);
  const chat = unreadRequest("realtime", model, "", true);
  const { call, deps, hold } = openCall(c, chat, readRequestOptions(headers));
  const webSocket = await realtime(call, ask, deps);
  hold();
  return new Response(null, {
    status: SWITCHING_PROTOCOLS,
    webSocket,
    ...(ask.protocol !== undefined && { headers: { "sec-websocket-protocol": ask.protocol } }),
  });
}
