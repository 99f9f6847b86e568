// One end of a WebSocket by hand (RFC 6455, no extensions): frames in and out over a Node socket, close codes as they came. It
// shows what no client library does: the refusal's HTTP body, a connection that breaks without a word, a close without an answer.
import { createHash, randomBytes } from "node:crypto";
import { request, type IncomingHttpHeaders } from "node:http";
import type { Socket } from "node:net";

export type Frame = string | Buffer;

/** How the other side ended: its close frame, or a connection that broke; `code` is undefined where the frame had none. */
export type PeerEnd =
  | { readonly kind: "closed"; readonly code: number | undefined; readonly reason: string }
  | { readonly kind: "lost" };

export interface WebSocketPeer {
  /** Everything the other side has sent so far. */
  readonly received: readonly Frame[];
  readonly ended: Promise<PeerEnd>;
  send(frame: Frame): void;
  close(code?: number, reason?: string): void;
  /** Breaks the connection without a close frame. */
  destroy(): void;
  /** The first frame for which this holds, come or still to come; throws when the other side ends before it. */
  waitFor(holds: (frame: Frame) => boolean): Promise<Frame>;
}

type PeerOptions = {
  /** A client masks what it sends. */
  readonly isClient: boolean;
  readonly onFrame?: (frame: Frame) => void;
  /** Leaves the other side's close frame unanswered. */
  readonly isMute?: boolean;
  /** Bytes that came with the handshake. */
  readonly head?: Buffer;
};

const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
const FINAL = 0x80;
const MASKED = 0x80;
const CONTINUATION = 0;

/** https://www.rfc-editor.org/rfc/rfc6455#section-1.3 */
const ACCEPT_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

export function acceptOf(key: string): string {
  return createHash("sha1")
    .update(key + ACCEPT_GUID)
    .digest("base64");
}

export function createPeer(socket: Socket, options: PeerOptions): WebSocketPeer {
  const { isClient, onFrame, isMute = false } = options;
  const received: Frame[] = [];
  const watchers = new Set<() => void>();
  const { promise: ended, resolve: end } = Promise.withResolvers<PeerEnd>();
  let isOver = false;
  let hasClosed = false;
  let buffer = options.head ?? Buffer.alloc(0);
  let message: { readonly opcode: number; readonly parts: Buffer[] } | undefined;

  function write(opcode: number, payload: Buffer): void {
    if (!socket.destroyed) socket.write(encodeFrame(opcode, payload, isClient));
  }

  function close(code?: number, reason = ""): void {
    if (hasClosed) return;
    hasClosed = true;
    const head = Buffer.alloc(code === undefined ? 0 : 2);
    if (code !== undefined) head.writeUInt16BE(code);
    write(CLOSE, Buffer.concat([head, Buffer.from(reason)]));
  }

  function finish(how: PeerEnd): void {
    if (isOver) return;
    isOver = true;
    end(how);
    for (const watch of watchers) watch();
  }

  function onClose(payload: Buffer): void {
    const code = payload.length < 2 ? undefined : payload.readUInt16BE();
    const reason = payload.subarray(2).toString();
    finish({ kind: "closed", code, reason });
    if (isMute) return;
    close(code, reason);
    // The server is the one to end the connection.
    if (!isClient) socket.end();
  }

  function take(opcode: number, payload: Buffer, isFinal: boolean): void {
    if (opcode === CLOSE) return onClose(payload);
    if (opcode === PING) return write(PONG, payload);
    if (opcode === PONG) return;
    message ??= { opcode, parts: [] };
    message.parts.push(payload);
    if (!isFinal) return;
    const whole = Buffer.concat(message.parts);
    const frame = message.opcode === TEXT ? whole.toString() : whole;
    message = undefined;
    received.push(frame);
    onFrame?.(frame);
    for (const watch of watchers) watch();
  }

  function read(): void {
    for (;;) {
      const frame = decodeFrame(buffer);
      if (frame === undefined) return;
      buffer = buffer.subarray(frame.size);
      take(frame.opcode, frame.payload, frame.isFinal);
    }
  }

  socket.on("data", (chunk: Buffer) => {
    buffer = Buffer.concat([buffer, chunk]);
    read();
  });
  socket.on("error", () => finish({ kind: "lost" }));
  socket.on("close", () => finish({ kind: "lost" }));
  queueMicrotask(read);

  return {
    received,
    ended,
    send: (frame) => (typeof frame === "string" ? write(TEXT, Buffer.from(frame)) : write(BINARY, frame)),
    close,
    destroy: () => socket.destroy(),
    waitFor: (holds) =>
      new Promise((resolve, reject) => {
        const watch = (): void => {
          const found = received.find(holds);
          if (found === undefined && !isOver) return;
          watchers.delete(watch);
          if (found === undefined) reject(new Error("the other side ended before such a frame came"));
          else resolve(found);
        };
        watchers.add(watch);
        watch();
      }),
  };
}

