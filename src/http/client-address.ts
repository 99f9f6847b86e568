/** The address that failures are counted by, as the platform's edge reports it. Never logged, traced or stored. */

/** Undefined in a local run, where a header can say anything, and where the platform gives none. */
export function clientAddress(headers: Headers, isLocal: boolean): string | undefined {
  return isLocal ? undefined : (headers.get("cf-connecting-ip") ?? undefined);
}
