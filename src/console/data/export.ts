/** What became of the traces meant for each destination, and tests of destinations. */

import type { ExportStatus } from "../../telemetry/export/export-counters.ts";
import { getJson, sendJson } from "./api.ts";

export async function readExport(tenant: string): Promise<readonly ExportStatus[]> {
  const path = `/admin/tenants/${encodeURIComponent(tenant)}/export`;
  return (await getJson<{ readonly items: readonly ExportStatus[] }>(path)).items;
}

export interface Probe {
  readonly delivered: boolean;
  readonly status: number | null;
  readonly ms: number;
  readonly error: string | null;
}

/** Sends one span there. */
export function sendTestSpan(tenant: string, destination: string): Promise<Probe> {
  const path = `/admin/tenants/${encodeURIComponent(tenant)}/destinations/${encodeURIComponent(destination)}/test`;
  return sendJson<Probe>("POST", path, {});
}
