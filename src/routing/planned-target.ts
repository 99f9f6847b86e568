/** A route's target as a plan lists it. Pure. */

import type { TargetRecord } from "../tenants/records/route-record.ts";

export interface PlannedTarget {
  /** The name of the provider record. */
  readonly accountName: string;
  readonly model: string;
  /** `provider/model`, as in headers and spans. */
  readonly label: string;
  readonly weight: number;
  readonly params?: Readonly<Record<string, unknown>>;
}

export function toTarget({ provider: accountName, model, params, weight = 1 }: TargetRecord): PlannedTarget {
  return {
    accountName,
    model,
    label: `${accountName}/${model}`,
    weight,
    ...(params !== undefined && { params }),
  };
}
