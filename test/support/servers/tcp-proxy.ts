// A TCP proxy in front of a server that a test can close and open again: a closed one refuses connections, as a collector
// that is down does.
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

export interface TcpProxy {
  /** What clients are given; the same through all openings. */
  readonly url: string;
  open(): Promise<void>;
  /** Refuses new connections and breaks the open ones. */
  close(): Promise<void>;
}

/** A proxy to `http://127.0.0.1:port`, open at first. */
export async function startTcpProxy(target: string): Promise<TcpProxy> {
  const targetPort = Number(new URL(target).port);
  const sockets = new Set<Socket>();
  let server: Server | undefined;
  let port = 0;

  function pass(client: Socket): void {
    const upstream = connect(targetPort, "127.0.0.1");
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      socket.on("error", () => socket.destroy());
    }
    client.pipe(upstream).pipe(client);
  }

  const proxy: TcpProxy = {
    get url() {
      return `http://127.0.0.1:${port}`;
    },
    open: () =>
      new Promise((resolve, reject) => {
        const opening = createServer(pass);
        server = opening;
        opening.once("error", reject);
        opening.listen(port, "127.0.0.1", () => {
          // A TCP server that listens has an AddressInfo.
          ({ port } = opening.address() as AddressInfo);
          resolve();
        });
      }),
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        if (server === undefined) return resolve();
        server.close(() => resolve());
        server = undefined;
      }),
  };
  await proxy.open();
  return proxy;
}