function encodeFrame(opcode: number, payload: Buffer, isMasked: boolean): Buffer {
  const { length } = payload;
  const mask = isMasked ? MASKED : 0;
  const extended = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const head = Buffer.alloc(2 + extended);
  head[0] = FINAL | opcode;
  head[1] = mask | (extended === 0 ? length : extended === 2 ? 126 : 127);
  if (extended === 2) head.writeUInt16BE(length, 2);
  if (extended === 8) head.writeBigUInt64BE(BigInt(length), 2);
  if (!isMasked) return Buffer.concat([head, payload]);
  const key = randomBytes(4);
  return Buffer.concat([head, key, mixIn(payload, key)]);
}

/** The first whole frame of the bytes; undefined while there is none. */
function decodeFrame(bytes: Buffer) {
  if (bytes.length < 2) return undefined;
  const first = bytes.readUInt8(0);
  const second = bytes.readUInt8(1);
  const short = second & 0x7f;
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
  const keyLength = second & MASKED ? 4 : 0;
  const start = 2 + extended + keyLength;
  if (bytes.length < start) return undefined;
  const length =
    extended === 2 ? bytes.readUInt16BE(2) : extended === 8 ? Number(bytes.readBigUInt64BE(2)) : short;
  if (bytes.length < start + length) return undefined;
  const body = Buffer.from(bytes.subarray(start, start + length));
  const payload = keyLength === 0 ? body : mixIn(body, bytes.subarray(start - keyLength, start));
  const opcode = first & 0x0f;
  return {
    opcode: opcode === CONTINUATION ? TEXT : opcode,
    payload,
    isFinal: (first & FINAL) !== 0,
    size: start + length,
  };
}

function mixIn(payload: Buffer, key: Buffer): Buffer {
  return Buffer.from(payload.map((byte, at) => byte ^ (key[at & 3] ?? 0)));
}

export type Opened =
  | { readonly kind: "open"; readonly peer: WebSocketPeer; readonly headers: IncomingHttpHeaders }
  | {
      readonly kind: "refused";
      readonly status: number;
      readonly headers: IncomingHttpHeaders;
      readonly body: string;
    };

/** A client's handshake; `url` is http. */
export function openWebSocket(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Opened> {
  return new Promise((resolve, reject) => {
    const key = randomBytes(16).toString("base64");
    const asked = request(url, {
      headers: {
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": key,
        ...headers,
      },
    });
    asked.on("upgrade", ({ headers: answered }, socket, head) => {
      if (answered["sec-websocket-accept"] !== acceptOf(key)) return reject(new Error("a wrong handshake"));
      const peer = createPeer(socket, { isClient: true, head });
      resolve({ kind: "open", peer, headers: answered });
    });
    asked.on("response", (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (body += chunk));
      response.on("end", () =>
        resolve({ kind: "refused", status: response.statusCode ?? 0, headers: response.headers, body }),
      );
    });
    asked.on("error", reject);
    asked.end();
  });
}
