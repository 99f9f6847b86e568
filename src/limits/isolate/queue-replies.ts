/** What the queue's client reads off an object's reply, and the replies and reports that it makes itself. */

import type { BudgetAlert } from "../budget-protocol.ts";
import type { AdmissionRequest, Cancelled, SettleReply, Settlement, WaitRecord } from "../protocol.ts";
import type { TenantState } from "./tenant-state.ts";

export const NO_ALERTS: readonly BudgetAlert[] = [];

export function alertsOf(
  { alerts = NO_ALERTS }: SettleReply,
  { requestId }: Settlement,
): readonly BudgetAlert[] {
  return alerts.length === 0 ? alerts : alerts.filter((alert) => alert.requestId === requestId);
}

export function cancelled(
  { configVersion }: AdmissionRequest,
  wait: WaitRecord,
  { epoch }: TenantState,
): Cancelled {
  return { kind: "cancelled", wait, configVersion, epoch };
}

/** The end of a lease whose request goes on without it, or never started. */
export function returned(
  { requestId, keyId }: Pick<Settlement, "requestId" | "keyId">,
  leaseId: string,
): Settlement {
  const nothing = { inputTokens: 0, outputTokens: 0, costMicroUsd: 0 };
  return { requestId, keyId, leaseId, outcome: "returned", ...nothing };
}
