/**
 * Metrics in Prometheus' text format 0.0.4, under the names that Prometheus' OTLP receiver gives them, so that
 * a dashboard works with both. Pure.
 */

import { listInstruments, type Instrument, type Labels } from "./instruments.ts";
import { countOf, type Series } from "./series.ts";

/** https://prometheus.io/docs/instrumenting/exposition_formats/ (seen 2026-11). */
export const PROMETHEUS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Series and their tenant; the operator's own have none. */
export interface OwnedSeries {
  readonly tenantId: string | undefined;
  readonly series: readonly Series[];
}

/** Units as OpenTelemetry's Prometheus compatibility specification writes them; those in braces are left out. */
const UNIT_SUFFIX: Readonly<Record<Instrument["unit"], string>> = {
  s: "_seconds",
  USD: "_USD",
  "{token}": "",
  "{alert}": "",
  "{request}": "",
  "{attempt}": "",
  "{lookup}": "",
  "{trace}": "",
  "{send}": "",
};

/** `gateway.cost` → `gateway_cost_USD_total`. */
export function prometheusName(name: string, { unit, kind }: Pick<Instrument, "unit" | "kind">): string {
  return toUnderscores(name) + UNIT_SUFFIX[unit] + (kind === "counter" ? "_total" : "");
}

/** `gateway.tenant.id` → `gateway_tenant_id`. */
export function toUnderscores(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_]/g, "_");
}

interface Owned {
  readonly tenantId: string | undefined;
  readonly series: Series;
}

/** The whole exposition; metrics without a series are left out. */
export function renderPrometheus(owners: readonly OwnedSeries[]): string {
  const families = new Map<string, Owned[]>();
  for (const { tenantId, series } of owners) {
    for (const one of series) {
      const family = families.get(one.instrument);
      if (family === undefined) families.set(one.instrument, [{ tenantId, series: one }]);
      else family.push({ tenantId, series: one });
    }
  }
  const lines: string[] = [];
  for (const [name, instrument] of listInstruments()) {
    const members = families.get(name);
    if (members !== undefined) addFamily(lines, prometheusName(name, instrument), instrument, members);
  }
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

function addFamily(lines: string[], name: string, instrument: Instrument, members: readonly Owned[]): void {
  lines.push(`# HELP ${name} ${escapeHelp(instrument.meaning)}`, `# TYPE ${name} ${instrument.kind}`);
  for (const { tenantId, series } of members) {
    const labels = formatLabels(
      tenantId === undefined ? series.labels : { "gateway.tenant.id": tenantId, ...series.labels },
    );
    const value = series.sum / instrument.rawPerUnit;
    if (instrument.kind !== "histogram") {
      lines.push(`${name}${braced(labels)} ${value}`);
      continue;
    }
    let below = 0;
    for (const [index, count] of series.buckets.entries()) {
      below += count;
      const bound = `le="${instrument.bounds[index] ?? "+Inf"}"`;
      lines.push(`${name}_bucket${braced([...labels, bound])} ${below}`);
    }
    lines.push(`${name}_sum${braced(labels)} ${value}`, `${name}_count${braced(labels)} ${countOf(series)}`);
  }
}

function formatLabels(labels: Labels): readonly string[] {
  return Object.entries(labels).map(([name, value]) => `${toUnderscores(name)}="${escapeValue(value)}"`);
}

function braced(labels: readonly string[]): string {
  return labels.length === 0 ? "" : `{${labels.join(",")}}`;
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function escapeValue(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}
