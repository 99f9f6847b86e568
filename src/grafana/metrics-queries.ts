/** The shapes of query that the metrics dashboard is made of, each with its legend. Pure; called by metrics-dashboard.ts. */

import { GEN_AI_METRICS, type MetricLabel } from "../telemetry/metrics/instruments.ts";
import { label, metric, type MetricName } from "./promql.ts";

/** The dashboard's choice of tenants. */
export const OF_TENANT = `${label("gateway.tenant.id")}=~"$tenant"`;

const PERCENT = 100;

/** The rate of a counter, by a label. */
export function rateBy(name: MetricName, by: MetricLabel, where = OF_TENANT) {
  const legend = `{{${label(by)}}}`;
  return [{ query: `sum by (${label(by)}) (rate(${metric(name)}{${where}}[$__rate_interval]))`, legend }];
}

/** How much a counter has grown in an hour, by a label. */
export function hourlyBy(name: MetricName, by: MetricLabel) {
  const legend = `{{${label(by)}}}`;
  return [{ query: `sum by (${label(by)}) (increase(${metric(name)}{${OF_TENANT}}[1h]))`, legend }];
}

/** A quantile of a histogram, over all its series or by a label. */
export function quantile(q: number, name: MetricName, by?: MetricLabel) {
  const labels = by === undefined ? "le" : `le, ${label(by)}`;
  const rate = `rate(${metric(name, "_bucket")}{${OF_TENANT}}[$__rate_interval])`;
  return {
    query: `histogram_quantile(${q}, sum by (${labels}) (${rate}))`,
    legend: by === undefined ? `p${q * PERCENT}` : `{{${label(by)}}}`,
  };
}

/** Tokens of one type a second, by a label. */
export function tokensBy(type: "input" | "output", by: MetricLabel) {
  const name = type === "input" ? GEN_AI_METRICS.inputTokens : GEN_AI_METRICS.outputTokens;
  const where = `${OF_TENANT},${label("gen_ai.token.type")}="${type}"`;
  const legend = `{{${label(by)}}}`;
  return [
    { query: `sum by (${label(by)}) (rate(${metric(name, "_sum")}{${where}}[$__rate_interval]))`, legend },
  ];
}

/** The share of a counter that meets a condition. */
export function shareOf(name: MetricName, where: string) {
  const rate = (more: string): string => `sum(rate(${metric(name)}{${OF_TENANT}${more}}[$__rate_interval]))`;
  return [{ query: `${rate(`,${where}`)} / ${rate("")}`, legend: "share" }];
}
