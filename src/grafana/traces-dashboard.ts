/**
 * The dashboard over traces alone: each panel is a TraceQL query, most of them over root spans. It counts the
 * traces that Tempo received. Pure.
 */

import type { AttributeName } from "../telemetry/trace/attributes.ts";
import type { SPANS } from "../telemetry/trace/spans.ts";
import { toDashboard, type DashboardAbout } from "./dashboard.ts";

/** An attribute in TraceQL. The type admits only names that spans have. */
const span = (name: AttributeName): string => `span.${name}`;
const named = (name: keyof typeof SPANS): string => `name = "${name}"`;

const SERVICE = 'resource.service.name = "$service"';
/** Root spans: one for each request. */
const ROOT = `${SERVICE} && nestedSetParent < 0 $where`;
/** Upstream calls. */
const ATTEMPT = `${SERVICE} && ${span("gateway.attempt.number")} > 0 $where`;

const TENANT = span("gateway.tenant.id");
const MODEL = span("gen_ai.request.model");
const PROVIDER = span("gen_ai.provider.name");

function one(query: string) {
  return [{ query }];
}

const ABOUT: DashboardAbout = {
  uid: "headgate-traces",
  title: "Headgate: traces",
  description: "Where the requests' time, tokens and money went, from traces alone (TraceQL).",
  source: "tempo",
  variables: [
    {
      name: "tempo",
      label: "Traces",
      description: "The Tempo data source that receives the gateway's traces.",
      type: "datasource",
      query: "tempo",
    },
    {
      name: "service",
      label: "Service",
      description: "The gateway's SERVICE_NAME.",
      type: "textbox",
      query: "headgate",
    },
    {
      name: "where",
      label: "And",
      description: `A further condition, such as: && ${TENANT} = "acme"`,
      type: "textbox",
      query: "",
    },
  ],
  rows: [
    {
      title: "Traffic",
      panels: [
        {
          title: "Requests by tenant",
          description: "Finished requests a second, refused ones included.",
          unit: "reqps",
          isStacked: true,
          queries: one(`{ ${ROOT} } | rate() by (${TENANT})`),
        },
        {
          title: "Outcomes",
          description:
            "How requests ended: ok, cache_hit, rejected, upstream_error, client_disconnected, abandoned.",
          unit: "reqps",
          isStacked: true,
          queries: one(`{ ${ROOT} } | rate() by (${span("gateway.outcome")})`),
        },
        {
          title: "Errors by type",
          description: "Requests that failed in the gateway or at an upstream; a 4xx is the caller's fault.",
          unit: "reqps",
          queries: one(`{ ${ROOT} && status = error } | rate() by (${span("error.type")})`),
        },
        {
          title: "Refusals by reason",
          description: "Requests the gateway refused, by error code.",
          unit: "reqps",
          queries: one(
            `{ ${ROOT} && ${span("gateway.outcome")} = "rejected" } | rate() by (${span("gateway.decision")})`,
          ),
        },
        {
          title: "Refusals by limit",
          description: "Requests refused by a limit, by the limit reached.",
          unit: "reqps",
          queries: one(
            `{ ${ROOT} && ${span("gateway.limit.name")} != nil } | rate() by (${span("gateway.limit.name")})`,
          ),
        },
        {
          title: "Cache",
          description: "Results of the response cache.",
          unit: "reqps",
          isStacked: true,
          queries: one(
            `{ ${ROOT} && ${span("gateway.cache.status")} != nil } | rate() by (${span("gateway.cache.status")})`,
          ),
        },
      ],
    },
    {
      title: "Time",
      panels: [
        {
          title: "Duration",
          description:
            "From a request's first byte to the last byte of its answer: median, 95th and 99th percentile.",
          unit: "s",
          queries: one(`{ ${ROOT} } | quantile_over_time(duration, 0.5, 0.95, 0.99)`),
        },
        {
          title: "Duration, spread",
          description: "Distribution of durations.",
          unit: "s",
          type: "heatmap",
          queries: one(`{ ${ROOT} } | histogram_over_time(duration)`),
        },
        {
          title: "Duration by model",
          description: "95th percentile, by the model or route the client named.",
          unit: "s",
          queries: one(`{ ${ROOT} } | quantile_over_time(duration, 0.95) by (${MODEL})`),
        },
        {
          title: "Time to the first byte",
          description:
            "From a request's arrival to the first byte of its answer's body, queue and failed attempts included.",
          unit: "ms",
          queries: one(`{ ${ROOT} } | quantile_over_time(${span("gateway.ttfb_ms")}, 0.5, 0.95)`),
        },
        {
          title: "Time to the first chunk by provider",
          description: "95th percentile of streams, from sending the call to the first chunk.",
          unit: "s",
          queries: one(
            `{ ${ATTEMPT} && ${span("gen_ai.response.time_to_first_chunk")} >= 0 } | ` +
              `quantile_over_time(${span("gen_ai.response.time_to_first_chunk")}, 0.95) by (${PROVIDER})`,
          ),
        },
        {
          title: "Upstream calls by provider",
          description: "95th percentile of a call's duration.",
          unit: "s",
          queries: one(`{ ${ATTEMPT} } | quantile_over_time(duration, 0.95) by (${PROVIDER})`),
        },
      ],
    },
    {
      title: "Queue",
      panels: [
        {
          title: "Wait by tenant",
          description: "95th percentile of the wait in the tenant's queue, of those that waited.",
          unit: "ms",
          queries: one(
            `{ ${ROOT} && ${span("gateway.queue.wait_ms")} > 0 } | ` +
              `quantile_over_time(${span("gateway.queue.wait_ms")}, 0.95) by (${TENANT})`,
          ),
        },
        {
          title: "Depth by tenant",
          description: "The highest number of requests waiting when another arrived.",
          unit: "short",
          queries: one(`{ ${ROOT} } | max_over_time(${span("gateway.queue.depth")}) by (${TENANT})`),
        },
        {
          title: "Waits by limit",
          description: "Requests that waited, by the limit they waited for.",
          unit: "reqps",
          queries: one(
            `{ ${SERVICE} && ${named("gateway.queue.wait")} && ${span("gateway.queue.wait_ms")} > 0 $where } | ` +
              `rate() by (${span("gateway.queue.limit")})`,
          ),
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
          queries: one(`{ ${ATTEMPT} } | rate() by (${span("gateway.attempt.outcome")})`),
        },
        {
          title: "Failed attempts by provider",
          description: "Calls that failed; what clients saw is under Outcomes.",
          unit: "reqps",
          queries: one(`{ ${ATTEMPT} && status = error } | rate() by (${PROVIDER})`),
        },
        {
          title: "Retries and fallbacks",
          description: "Calls after a request's first one, by reason.",
          unit: "reqps",
          queries: one(
            `{ ${ATTEMPT} && ${span("gateway.attempt.number")} > 1 } | rate() by (${span("gateway.attempt.reason")})`,
          ),
        },
      ],
    },
    {
      title: "Tokens and money",
      panels: [
        {
          title: "Output tokens by model",
          description: "Tokens generated in each interval, by the model that answered.",
          unit: "short",
          isStacked: true,
          queries: one(
            `{ ${ATTEMPT} } | sum_over_time(${span("gen_ai.usage.output_tokens")}) by (${span("gen_ai.response.model")})`,
          ),
        },
        {
          title: "Input tokens by tenant",
          description: "Tokens sent in each interval.",
          unit: "short",
          isStacked: true,
          queries: one(`{ ${ROOT} } | sum_over_time(${span("gen_ai.usage.input_tokens")}) by (${TENANT})`),
        },
        {
          title: "Spend by tenant",
          description: "US dollars in each interval by the price table, without models that have no price.",
          unit: "currencyUSD",
          isStacked: true,
          queries: one(`{ ${ROOT} } | sum_over_time(${span("gateway.cost.usd")}) by (${TENANT})`),
        },
        {
          title: "Spend by model",
          description: "The same by the model or route the client named.",
          unit: "currencyUSD",
          isStacked: true,
          queries: one(`{ ${ROOT} } | sum_over_time(${span("gateway.cost.usd")}) by (${MODEL})`),
        },
        {
          title: "Saved by the cache",
          description: "Cost of the answers served from the cache.",
          unit: "currencyUSD",
          queries: one(`{ ${ROOT} } | sum_over_time(${span("gateway.cache.saved_usd")}) by (${TENANT})`),
        },
      ],
    },
    {
      title: "Requests to look at",
      panels: [
        {
          title: "Failed or slow",
          description:
            "The newest requests that failed or took more than 10 s. Open one to see where its time went.",
          unit: "short",
          type: "table",
          width: 12,
          queries: one(`{ ${ROOT} && (status = error || duration > 10s) }`),
        },
        {
          title: "Queued or fallen back",
          description:
            "The newest requests that waited more than a second, or were answered by a target other than the first.",
          unit: "short",
          type: "table",
          width: 12,
          queries: one(
            `{ ${ROOT} && (${span("gateway.queue.wait_ms")} > 1000 || ${span("gateway.fallback.used")} = true) }`,
          ),
        },
      ],
    },
  ],
};

/** traces.json. */
export const tracesDashboard = toDashboard(ABOUT);
