/**
 * A tenant's metrics as an OTLP/JSON ExportMetricsServiceRequest (opentelemetry-proto 1.11), cumulative. Pure.
 */

import { SCHEMA_URL, type OtlpResource } from "../otlp/otlp.ts";
import { findInstrument, type Instrument, type Labels } from "./instruments.ts";
import { countOf, type Series } from "./series.ts";

/** AggregationTemporality of metrics.proto: since the series' start, not since the last export. */
const CUMULATIVE = 2;

const METRICS_PATH = "/v1/metrics";
const TRACES_PATH = "/v1/traces";

/**
 * The metrics endpoint of a base URL, as for OTEL_EXPORTER_OTLP_ENDPOINT; a traces endpoint is replaced by the
 * metrics endpoint next to it.
 */
export function metricsUrl(endpoint: string): string {
  const url = new URL(endpoint);
  const path = url.pathname.replace(/(?<!\/)\/+$/, "");
  const base = path.endsWith(TRACES_PATH) ? path.slice(0, -TRACES_PATH.length) : path;
  url.pathname = base.endsWith(METRICS_PATH) ? base : base + METRICS_PATH;
  return url.href;
}

/** The whole body; undefined when there are no metrics, since an empty body is not allowed. */
export function encodeMetrics(
  tenantId: string,
  series: readonly Series[],
  { serviceName, serviceVersion }: OtlpResource,
  at: number,
): string | undefined {
  const families = Map.groupBy(series, ({ instrument }) => instrument);
  const metrics = [...families].flatMap(([name, members]) => {
    const instrument = findInstrument(name);
    if (instrument === undefined) return [];
    const points = members.map((one) => encodePoint(instrument, one, tenantId, at));
    return [
      { name, description: instrument.meaning, unit: instrument.unit, ...encodeData(instrument, points) },
    ];
  });
  if (metrics.length === 0) return undefined;
  const resource = { "service.name": serviceName, "service.version": serviceVersion };
  return JSON.stringify({
    resourceMetrics: [
      {
        resource: { attributes: encodeAttributes(resource) },
        scopeMetrics: [
          { scope: { name: "headgate", version: serviceVersion }, metrics, schemaUrl: SCHEMA_URL },
        ],
        schemaUrl: SCHEMA_URL,
      },
    ],
  });
}

function encodeData({ kind }: Instrument, dataPoints: readonly object[]): object {
  switch (kind) {
    case "counter":
      return { sum: { dataPoints, aggregationTemporality: CUMULATIVE, isMonotonic: true } };
    case "gauge":
      return { gauge: { dataPoints } };
    case "histogram":
      return { histogram: { dataPoints, aggregationTemporality: CUMULATIVE } };
  }
}

function encodePoint(instrument: Instrument, series: Series, tenantId: string, at: number): object {
  const point = {
    attributes: encodeAttributes({ "gateway.tenant.id": tenantId, ...series.labels }),
    ...(instrument.kind !== "gauge" && { startTimeUnixNano: toNanos(series.startAt) }),
    timeUnixNano: toNanos(at),
  };
  const value = series.sum / instrument.rawPerUnit;
  if (instrument.kind === "histogram") {
    return {
      ...point,
      count: String(countOf(series)),
      sum: value,
      bucketCounts: series.buckets.map(String),
      explicitBounds: instrument.bounds,
    };
  }
  // A divided unit is a fraction, even when a value is whole.
  return instrument.rawPerUnit === 1
    ? { ...point, asInt: String(series.sum) }
    : { ...point, asDouble: value };
}

function encodeAttributes(labels: Labels | Readonly<Record<string, string>>): readonly object[] {
  return Object.entries(labels).map(([key, value]) => ({
    key,
    // The SDK specification defines the overflow attribute as a boolean.
    value: key === "otel.metric.overflow" ? { boolValue: true } : { stringValue: value },
  }));
}

/** Integer milliseconds as nanoseconds, in decimal: beyond what a double holds, so as text. */
function toNanos(ms: number): string {
  return `${ms}000000`;
}
