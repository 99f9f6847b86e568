/** A route's target as a plan lists it. Pure. */

import type { TargetRecord } from "../tenants/records/route-record.ts";

export interface PlannedTarget {
  /** The tenant's name of the account. */
  readonly provider: string;
  readonly model: string;
  /** `provider/model`, as in headers and spans. */
  readonly label: string;
  readonly weight: number;
  readonly params?: Readonly<Record<string, unknown>>;
}

export function toTarget({ provider, model, params, weight = 1 }: TargetRecord): PlannedTarget {
  return {
    provider,
    model,
    label: `${provider}/${model}`,
    weight,
    ...(params !== undefined && { params }),
  };
}
