/** The page's own URL: filters, the chosen step and the tenant live in it, so that a link shows the same. */

export function readParam(name: string): string | null {
  return new URLSearchParams(location.search).get(name);
}

/** Sets or, with null, removes a parameter, without an entry in the history. */
export function writeParam(name: string, value: string | null): void {
  const params = new URLSearchParams(location.search);
  if (value === null) params.delete(name);
  else params.set(name, value);
  const query = params.size === 0 ? "" : `?${params}`;
  history.replaceState(null, "", `${location.pathname}${query}`);
}

/** `?tenant=acme`, or nothing for all tenants. */
export function tenantQuery(tenant: string | null): string {
  return tenant === null ? "" : `?tenant=${encodeURIComponent(tenant)}`;
}

/** The page of a trace. */
export function traceHref(traceId: string, tenant: string | null): string {
  const of = tenant === null ? "" : `&tenant=${encodeURIComponent(tenant)}`;
  return `/console/trace?id=${encodeURIComponent(traceId)}${of}`;
}
