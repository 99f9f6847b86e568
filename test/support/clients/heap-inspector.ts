// How much of its heap a Worker on plain workerd really uses: V8's inspector collects garbage, then measures. workerd must
// run with `--expose-gc` and its inspector on.

/** workerd lists the Workers of a process by service; the gateway's is this one. */
const SERVICE = "main";
const BYTES_PER_MIB = 1024 * 1024;
/** A collection of some 40 MiB takes about 50 ms; the process may be busy with requests. */
const ANSWER_TIMEOUT_MS = 15_000;

type Message = {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly context?: { readonly id: number } };
  readonly result?: { readonly usedSize?: number; readonly backingStorageSize?: number };
  readonly error?: { readonly message: string };
};

export type HeapUse = {
  /** Objects, after a full collection. */
  readonly heapMib: number;
  /** Bytes of array buffers, which V8's heap limit does not count. */
  readonly buffersMib: number;
};

export async function measureHeap(inspectorUrl: string): Promise<HeapUse> {
  const socket = new WebSocket(`${inspectorUrl.replace("http:", "ws:")}/${SERVICE}`);
  const waiting = new Map<number, (message: Message) => void>();
  const context = Promise.withResolvers<number>();
  const failed = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => failed.reject(new Error("V8's inspector did not answer in time")),
    ANSWER_TIMEOUT_MS,
  );
  socket.addEventListener("error", () => failed.reject(new Error("V8's inspector is not there")));
  socket.addEventListener("close", () => failed.reject(new Error("V8's inspector has hung up")));
  socket.addEventListener("message", ({ data }) => {
    // The inspector's protocol: answers have an id, events a method.
    const message = JSON.parse(String(data)) as Message;
    if (message.params?.context !== undefined) context.resolve(message.params.context.id);
    if (message.id !== undefined) waiting.get(message.id)?.(message);
  });

  async function call(method: string, params: object = {}): Promise<Message> {
    const id = waiting.size + 1;
    const { promise, resolve } = Promise.withResolvers<Message>();
    waiting.set(id, resolve);
    socket.send(JSON.stringify({ id, method, params }));
    const answer = await promise;
    if (answer.error !== undefined) throw new Error(`${method}: ${answer.error.message}`);
    return answer;
  }

  async function measure(): Promise<HeapUse> {
    await new Promise((resolve) => socket.addEventListener("open", resolve));
    await call("Runtime.enable");
    const contextId = await context.promise;
    // Twice: what a first collection finalizes, the second one frees.
    await call("Runtime.evaluate", { expression: "gc(); gc();", contextId });
    const { result = {} } = await call("Runtime.getHeapUsage");
    return {
      heapMib: (result.usedSize ?? Number.NaN) / BYTES_PER_MIB,
      buffersMib: (result.backingStorageSize ?? Number.NaN) / BYTES_PER_MIB,
    };
  }

  try {
    return await Promise.race([measure(), failed.promise]);
  } finally {
    clearTimeout(timer);
    socket.close();
  }
}
