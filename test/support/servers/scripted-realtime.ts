// A real upstream of OpenAI's Realtime API on node:http: it takes or refuses handshakes as a test says, answers `response.create`
// with audio and a `response.done` that bills it, and remembers what it was sent.
import { createServer, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { acceptOf, createPeer, type Frame, type WebSocketPeer } from "./websocket-peer.ts";

/** How handshakes for a model are met. */
type Handshake =
  /** `isMute`: a close frame is never answered. */
  | { readonly kind: "accept"; readonly isMute?: boolean }
  | {
      readonly kind: "refuse";
      readonly status: number;
      readonly body?: unknown;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | { readonly kind: "hang" };

/** One handshake as it came, and the session where it was taken. */
export type SeenHandshake = {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly peer: WebSocketPeer | undefined;
};

export interface ScriptedRealtime {
  /** Base URL without a path; providers take `${url}/v1`. */
  readonly url: string;
  /** Handshakes for a model (or deployment), oldest first. */
  seen(model: string): readonly SeenHandshake[];
  /** The upstream's end of a model's newest session; throws where there is none. */
  session(model: string): WebSocketPeer;
  script(model: string, handshake: Handshake): void;
  close(): Promise<void>;
}

/** What each response is billed with: the example of OpenAI's own reference, with audio in all its places. */
const USAGE = {
  total_tokens: 275,
  input_tokens: 127,
  output_tokens: 148,
  input_token_details: {
    text_tokens: 87,
    audio_tokens: 40,
    cached_tokens: 64,
    cached_tokens_details: { text_tokens: 34, audio_tokens: 30 },
  },
  output_token_details: { text_tokens: 36, audio_tokens: 112 },
};

/** What so many responses were billed with, by the names of our spans. */
export function billed(responses: number) {
  return {
    "gen_ai.usage.input_tokens": responses * 127,
    "gen_ai.usage.output_tokens": responses * 148,
    "gen_ai.usage.cache_read.input_tokens": responses * 64,
    "gateway.usage.input_audio_tokens": responses * 40,
    "gateway.usage.cache_read_audio_tokens": responses * 30,
    "gateway.usage.output_audio_tokens": responses * 112,
  };
}

export async function startScriptedRealtime(): Promise<ScriptedRealtime> {
  const handshakes: (SeenHandshake & { readonly model: string })[] = [];
  const scripts = new Map<string, Handshake>();
  const sockets = new Set<Socket>();
  const server = createServer((_, response) => response.writeHead(426).end());

  server.on("upgrade", (request: IncomingMessage, stream, head: Buffer) => {
    // node:http hands out its own connection, which over http is a net.Socket.
    const socket = stream as Socket;
    sockets.add(socket);
    socket.setNoDelay(true);
    const model = modelOf(request);
    const script = scripts.get(model) ?? { kind: "accept" };
    const about = { model, path: request.url ?? "", headers: request.headers };
    if (script.kind !== "accept") {
      handshakes.push({ ...about, peer: undefined });
      if (script.kind === "refuse") refuse(socket, script);
      return;
    }
    socket.write(switching(request));
    const isMute = script.isMute === true;
    const peer = createPeer(socket, {
      isClient: false,
      isMute,
      head,
      onFrame: (frame) => answer(peer, frame),
    });
    handshakes.push({ ...about, peer });
    peer.send(
      JSON.stringify({
        type: "session.created",
        event_id: "event_1",
        session: { id: `sess_${model}`, model },
      }),
    );
  });

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // A TCP server that listens has an AddressInfo (Node's types allow a pipe name or null as well).
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    seen: (model) => handshakes.filter((each) => each.model === model),
    session(model) {
      const { peer } = handshakes.findLast((each) => each.model === model && each.peer !== undefined) ?? {};
      if (peer === undefined) throw new Error(`no session of ${model} was opened`);
      return peer;
    },
    script: (model, handshake) => {
      scripts.set(model, handshake);
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function modelOf({ url }: IncomingMessage): string {
  const { searchParams } = new URL(url ?? "", "http://upstream");
  return searchParams.get("model") ?? searchParams.get("deployment") ?? "";
}

function switching({ headers }: IncomingMessage): string {
  const asked = headers["sec-websocket-protocol"];
  return [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${acceptOf(headers["sec-websocket-key"] ?? "")}`,
    ...(asked === undefined ? [] : [`Sec-WebSocket-Protocol: ${asked}`]),
    "x-request-id: req_upstream_1",
    "\r\n",
  ].join("\r\n");
}

function refuse(
  socket: Socket,
  { status, body = {}, headers = {} }: Extract<Handshake, { kind: "refuse" }>,
): void {
  const text = JSON.stringify(body);
  const lines = Object.entries({ "content-type": "application/json", ...headers }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  socket.end(
    [
      `HTTP/1.1 ${status} No`,
      "Connection: close",
      `Content-Length: ${Buffer.byteLength(text)}`,
      ...lines,
    ].join("\r\n") + `\r\n\r\n${text}`,
  );
}

/** Says one word of what it was asked, as audio, and bills it. Binary frames come back as they are. */
function answer(peer: WebSocketPeer, frame: Frame): void {
  if (typeof frame !== "string") return peer.send(frame);
  const { type } = readEvent(frame);
  if (type !== "response.create") return;
  const delta = Buffer.from("sound").toString("base64");
  peer.send(JSON.stringify({ type: "response.output_audio.delta", event_id: "event_2", delta }));
  const response = {
    id: "resp_1",
    object: "realtime.response",
    status: "completed",
    output: [],
    usage: USAGE,
  };
  peer.send(JSON.stringify({ event_id: "event_3", type: "response.done", response }));
}

export function readEvent(frame: Frame): { readonly type?: string } & Readonly<Record<string, unknown>> {
  try {
    // A test's own events, or the upstream's.
    return JSON.parse(frame.toString()) as Readonly<Record<string, unknown>>;
  } catch {
    return {};
  }
}
