// A port in front of a server that can be shut and opened again: connections to a shut one are refused, as by a collector that
// is down. Called by the client tests of the export.
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

export interface Door {
  /** What clients are given; the same through all openings. */
  readonly url: string;
  open(): Promise<void>;
  /** Refuses new connections and breaks those that are there. */
  shut(): Promise<void>;
}

/** A door to `http://127.0.0.1:port`, open at first. */
export async function startDoor(target: string): Promise<Door> {
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

  const door: Door = {
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
    shut: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        if (server === undefined) return resolve();
        server.close(() => resolve());
        server = undefined;
      }),
  };
  await door.open();
  return door;
}
