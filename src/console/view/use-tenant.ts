/** The tenant of a screen that shows one at a time: the URL's, else the first there is. */

import { useEffect, useState } from "preact/hooks";
import { listAll } from "../data/api.ts";
import { readParam, writeParam } from "../data/page-url.ts";

export interface TenantChoice {
  /** Undefined until it is known; null where there is no tenant at all. */
  readonly tenant: string | null | undefined;
  readonly choose: (tenant: string | null) => void;
}

export function useTenant(): TenantChoice {
  const [tenant, setTenant] = useState<string | null | undefined>(readParam("tenant") ?? undefined);
  useEffect(() => {
    if (tenant !== undefined) return;
    listAll<{ readonly id: string }>("/admin/tenants", 1).then(
      ([first]) => setTenant(first?.id ?? null),
      () => setTenant(null),
    );
  }, [tenant]);
  return {
    tenant,
    choose: (next) => {
      writeParam("tenant", next);
      setTenant(next ?? undefined);
    },
  };
}
