/** Metrics and labels as PromQL writes them; the types hold them to those that exist. Pure; called by the dashboard and the alerts. */

import { findInstrument, type listInstruments, type MetricLabel } from "../telemetry/metrics/instruments.ts";
import { prometheusName, toUnderscores } from "../telemetry/metrics/prometheus.ts";

export type MetricName = ReturnType<typeof listInstruments>[number][0];

/** The metric's name in Prometheus; of a histogram with the suffix of the series that is meant. */
export function metric(name: MetricName, suffix: "" | "_bucket" | "_sum" | "_count" = ""): string {
  const instrument = findInstrument(name);
  if (instrument === undefined) throw new Error(`${name} is no metric`);
  if ((instrument.kind === "histogram") === (suffix === "")) throw new Error(`${name}${suffix} is no series`);
  return prometheusName(name, instrument) + suffix;
}

export function label(name: MetricLabel): string {
  return toUnderscores(name);
}
