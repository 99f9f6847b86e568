/** Every object that holds something of a tenant besides the directory, emptied. What is in KV expires: storage.md. */

import { withDeadline } from "../../runtime/waits.ts";
import { flightObjects } from "../storage-keys.ts";

const ERASE_TIMEOUT_MS = 10_000;

/** Rejects where one of them could not be reached in time; emptying one twice does no harm. */
export async function eraseTenant(env: Env, tenantId: string): Promise<void> {
  const erasing = [
    env.TENANT_QUEUE.getByName(tenantId).erase(),
    env.TRACE_STORE.getByName(tenantId).erase(),
    env.TRACE_OUTBOX.getByName(tenantId).erase(),
    env.TENANT_METRICS.getByName(tenantId).erase(),
    env.SEMANTIC_INDEX.getByName(tenantId).erase(),
    ...flightObjects(tenantId).map((name) => env.INFLIGHT.getByName(name).erase()),
  ];
  await withDeadline(Promise.all(erasing), ERASE_TIMEOUT_MS, "the tenant's objects");
}
