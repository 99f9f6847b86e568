// Writes the Cap'n Proto configuration with which plain `workerd serve` runs the gateway or one of the floor Workers.
// Plain workerd, because any development proxy costs several times what is to be measured.

export type WorkerConfig = {
  /** The Worker's module, relative to the configuration file. */
  readonly module: string;
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
  readonly vars: Readonly<Record<string, string>>;
  readonly kvBindings: readonly string[];
  readonly durableObjects: readonly { readonly binding: string; readonly className: string }[];
  /** The folder Durable Objects are kept in; workerd's `inMemory` has no SQL. Needed where there are any. */
  readonly durableObjectDir?: string;
  /** Of the whole process: workerd has one set of them. */
  readonly v8Flags?: readonly string[];
};

/** A whole configuration: socket `http` on a free port of 127.0.0.1, outbound network to this machine allowed. */
export function workerdConfig(worker: WorkerConfig): string {
  const { kvBindings, durableObjects, v8Flags = [] } = worker;
  const services = [
    `(name = "main", worker = .mainWorker)`,
    `(name = "internet", network = (allow = ["public", "private"]))`,
    ...kvBindings.map((name) => `(name = ${quote(kvService(name))}, worker = .kvWorker)`),
    ...(worker.durableObjectDir === undefined
      ? []
      : [`(name = "disk", disk = (path = ${quote(worker.durableObjectDir)}, writable = true))`]),
  ];
  const bindings = [
    ...Object.entries(worker.vars).map(([name, text]) => `(name = ${quote(name)}, text = ${quote(text)})`),
    ...kvBindings.map((name) => `(name = ${quote(name)}, kvNamespace = ${quote(kvService(name))})`),
    ...durableObjects.map(
      ({ binding, className }) => `(name = ${quote(binding)}, durableObjectNamespace = ${quote(className)})`,
    ),
  ];
  const namespaces = durableObjects.map(
    ({ className }) => `(className = ${quote(className)}, uniqueKey = ${quote(className)}, enableSql = true)`,
  );
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [${services.join(", ")}],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
  v8Flags = [${v8Flags.map(quote).join(", ")}],
);

const mainWorker :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed ${quote(worker.module)})],
  compatibilityDate = ${quote(worker.compatibilityDate)},
  compatibilityFlags = [${worker.compatibilityFlags.map(quote).join(", ")}],
  bindings = [${bindings.join(", ")}],
  durableObjectNamespaces = [${namespaces.join(", ")}],
  ${namespaces.length > 0 ? `durableObjectStorage = (localDisk = "disk"),` : ""}
);

const kvWorker :Workerd.Worker = (
  modules = [(name = "kv.js", esModule = embed "kv.js")],
  compatibilityDate = ${quote(worker.compatibilityDate)},
);
`;
}

function kvService(binding: string): string {
  return `kv-${binding}`;
}

/** A Cap'n Proto text literal; its escapes are those of JSON for all that occurs here. */
function quote(text: string): string {
  return JSON.stringify(text);
}
