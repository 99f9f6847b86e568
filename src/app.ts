/** What Hono's handlers share: the Worker's bindings, and what the middlewares have found out of a request. */

import type { Deps } from "./pipeline/ports.ts";
import type { DirectoryApi } from "./tenants/directory-api.ts";
import type { Settings } from "./config.ts";
import type { QueueRpc } from "./limits/protocol.ts";
import type { RequestFacts } from "./pipeline/request-facts.ts";
import type { RequestTrace } from "./telemetry/trace.ts";
import type { TraceReader } from "./telemetry/trace-reader.ts";
import type { OpenDestination } from "./tenants/open-records.ts";
import type { KeyRecord, TenantBundle } from "./tenants/records.ts";
import type { TenantSource } from "./tenants/source.ts";

/** What the isolate offers to every request; built once by worker.ts. */
export interface Services {
  readonly settings: Settings;
  readonly directory: DirectoryApi;
  readonly tenants: TenantSource;
  readonly traces: TraceReader;
  readonly queueOf: (tenantId: string) => Pick<QueueRpc, "snapshot">;
  /** The pipeline's ports for one request of one tenant. */
  readonly depsFor: (bundle: TenantBundle, defer: (work: Promise<unknown>) => void) => Deps;
  /** A tenant's own trace destinations, their headers opened. */
  readonly openDestinations: (bundle: TenantBundle) => Promise<readonly OpenDestination[]>;
  readonly now: () => number;
}

export interface Caller {
  readonly bundle: TenantBundle;
  readonly key: KeyRecord;
}

/** The request's trace and facts, and who ends them. */
export interface RequestScope {
  readonly trace: RequestTrace;
  readonly facts: RequestFacts;
  /** The response's body outlives the handler: the root span ends when the returned function is called. */
  hold(): () => void;
}

export interface AppEnv {
  Bindings: Env;
  Variables: {
    requestId: string;
    settings: Settings;
    services: Services;
    scope: RequestScope;
    /** Set by middleware/authenticate.ts: there on every route of the data plane. */
    caller: Caller;
  };
}
