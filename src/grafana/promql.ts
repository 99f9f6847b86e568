/**
 * PromQL for the dashboard and the alerts: metrics and labels by the names Prometheus gives them, whose types admit only
 * those that exist, and the shapes of query that the metrics dashboard repeats, each with its legend.
 */

import {
  findInstrument,
  GEN_AI_METRICS,
  type listInstruments,
  type MetricLabel,
} from "../telemetry/metrics/instruments.ts";
import { prometheusName, toUnderscores } from "../telemetry/metrics/prometheus.ts";

export type MetricName = ReturnType<typeof listInstruments>[number][0];

/** The metric's name in Prometheus; a histogram also needs the suffix of one of its series. */
export function metric(name: MetricName, suffix: "" | "_bucket" | "_sum" | "_count" = ""): string {
  const instrument = findInstrument(name);
  if (instrument === undefined) throw new Error(`${name} is not a metric`);
  if ((instrument.kind === "histogram") === (suffix === ""))
    throw new Error(`${name}${suffix} is not a series`);
  return prometheusName(name, instrument) + suffix;
}

export function label(name: MetricLabel): string {
  return toUnderscores(name);
}

/** The tenants chosen at the top of the dashboard. */
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
