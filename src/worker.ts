/**
 * The composition root, which the platform calls. START HERE, then read gateway.ts. Everything is wired in services.ts,
 * every path is in routes/index.ts.
 */

import { createApp } from "../routes/index.ts";
import { withoutKeyInPath } from "./http/key-in-path.ts";
import { createServices, type IsolateServices } from "./services.ts";
import { exportTrace, startTrace } from "./tracing.ts";

export { SemanticIndex } from "./cache/semantic-index.ts";
export { Inflight } from "./coalescing/inflight.ts";
export { TenantQueue } from "./limits/object/tenant-queue.ts";
export { TenantMetrics } from "./telemetry/metrics/tenant-metrics.ts";
export { TraceOutbox } from "./telemetry/export/outbox/trace-outbox.ts";
export { TraceStore } from "./telemetry/store/store.ts";
export { VendorObjects } from "./vendor-objects/vendor-objects.ts";
export { Directory } from "./tenants/directory/directory.ts";

/** An isolate has one env for life, so its services are made once; a wrong setting fails each request with its name. */
const servicesByEnv = new WeakMap<Env, IsolateServices>();

function servicesOf(env: Env): IsolateServices {
  const known = servicesByEnv.get(env);
  if (known) return known;
  const services = createServices(env);
  servicesByEnv.set(env, services);
  return services;
}

const app = createApp({ servicesOf, startTrace, exportTrace });

export default {
  fetch: (request: Request, env: Env, context: ExecutionContext) =>
    app.fetch(withoutKeyInPath(request), env, context),
} satisfies ExportedHandler<Env>;
