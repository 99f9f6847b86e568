// A keep-alive HTTP/1.1 client on a bare socket, for the load generator: one request at a time a connection, timed to the first
// body byte and to the end. It knows content-length and chunked bodies and nothing else.
import { connect, type Socket } from "node:net";

export type Exchange = {
  readonly status: number;
  readonly body: string;
  /** Milliseconds from the write of the request. */
  readonly firstByteMs: number;
  readonly totalMs: number;
  /** Milliseconds between each stamped chunk's `stamp` (monotonic ns at the mock's write) and its arrival here. */
  readonly chunkDelaysMs: readonly number[];
};

export type Connection = {
  exchange(request: Buffer): Promise<Exchange>;
  close(): void;
};

const HEAD_END = Buffer.from("\r\n\r\n");
const LAST_CHUNK = "0\r\n\r\n";
const STAMP = /"stamp":"(\d+)"/g;
const NS_PER_MS = 1e6;

type Pending = {
  readonly startedAt: number;
  readonly resolve: (exchange: Exchange) => void;
  readonly reject: (error: Error) => void;
  firstByteMs: number | undefined;
  readonly delays: number[];
};
type Head = { readonly status: number; readonly bodyAt: number; readonly length: number | "chunked" };

export async function openConnection(host: string, port: number): Promise<Connection> {
  const socket: Socket = connect({ host, port, noDelay: true });
  await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  let pending: Pending | undefined;
  let parts: Buffer[] = [];
  let size = 0;
  let head: Head | undefined;

  const fail = (error: Error): void => pending?.reject(error);
  socket.on("error", fail);
  socket.on("close", () => fail(new Error("the connection was closed before the answer's end")));
  socket.on("data", (data) => {
    if (pending === undefined) return;
    const now = performance.now();
    parts.push(data);
    size += data.length;
    head ??= readHead(join());
    if (head === undefined) return;
    if (size > head.bodyAt) pending.firstByteMs ??= now - pending.startedAt;
    noteStamps(data, pending.delays);
    if (!isComplete(head, size, data, join)) return;
    const { status, bodyAt, length } = head;
    const raw = join().subarray(bodyAt);
    const done = pending;
    pending = undefined;
    head = undefined;
    parts = [];
    size = 0;
    done.resolve({
      status,
      body: length === "chunked" ? dechunk(raw) : raw.toString(),
      firstByteMs: done.firstByteMs ?? now - done.startedAt,
      totalMs: now - done.startedAt,
      chunkDelaysMs: done.delays,
    });
  });

  function join(): Buffer {
    if (parts.length > 1) parts = [Buffer.concat(parts)];
    return parts[0] ?? Buffer.alloc(0);
  }

  return {
    exchange: (request) =>
      new Promise((resolve, reject) => {
        pending = { startedAt: performance.now(), resolve, reject, firstByteMs: undefined, delays: [] };
        socket.write(request);
      }),
    close: () => {
      pending = undefined;
      socket.destroy();
    },
  };
}

function readHead(bytes: Buffer): Head | undefined {
  const end = bytes.indexOf(HEAD_END);
  if (end < 0) return undefined;
  const text = bytes.toString("latin1", 0, end).toLowerCase();
  const length = /\r\ncontent-length: *(\d+)/.exec(text)?.[1];
  return {
    status: Number(text.slice(9, 12)),
    bodyAt: end + HEAD_END.length,
    length: length === undefined ? "chunked" : Number(length),
  };
}

/** Looks for the last chunk only where the newest bytes end like one: parsing every chunk on arrival would cost too much. */
function isComplete(head: Head, size: number, newest: Buffer, all: () => Buffer): boolean {
  if (head.length !== "chunked") return size >= head.bodyAt + head.length;
  // A head alone may end like a last chunk.
  if (size < head.bodyAt + LAST_CHUNK.length) return false;
  const tail = newest.length >= LAST_CHUNK.length ? newest : all();
  return tail.subarray(-LAST_CHUNK.length).toString("latin1") === LAST_CHUNK;
}

/** Joins the chunks of a chunked body; throws where the framing is broken. */
function dechunk(raw: Buffer): string {
  const chunks: Buffer[] = [];
  for (let at = 0; ;) {
    const lineEnd = raw.indexOf("\r\n", at);
    const length = Number.parseInt(raw.toString("latin1", at, lineEnd), 16);
    if (lineEnd < 0 || Number.isNaN(length)) throw new Error("broken chunked framing");
    if (length === 0) return Buffer.concat(chunks).toString();
    chunks.push(raw.subarray(lineEnd + 2, lineEnd + 2 + length));
    at = lineEnd + 2 + length + 2;
  }
}

function noteStamps(data: Buffer, delays: number[]): void {
  if (!data.includes('"stamp"')) return;
  const now = process.hrtime.bigint();
  for (const [, stamp] of data.toString("latin1").matchAll(STAMP)) {
    delays.push(Number(now - BigInt(stamp ?? now)) / NS_PER_MS);
  }
}
