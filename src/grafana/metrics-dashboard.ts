/** The dashboard over the metrics, received by OTLP or scraped from `GET /metrics`. Pure. */

import { GEN_AI_METRICS } from "../telemetry/metrics/instruments.ts";
import { toDashboard, type DashboardAbout } from "./dashboard.ts";
import { hourlyBy, label, metric, OF_TENANT, quantile, rateBy, shareOf, tokensBy } from "./promql.ts";

const TENANT = label("gateway.tenant.id");
const MODEL = label("gen_ai.request.model");
const PROVIDER = label("gen_ai.provider.name");

const FAILED = `${label("gateway.outcome")}=~"upstream_error|gateway_error"`;
const HIT = `${label("gateway.cache.status")}="hit"`;

const ABOUT: DashboardAbout = {
  uid: "headgate-metrics",
  title: "Headgate: metrics",
  description: "Traffic, time, queues, upstreams, tokens and money of the gateway's tenants (PromQL).",
  source: "prometheus",
  variables: [
    {
      name: "prometheus",
      label: "Metrics",
      description: "The data source that receives the gateway's metrics by OTLP or scrapes its /metrics.",
      type: "datasource",
      query: "prometheus",
    },
    {
      name: "tenant",
      label: "Tenant",
      description: "Tenants to show; `-` is for requests without a known tenant.",
      type: "query",
      query: `label_values(${metric("gateway.requests")}, ${TENANT})`,
    },
  ],
  rows: [
    {
      title: "Traffic",
      panels: [
        {
          title: "Requests by tenant",
          description: "Requests a second, refused ones included.",
          unit: "reqps",
          isStacked: true,
          queries: rateBy("gateway.requests", "gateway.tenant.id"),
        },
        {
          title: "Outcomes",
          description:
            "How requests ended: ok, cache_hit, rejected, upstream_error, client_disconnected, abandoned.",
          unit: "reqps",
          isStacked: true,
          queries: rateBy("gateway.requests", "gateway.outcome"),
        },
        {
          title: "Failed share",
          description: "Share of requests that failed in the gateway or at an upstream.",
          unit: "percentunit",
          queries: shareOf("gateway.requests", FAILED),
        },
        {
          title: "Errors by type",
          description: "Requests that failed or were refused, by error code.",
          unit: "reqps",
          queries: rateBy("gateway.requests", "error.type", `${OF_TENANT},${label("error.type")}!=""`),
        },
        {
          title: "Refusals by limit",
          description: "Requests refused, by the limit reached; unnamed for other reasons.",
          unit: "reqps",
          queries: rateBy("gateway.refusals", "gateway.limit.name"),
        },
        {
          title: "Requests by model",
          description: "By the model or route the client named.",
          unit: "reqps",
          isStacked: true,
          queries: rateBy("gateway.requests", "gen_ai.request.model"),
        },
      ],
    },
    {
      title: "Time",
      panels: [
        {
          title: "Duration",
          description: "From a request's first byte to the last byte of its answer, waiting included.",
          unit: "s",
          queries: [0.5, 0.95, 0.99].map((q) => quantile(q, "gateway.request.duration")),
        },
        {
          title: "Time to the first chunk by provider",
          description: "95th percentile of streams, from sending the call to the first chunk.",
          unit: "s",
          queries: [quantile(0.95, GEN_AI_METRICS.firstChunk, "gen_ai.provider.name")],
        },
        {
          title: "Upstream calls by model",
          description: "95th percentile of a call's duration.",
          unit: "s",
          queries: [quantile(0.95, GEN_AI_METRICS.duration, "gen_ai.request.model")],
        },
      ],
    },
    {
      title: "Queue",
      panels: [
        {
          title: "Wait by tenant",
          description:
            "95th percentile of the wait in the tenant's queue, including requests that did not wait.",
          unit: "s",
          queries: [quantile(0.95, "gateway.queue.wait", "gateway.tenant.id")],
        },
        {
          title: "Depth by tenant",
          description: "Requests waiting when the metrics were read.",
          unit: "short",
          queries: [
            {
              query: `sum by (${TENANT}) (${metric("gateway.queue.depth")}{${OF_TENANT}})`,
              legend: `{{${TENANT}}}`,
            },
          ],
        },
        {
          title: "Waits by limit",
          description: "Requests that waited, by the limit they waited for.",
          unit: "reqps",
          queries: [
            {
              query:
                `sum by (${label("gateway.queue.limit")}) (rate(${metric("gateway.queue.wait", "_count")}` +
                `{${OF_TENANT},${label("gateway.queue.limit")}!=""}[$__rate_interval]))`,
              legend: `{{${label("gateway.queue.limit")}}}`,
            },
          ],
        },
      ],
    },
    {
      title: "Upstreams",
      panels: [
        {
          title: "Attempts by outcome",
          description: "Upstream calls by how they ended.",
          unit: "reqps",
          isStacked: true,
          queries: rateBy("gateway.attempts", "gateway.attempt.outcome"),
        },
        {
          title: "Failed attempts by provider",
          description: "Calls that failed; what clients saw is under Outcomes.",
          unit: "reqps",
          queries: rateBy(
            "gateway.attempts",
            "gen_ai.provider.name",
            `${OF_TENANT},${label("gateway.attempt.outcome")}!~"ok|client_disconnected|hedge_lost|upstream_rejected"`,
          ),
        },
        {
          title: "Retries and fallbacks",
          description: "Calls after a request's first one, by reason.",
          unit: "reqps",
          queries: rateBy(
            "gateway.attempts",
            "gateway.attempt.reason",
            `${OF_TENANT},${label("gateway.attempt.reason")}!="initial"`,
          ),
        },
      ],
    },
    {
      title: "Tokens and money",
      panels: [
        {
          title: "Output tokens by model",
          description: "Tokens generated a second.",
          unit: "short",
          isStacked: true,
          queries: tokensBy("output", "gen_ai.request.model"),
        },
        {
          title: "Input tokens by model",
          description: "Tokens sent a second, cached ones included.",
          unit: "short",
          isStacked: true,
          queries: tokensBy("input", "gen_ai.request.model"),
        },
        {
          title: "Spend by tenant",
          description: "US dollars in the last hour by the price table, without models that have no price.",
          unit: "currencyUSD",
          isStacked: true,
          queries: hourlyBy("gateway.cost", "gateway.tenant.id"),
        },
        {
          title: "Spend by model",
          description: "The same by provider and model.",
          unit: "currencyUSD",
          isStacked: true,
          queries: [
            {
              query: `sum by (${PROVIDER}, ${MODEL}) (increase(${metric("gateway.cost")}{${OF_TENANT}}[1h]))`,
              legend: `{{${PROVIDER}}} {{${MODEL}}}`,
            },
          ],
        },
        {
          title: "Cache hits",
          description: "Share of the cache's lookups that were hits, bypasses included.",
          unit: "percentunit",
          queries: shareOf("gateway.cache.lookups", HIT),
        },
        {
          title: "Saved by the cache",
          description: "US dollars in the last hour: the cost of answers served from the cache.",
          unit: "currencyUSD",
          queries: hourlyBy("gateway.cache.saved", "gateway.tenant.id"),
        },
      ],
    },
    {
      title: "Export of traces (only where /metrics is scraped)",
      panels: [
        {
          title: "Delivered by destination",
          description: "Traces a second accepted by their destination.",
          unit: "reqps",
          queries: [
            {
              query: `sum by (${label("gateway.export.destination")}) (rate(${metric("gateway.export.delivered")}[$__rate_interval]))`,
              legend: `{{${label("gateway.export.destination")}}}`,
            },
          ],
        },
        {
          title: "Dropped by reason",
          description: "Traces in the last hour that will not be delivered.",
          unit: "short",
          queries: [
            {
              query: `sum by (${label("gateway.export.destination")}, ${label("gateway.export.reason")}) (increase(${metric("gateway.export.dropped")}[1h]))`,
              legend: `{{${label("gateway.export.destination")}}} {{${label("gateway.export.reason")}}}`,
            },
          ],
        },
        {
          title: "Pending",
          description: "Traces not yet delivered; a growing number means that a destination is down.",
          unit: "short",
          queries: [
            {
              query: `sum by (${label("gateway.export.destination")}) (${metric("gateway.export.pending")})`,
              legend: `{{${label("gateway.export.destination")}}}`,
            },
          ],
        },
      ],
    },
  ],
};

/** metrics.json. */
export const metricsDashboard = toDashboard(ABOUT);
