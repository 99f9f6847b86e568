/**
 * The client's half of a Realtime handshake: what OpenAI's SDKs say in subprotocols and query, where a browser can set
 * no header. Pure. https://platform.openai.com/docs/guides/realtime-websocket (seen 2026-11)
 */

const REALTIME = "realtime";
const KEY_PREFIX = "openai-insecure-api-key.";
/** How a browser says `openai-beta: realtime=v1`. */
const BETA_PROTOCOL = "openai-beta.realtime-v1";
const BETA_HEADER = "realtime=v1";

/** What the upstream's handshake is made of, besides target and credential. */
export interface RealtimeAsk {
  /** The one subprotocol that may be answered: the others hold a key, or stand for a header. */
  readonly protocol?: string;
  readonly beta?: string;
  /** All but the model and the key, as the client wrote it. */
  readonly query: URLSearchParams;
  /**
   * The session has no model of its own: a transcription, or a call under way (`call_id`). The model then only says where
   * the session goes, and the client names others within it.
   */
  readonly isModelless: boolean;
}

export function isWebSocketUpgrade(headers: Headers): boolean {
  return headers.get("upgrade")?.toLowerCase() === "websocket";
}

/** The gateway key among the subprotocols; null where there is none, or the request is not for a WebSocket. */
export function keyInSubprotocols(headers: Headers): string | null {
  if (!isWebSocketUpgrade(headers)) return null;
  const bearer = protocolsOf(headers).find((protocol) => protocol.startsWith(KEY_PREFIX));
  return bearer === undefined ? null : bearer.slice(KEY_PREFIX.length);
}

/** Parameters that may hold a key: `key` and Azure's `api-key` are some clients' habit, and no vendor's business here. */
const KEPT_BACK = ["model", "key", "api-key", "authorization"];

export function readRealtimeAsk(headers: Headers, params: URLSearchParams): RealtimeAsk {
  const protocols = protocolsOf(headers);
  const query = new URLSearchParams([...params].filter(([name]) => !KEPT_BACK.includes(name.toLowerCase())));
  return {
    ...(protocols.includes(REALTIME) && { protocol: REALTIME }),
    ...(protocols.includes(BETA_PROTOCOL) && !headers.has("openai-beta") && { beta: BETA_HEADER }),
    query,
    isModelless: query.has("intent") || query.has("call_id"),
  };
}

function protocolsOf(headers: Headers): readonly string[] {
  return (headers.get("sec-websocket-protocol") ?? "").split(",").map((protocol) => protocol.trim());
}
