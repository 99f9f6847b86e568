/** What the queue object needs to record requests whose Worker died: the bindings, put together from its `env`. */

import { readSettings } from "../../config.ts";
import { readBundle } from "../../tenants/bundle.ts";
import { DIRECTORY_NAME } from "../../tenants/storage-keys.ts";
import type { DirectoryRpc } from "../../tenants/directory/directory-api.ts";
import type { Retention } from "../../telemetry/store/stored-trace.ts";
import { VERSION } from "../../version.ts";
import type { QueueEntry } from "../leases/queue-entry.ts";
import { exportAbandoned } from "./abandoned-export.ts";
import { abandonedTrace } from "./abandoned.ts";

export function directoryOf(env: Env): DirectoryRpc {
  return env.DIRECTORY.getByName(DIRECTORY_NAME);
}

/** Sends the traces of those requests to where their Workers would have sent them. Never rejects. */
export function recordAbandoned(
  env: Env,
  tenantId: string,
  entries: readonly QueueEntry[],
  retention: Retention | undefined,
  now: number,
): Promise<void> {
  const { serviceName, otlpEndpoint } = readSettings(env);
  const traces = entries.map((entry) => abandonedTrace(entry, tenantId, now));
  return exportAbandoned(traces, retention, {
    tenantId,
    resource: { serviceName, serviceVersion: VERSION },
    hasOperator: otlpEndpoint !== undefined,
    store: env.TRACE_STORE.getByName(tenantId),
    outboxOf: (name) => env.TRACE_OUTBOX.getByName(name),
    readTracing: async () => (await readBundle(directoryOf(env), tenantId))?.tenant.tracing,
    newId: () => crypto.randomUUID(),
  });
}
