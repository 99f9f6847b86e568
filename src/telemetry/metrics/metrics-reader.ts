/**
 * The metrics of all tenants, read from their objects a few at a time, with the export's counters. Reads only.
 */

import { GatewayError } from "../../errors.ts";
import type { ExportStatus } from "../export/export-counters.ts";
import { mapInParallel } from "../../runtime/parallel.ts";
import { UNKNOWN_TENANT } from "../store/stored-trace.ts";
import { exportSeries } from "./export-series.ts";
import type { MetricsPort } from "./metrics-port.ts";
import type { OwnedSeries } from "./prometheus.ts";

export interface MetricsReader {
  /**
   * Of one tenant, or of all tenants, of requests without a known one, and of the operator. Throws
   * `invalid_request` above the limit of tenants.
   */
  read(tenant?: string): Promise<readonly OwnedSeries[]>;
}

export interface MetricsReaderDeps {
  readonly metricsOf: (tenantId: string) => MetricsPort;
  readonly listTenantIds: () => Promise<readonly string[]>;
  /** A tenant's destinations and store; the operator's when undefined. */
  readonly exportStatusOf: (tenantId: string | undefined) => Promise<readonly ExportStatus[]>;
  /** Sends what this isolate has gathered, so that a request counts as soon as it is finished. */
  readonly flush: () => Promise<void>;
}

/** A third of the 1,000 object calls a request has on the free plan: a tenant takes up to three. */
const MAX_TENANTS = 333;

export function createMetricsReader(deps: MetricsReaderDeps): MetricsReader {
  const { metricsOf, listTenantIds, exportStatusOf, flush } = deps;

  async function tenantsOf(tenant: string | undefined): Promise<readonly string[]> {
    if (tenant !== undefined) return [tenant];
    const tenantIds = await listTenantIds();
    if (tenantIds.length <= MAX_TENANTS) return [...tenantIds, UNKNOWN_TENANT];
    const message =
      `There are more than ${MAX_TENANTS} tenants. Read one at a time with the parameter 'tenant', ` +
      "or set OTLP_ENDPOINT to have metrics sent.";
    throw new GatewayError("invalid_request", message, { param: "tenant" });
  }

  async function readTenant(tenantId: string): Promise<OwnedSeries> {
    const [series, statuses] = await Promise.all([
      metricsOf(tenantId).read(tenantId),
      exportStatusOf(tenantId),
    ]);
    return { tenantId, series: [...series, ...statuses.flatMap(exportSeries)] };
  }

  return {
    async read(tenant) {
      await flush();
      const owned = await mapInParallel(await tenantsOf(tenant), readTenant);
      if (tenant !== undefined) return owned;
      const operator = await exportStatusOf(undefined);
      return [{ tenantId: undefined, series: operator.flatMap(exportSeries) }, ...owned];
    },
  };
}
