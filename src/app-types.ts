/** The types that Hono's handlers share: the Worker's bindings, and what the middlewares set for a request. */

import type { Deps } from "./pipeline/ports.ts";
import type { AdminCaller } from "./tenants/admin/roles.ts";
import type { DirectoryApi, Writer } from "./tenants/directory/directory-api.ts";
import type { Settings } from "./config.ts";
import type { UnqueuedRate } from "./limits/isolate/unqueued-rate.ts";
import type { SharedTimer } from "./runtime/shared-timer.ts";
import type { QueueClient } from "./limits/isolate/queue-client.ts";
import type { QueueRpc } from "./limits/protocol.ts";
import type { UsageReader } from "./limits/isolate/usage-reader.ts";
import type { RequestFacts } from "./pipeline/request-facts.ts";
import type { ProbeReport } from "./telemetry/export/destination-probe.ts";
import type { ExportStatus } from "./telemetry/export/export-counters.ts";
import type { MetricsReader } from "./telemetry/metrics/metrics-reader.ts";
import type { RequestTrace } from "./telemetry/trace/trace.ts";
import type { TraceReader } from "./telemetry/store/trace-reader.ts";
import type { LimitRules } from "./tenants/records/limit-rules.ts";
import type { BodyMemory } from "./limits/isolate/body-memory.ts";
import type { KeyRecord, TenantBundle } from "./tenants/records/records.ts";
import type { TenantSource } from "./tenants/source.ts";

/** What an isolate provides to all requests; built once. */
export interface Services {
  readonly settings: Settings;
  /** The deployment's defaults and ceilings of limits. */
  readonly limitRules: LimitRules;
  /** For one caller, whom the audit names. */
  readonly directoryFor: (writer: Writer) => DirectoryApi;
  /** Whose token of the admin plane it is; undefined for one that is not valid. Throws `overloaded`, `unavailable`. */
  readonly findAdmin: (token: string) => Promise<AdminCaller | undefined>;
  readonly tenants: TenantSource;
  readonly traces: TraceReader;
  readonly metrics: MetricsReader;
  readonly queueOf: (tenantId: string) => Pick<QueueRpc, "snapshot" | "raiseLimits" | "drain" | "fetch">;
  /** Rows of a tenant's usage, or of each tenant's. Throws `invalid_request` where there are too many tenants. */
  readonly readUsage: UsageReader;
  /** Counts a request without a lease in its tenant's usage. */
  readonly noteUsage: QueueClient["note"];
  /** The pipeline's ports for one request of one tenant. */
  readonly depsFor: (
    bundle: TenantBundle,
    defer: (work: Promise<unknown>) => void,
    timer: SharedTimer,
  ) => Deps;
  /** The delivery of a tenant's traces in all isolates; of the operator's when undefined. Throws `unavailable`. */
  readonly exportStatusOf: (tenantId: string | undefined) => Promise<readonly ExportStatus[]>;
  /** Sends a test span; undefined when the tenant has no such destination. */
  readonly testDestination: (bundle: TenantBundle, name: string) => Promise<ProbeReport | undefined>;
  /** The bytes of bodies that the isolate holds. */
  readonly bodies: BodyMemory;
  /** How often a key's requests may be answered without the tenant's queue. */
  readonly unqueued: UnqueuedRate;
  readonly now: () => number;
}

export interface Caller {
  readonly bundle: TenantBundle;
  readonly key: KeyRecord;
}

/** The request's trace and facts. */
export interface RequestScope {
  readonly trace: RequestTrace;
  readonly facts: RequestFacts;
  readonly timer: SharedTimer;
  /** The head's own part of each response, for the handler that makes one: it is written onto all others afterwards. */
  head(): Readonly<Record<string, string>>;
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
    /** Set by middleware/authenticate.ts on every route of the data plane. */
    caller: Caller;
    /** Set by middleware/admin-auth.ts on every route of the admin plane, with the records as this caller reads and writes them. */
    admin: AdminCaller;
    directory: DirectoryApi;
  };
}
