/** Every object that holds something of a tenant besides the directory, emptied. What is in KV expires: storage.md. */

import { untilErased } from "../../runtime/erase-object.ts";
import { withDeadline } from "../../runtime/waits.ts";
import { flightObjects, generationObject } from "../storage-keys.ts";

const ERASE_TIMEOUT_MS = 10_000;

/** Rejects where one of them could not be reached in time; emptying one twice does no harm. */
export async function eraseTenant(env: Env, tenantId: string, generation: number): Promise<void> {
  const own = generationObject(tenantId, generation);
  const erasing = [
    env.TENANT_QUEUE.getByName(tenantId).erase(),
    env.TRACE_STORE.getByName(tenantId).erase(),
    env.TRACE_OUTBOX.getByName(tenantId).erase(),
    env.TENANT_METRICS.getByName(tenantId).erase(),
    env.SEMANTIC_INDEX.getByName(own).erase(),
    env.VENDOR_OBJECTS.getByName(own).erase(),
    ...flightObjects(own).map((name) => env.INFLIGHT.getByName(name).erase()),
  ];
  await withDeadline(Promise.all(erasing.map(untilErased)), ERASE_TIMEOUT_MS, "the tenant's objects");
}
