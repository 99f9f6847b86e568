// Metrics on their way out, as Prometheus text and as OTLP: valid in every byte, and the same numbers in both.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { exportSeries } from "../../../../src/telemetry/metrics/export-series.ts";
import {
  INSTRUMENTS,
  listInstruments,
  type InstrumentName,
  type Labels,
} from "../../../../src/telemetry/metrics/instruments.ts";
import { encodeMetrics, metricsUrl } from "../../../../src/telemetry/metrics/otlp-metrics.ts";
import {
  prometheusName,
  renderPrometheus,
  toUnderscores,
} from "../../../../src/telemetry/metrics/prometheus.ts";
import { createSeriesTable, type Series } from "../../../../src/telemetry/metrics/series.ts";
import { checkOtlpMetrics } from "../../../support/checkers/otlp-proto.ts";
import { parsePrometheus, total } from "../../../support/checkers/prometheus-text.ts";
import { NOON } from "../../../support/fakes/fake-trace.ts";

const RESOURCE = { serviceName: "headgate", serviceVersion: "0.1.0" };
// The names are those of the table they come from.
const NAMES = Object.keys(INSTRUMENTS) as InstrumentName[];

/** Any measurements: of each instrument, with values of any text in its labels. */
const tables = fc
  .array(
    fc.record({
      name: fc.constantFrom(...NAMES),
      text: fc.oneof(
        fc.constantFrom("a", "b\\", 'say "hi"', "line\nline", "é", "{x=1}", ","),
        fc.string({ maxLength: 8 }),
      ),
      value: fc.nat({ max: 100_000_000 }),
    }),
    { maxLength: 40 },
  )
  .map((measurements) => {
    const table = createSeriesTable();
    for (const { name, text, value } of measurements) {
      const labels: Labels = Object.fromEntries(INSTRUMENTS[name].labels.map((label) => [label, text]));
      table.record(name, labels, value, NOON);
    }
    return table.list();
  });

describe("Prometheus text", () => {
  test("is valid for any measurements, with every series in it", () => {
    fc.assert(
      fc.property(tables, tables, (acme, globex) => {
        const families = parsePrometheus(
          renderPrometheus([
            { tenantId: "acme", series: acme },
            { tenantId: "globex", series: globex },
          ]),
        );
        for (const { instrument, labels, sum } of acme) {
          const found = INSTRUMENTS[nameOf(instrument)];
          const name = prometheusName(instrument, found);
          const written = Object.fromEntries(
            Object.entries(labels).map(([key, value]) => [toUnderscores(key), value]),
          );
          const suffix = found.kind === "histogram" ? "_sum" : "";
          const [sample] = (families.get(name)?.samples ?? []).filter(
            (one) =>
              one.name === name + suffix &&
              JSON.stringify(one.labels) === JSON.stringify({ gateway_tenant_id: "acme", ...written }),
          );
          expect(sample?.value).toBe(sum / found.rawPerUnit);
        }
      }),
    );
  });

  test("writes a histogram as people know it", () => {
    const table = createSeriesTable();
    table.record("gateway.queue.wait", { "gateway.queue.limit": "concurrency" }, 400, NOON);
    table.record("gateway.queue.wait", { "gateway.queue.limit": "concurrency" }, 90_000, NOON);
    const lines = renderPrometheus([{ tenantId: "acme", series: table.list() }]).split("\n");
    const labels = 'gateway_tenant_id="acme",gateway_queue_limit="concurrency"';
    expect(lines.slice(0, 3)).toEqual([
      "# HELP gateway_queue_wait_seconds Wait in the tenant's queue by the queue object's clock, including requests that did not wait.",
      "# TYPE gateway_queue_wait_seconds histogram",
      `gateway_queue_wait_seconds_bucket{${labels},le="0.01"} 0`,
    ]);
    expect(lines).toContain(`gateway_queue_wait_seconds_bucket{${labels},le="0.64"} 1`);
    expect(lines.slice(-4)).toEqual([
      `gateway_queue_wait_seconds_bucket{${labels},le="+Inf"} 2`,
      `gateway_queue_wait_seconds_sum{${labels}} 90.4`,
      `gateway_queue_wait_seconds_count{${labels}} 2`,
      "",
    ]);
  });

  test("escapes what a label's value may hold", () => {
    const table = createSeriesTable();
    table.record("gateway.cost", { "gen_ai.request.model": 'a\\b"c\nd' }, 1_500_000, NOON);
    expect(renderPrometheus([{ tenantId: "acme", series: table.list() }])).toContain(
      'gateway_cost_USD_total{gateway_tenant_id="acme",gen_ai_request_model="a\\\\b\\"c\\nd"} 1.5\n',
    );
  });

  test("is empty where there is nothing", () => {
    expect(renderPrometheus([])).toBe("");
  });

  test("names no two metrics alike, and each as OpenTelemetry's rules say", () => {
    const names = listInstruments().map(([name, instrument]) => prometheusName(name, instrument));
    expect(new Set(names).size).toBe(names.length);
    expect(names).toEqual(
      expect.arrayContaining([
        "gen_ai_client_operation_duration_seconds",
        "gen_ai_client_operation_time_to_first_chunk_seconds",
        "gen_ai_client_token_usage",
        "gateway_requests_total",
        "gateway_queue_depth",
        "gateway_cost_USD_total",
        "gateway_export_dropped_total",
      ]),
    );
  });

  test("says of the export what the counters say, and its sums are whole", () => {
    const series = exportSeries({
      destination: "grafana",
      enqueued: 10,
      delivered: 6,
      pending: 1,
      dropped: { http_400: 2, timeout: 1 },
      lastError: "timeout",
      retries: 4,
      circuit: "closed",
    });
    const families = parsePrometheus(renderPrometheus([{ tenantId: undefined, series }]));
    const of = (name: string): number => total(families, name, { gateway_export_destination: "grafana" });
    expect(of("gateway_export_enqueued_total")).toBe(
      of("gateway_export_delivered_total") +
        of("gateway_export_pending") +
        of("gateway_export_dropped_total"),
    );
    expect(total(families, "gateway_export_dropped_total", { gateway_export_reason: "http_400" })).toBe(2);
    expect(of("gateway_export_retries_total")).toBe(4);
  });
});

