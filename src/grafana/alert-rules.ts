/**
 * Alert rules in Prometheus' format, which Prometheus, Mimir and Grafana's import accept. The thresholds are
 * starting points. Pure.
 */

import { GEN_AI_METRICS } from "../telemetry/metrics/instruments.ts";
import { label, metric } from "./promql.ts";

const TENANT = label("gateway.tenant.id");
const PROVIDER = label("gen_ai.provider.name");
const LIMIT = label("gateway.limit.name");
const DESTINATION = label("gateway.export.destination");
const REASON = label("gateway.export.reason");
const CACHE_STATUS = label("gateway.cache.status");
const ATTEMPT_OUTCOME = label("gateway.attempt.outcome");

interface Rule {
  readonly alert: string;
  readonly expr: string;
  /** How long the condition must hold. */
  readonly for: string;
  readonly severity: "critical" | "warning" | "info";
  readonly summary: string;
  readonly description: string;
}

const REQUESTS = metric("gateway.requests");
const ATTEMPTS = metric("gateway.attempts");
const LOOKUPS = metric("gateway.cache.lookups");

function hitRatio(offset: string): string {
  const rate = (where: string): string => `sum by (${TENANT}) (rate(${LOOKUPS}{${where}}[1h]${offset}))`;
  return `(${rate(`${CACHE_STATUS}="hit"`)} / ${rate(`${CACHE_STATUS}=~"hit|miss"`)})`;
}

const RULES: readonly Rule[] = [
  {
    alert: "HeadgateRequestsFail",
    expr:
      `sum by (${TENANT}) (rate(${REQUESTS}{${label("gateway.outcome")}=~"upstream_error|gateway_error"}[10m])) ` +
      `/ sum by (${TENANT}) (rate(${REQUESTS}[10m])) > 0.05`,
    for: "10m",
    severity: "critical",
    summary: `More than 5 % of the requests of {{ $labels.${TENANT} }} fail`,
    description: "Every target was tried. The failed requests' traces show which ones, and why each failed.",
  },
  {
    alert: "HeadgateProviderFails",
    expr:
      `sum by (${PROVIDER}) (rate(${ATTEMPTS}{${ATTEMPT_OUTCOME}!~"ok|client_disconnected|hedge_lost|upstream_rejected"}[10m])) ` +
      `/ sum by (${PROVIDER}) (rate(${ATTEMPTS}[10m])) > 0.05`,
    for: "10m",
    severity: "warning",
    summary: `More than 5 % of the calls to {{ $labels.${PROVIDER} }} fail`,
    description: "Clients may not notice while retries and fallbacks succeed.",
  },
  {
    alert: "HeadgateFallbacks",
    expr:
      `sum by (${TENANT}) (rate(${ATTEMPTS}{${label("gateway.attempt.reason")}="fallback"}[10m])) ` +
      `/ sum by (${TENANT}) (rate(${ATTEMPTS}{${label("gateway.attempt.reason")}="initial"}[10m])) > 0.2`,
    for: "10m",
    severity: "warning",
    summary: `More than a fifth of the requests of {{ $labels.${TENANT} }} fall back`,
    description: "The first target of a route fails often. Check it, or move it down in the route.",
  },
  {
    alert: "HeadgateSlowFirstChunk",
    expr:
      `histogram_quantile(0.95, sum by (le, ${PROVIDER}) ` +
      `(rate(${metric(GEN_AI_METRICS.firstChunk, "_bucket")}[10m]))) > 3`,
    for: "10m",
    severity: "warning",
    summary: `Streams of {{ $labels.${PROVIDER} }} start late: p95 is {{ $value | humanizeDuration }}`,
    description: "More than 3 s from sending the call to the first chunk, in one of twenty streams.",
  },
  {
    alert: "HeadgateQueueWait",
    expr:
      `histogram_quantile(0.95, sum by (le, ${TENANT}) ` +
      `(rate(${metric("gateway.queue.wait", "_bucket")}[10m]))) > 2`,
    for: "10m",
    severity: "warning",
    summary: `Requests of {{ $labels.${TENANT} }} wait: p95 is {{ $value | humanizeDuration }}`,
    description:
      "The tenant's limits are lower than its traffic. The queue spans name the limit and link to the requests that held the slots.",
  },
  {
    alert: "HeadgateRefusals",
    expr: `sum by (${TENANT}, ${LIMIT}) (increase(${metric("gateway.refusals")}{${LIMIT}!=""}[10m])) > 0`,
    for: "5m",
    severity: "warning",
    summary: `Requests of {{ $labels.${TENANT} }} are refused by {{ $labels.${LIMIT} }}`,
    description: "Their wait would have been longer than allowed, or the budget is used up.",
  },
  {
    alert: "HeadgateCacheHitsFell",
    expr: `${hitRatio("")} < 0.5 * ${hitRatio(" offset 1d")}`,
    for: "30m",
    severity: "info",
    summary: `The cache answers {{ $labels.${TENANT} }} half as often as a day ago`,
    description: "Prompts, routes or the cache's settings may have changed.",
  },
  {
    alert: "HeadgateSpend",
    expr: `sum by (${TENANT}) (increase(${metric("gateway.cost")}[1h])) > 10`,
    for: "0m",
    severity: "warning",
    summary: `{{ $labels.${TENANT} }} has spent {{ $value | printf "%.2f" }} US dollars in an hour`,
    description: "Set the threshold to your usual spend. Hard budgets are set in the tenant's record.",
  },
  {
    alert: "HeadgateTracesDropped",
    expr: `sum by (${TENANT}, ${DESTINATION}, ${REASON}) (increase(${metric("gateway.export.dropped")}[10m])) > 0`,
    for: "0m",
    severity: "warning",
    summary: `Traces for {{ $labels.${DESTINATION} }} are dropped: {{ $labels.${REASON} }}`,
    description: "Needs a scrape of /metrics. Details: GET /admin/tenants/{tenant}/export.",
  },
  {
    alert: "HeadgateTracesPending",
    expr: `sum by (${TENANT}, ${DESTINATION}) (${metric("gateway.export.pending")}) > 100`,
    for: "15m",
    severity: "warning",
    summary: `{{ $value }} traces wait for {{ $labels.${DESTINATION} }}`,
    description:
      "Needs a scrape of /metrics. The destination is down or slow; traces wait up to a size and an age.",
  },
  {
    alert: "HeadgateSilent",
    expr: `absent(${REQUESTS})`,
    for: "10m",
    severity: "info",
    summary: "No metrics of the gateway for ten minutes",
    description: "No traffic, or the metrics don't arrive.",
  },
];

/** alerts.yaml. */
export const alertRules = {
  groups: [
    {
      name: "headgate",
      interval: "1m",
      rules: RULES.map(({ severity, summary, description, ...rule }) => ({
        ...rule,
        labels: { severity },
        annotations: { summary, description },
      })),
    },
  ],
};
