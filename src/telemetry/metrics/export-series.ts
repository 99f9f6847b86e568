/** The export's counters as metrics: enqueued = delivered + pending + dropped, per destination. Pure. */

import type { ExportStatus } from "../export/export-counters.ts";
import type { EXPORT_INSTRUMENTS, Labels } from "./instruments.ts";
import type { Series } from "./series.ts";

/** One destination's counters as series; a reason for each drop. */
export function exportSeries(status: ExportStatus): readonly Series[] {
  const labels = { "gateway.export.destination": status.destination };
  return [
    seriesOf("gateway.export.enqueued", labels, status.enqueued),
    seriesOf("gateway.export.delivered", labels, status.delivered),
    seriesOf("gateway.export.pending", labels, status.pending),
    seriesOf("gateway.export.retries", labels, status.retries),
    ...Object.entries(status.dropped).map(([reason, traces]) =>
      seriesOf("gateway.export.dropped", { ...labels, "gateway.export.reason": reason }, traces),
    ),
  ];
}

/** A reading of now: these have no start time. */
function seriesOf(instrument: keyof typeof EXPORT_INSTRUMENTS, labels: Labels, sum: number): Series {
  return { instrument, labels, sum, buckets: [], startAt: 0, touchedAt: 0 };
}