describe("OTLP metrics", () => {
  const encode = (series: readonly Series[]): unknown => {
    const body = encodeMetrics("acme", series, RESOURCE, NOON + 1000);
    return body === undefined ? undefined : JSON.parse(body);
  };

  test("keep to the protocol for any measurements", () => {
    fc.assert(
      fc.property(tables, (series) => {
        fc.pre(series.length > 0);
        expect(checkOtlpMetrics(encode(series))).toEqual([]);
      }),
    );
  });

  test("are cumulative from each series' start, under the tenant's label", () => {
    const table = createSeriesTable();
    table.record("gateway.attempts", { "gateway.attempt.outcome": "ok" }, 1, NOON);
    expect(encode(table.list())).toMatchObject({
      resourceMetrics: [
        {
          resource: { attributes: [{ key: "service.name", value: { stringValue: "headgate" } }, {}] },
          scopeMetrics: [
            {
              metrics: [
                {
                  name: "gateway.attempts",
                  unit: "{attempt}",
                  sum: {
                    aggregationTemporality: 2,
                    isMonotonic: true,
                    dataPoints: [
                      {
                        startTimeUnixNano: `${NOON}000000`,
                        timeUnixNano: `${NOON + 1000}000000`,
                        asInt: "1",
                        attributes: [
                          { key: "gateway.tenant.id", value: { stringValue: "acme" } },
                          { key: "gateway.attempt.outcome", value: { stringValue: "ok" } },
                        ],
                      },
                    ],
                  },
                },
              ],
            },
          ],
        },
      ],
    });
  });

  test("have money as a double even when it is whole, since a back end gives a metric one type", () => {
    const table = createSeriesTable();
    table.record("gateway.cost", {}, 2_000_000, NOON);
    expect(JSON.stringify(encode(table.list()))).toContain('"asDouble":2');
  });

  test("mark the overflow as the SDK specification does", () => {
    const at = { startAt: NOON, touchedAt: NOON };
    const overflow = { "otel.metric.overflow": "true" };
    const body = encode([{ instrument: "gateway.cost", labels: overflow, sum: 1, buckets: [], ...at }]);
    expect(JSON.stringify(body)).toContain('{"key":"otel.metric.overflow","value":{"boolValue":true}}');
  });

  test("are not sent when there are none", () => {
    expect(encode([])).toBeUndefined();
  });

  test.each([
    ["https://c.example", "https://c.example/v1/metrics"],
    ["https://c.example/otlp/", "https://c.example/otlp/v1/metrics"],
    ["https://c.example/otlp/v1/traces", "https://c.example/otlp/v1/metrics"],
    ["https://c.example/v1/metrics", "https://c.example/v1/metrics"],
  ])("of %s go to %s", (endpoint, url) => {
    expect(metricsUrl(endpoint)).toBe(url);
  });
});

function nameOf(instrument: string): InstrumentName {
  const name = NAMES.find((known) => known === instrument);
  if (name === undefined) throw new Error(`${instrument} is not listed`);
  return name;
}
