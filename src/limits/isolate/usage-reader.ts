/** Reads the rows of one tenant's usage, or of each tenant's, from their objects a few at a time. */

import { GatewayError } from "../../errors.ts";
import type { UsageAsk, UsageRow } from "../usage-protocol.ts";
import { mapInParallel } from "../../runtime/parallel.ts";
import type { QueueRpc } from "../protocol.ts";
import type { Defer } from "./usage-notes.ts";

/** Of the 1,000 object calls a request has on the free plan, a tenant takes up to two. */
const MAX_TENANTS = 400;

interface UsageReaderDeps {
  readonly listTenantIds: () => Promise<readonly string[]>;
  /** Sends what this isolate holds, so that a request counts as soon as it is over. */
  readonly flush: (tenantId: string, defer: Defer) => Promise<void>;
  readonly queueOf: (tenantId: string) => Pick<QueueRpc, "usage">;
}

interface TenantUsage {
  readonly tenantId: string;
  readonly rows: readonly UsageRow[] | undefined;
}

export type UsageReader = (
  tenantId: string | undefined,
  ask: UsageAsk,
  defer: Defer,
) => Promise<readonly TenantUsage[]>;

export function createUsageReader({ listTenantIds, flush, queueOf }: UsageReaderDeps): UsageReader {
  return async (tenant, ask, defer) => {
    const tenantIds = tenant === undefined ? await listTenantIds() : [tenant];
    if (tenantIds.length > MAX_TENANTS) {
      const message = `There are more than ${MAX_TENANTS} tenants. Read /admin/tenants/{tenant}/usage of each.`;
      throw new GatewayError("invalid_request", message);
    }
    return mapInParallel(tenantIds, async (tenantId) => {
      await flush(tenantId, defer);
      return { tenantId, rows: await queueOf(tenantId).usage(ask) };
    });
  };
}
