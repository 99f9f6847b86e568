// The Grafana pack: its files are what is generated, whole and importable, and every name in them exists in the constants.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { GatewayError } from "../../../src/errors.ts";
import { alertRules } from "../../../src/grafana/alert-rules.ts";
import { metricsDashboard } from "../../../src/grafana/metrics-dashboard.ts";
import { dataSource, renderPack } from "../../../src/grafana/pack.ts";
import { tracesDashboard } from "../../../src/grafana/traces-dashboard.ts";
import { refusalAttributes, rootAttributes } from "../../../src/pipeline/request-facts.ts";
import { ATTRIBUTES } from "../../../src/telemetry/trace/attributes.ts";
import { listInstruments, METRIC_LABELS } from "../../../src/telemetry/metrics/instruments.ts";
import { prometheusName, toUnderscores } from "../../../src/telemetry/metrics/prometheus.ts";
import { SPANS } from "../../../src/telemetry/trace/spans.ts";

type Panel = (typeof tracesDashboard)["panels"][number];
type DataPanel = Extract<Panel, { targets: unknown }>;
type Target = DataPanel["targets"][number];

const readFile = (name: string): string =>
  readFileSync(join(import.meta.dirname, "../../../src/grafana", name), "utf8");

const isData = (panel: Panel): panel is DataPanel => "targets" in panel;
const queryOf = (target: Target): string => ("expr" in target ? target.expr : target.query);
const queriesOf = (dashboard: typeof tracesDashboard): readonly string[] =>
  dashboard.panels.filter(isData).flatMap(({ targets }) => targets.map(queryOf));

describe("the files", () => {
  test("are those that `npm run grafana` writes", () => {
    const pack = renderPack();
    expect(JSON.parse(readFile("traces.json"))).toEqual(JSON.parse(pack["traces.json"] ?? ""));
    expect(JSON.parse(readFile("metrics.json"))).toEqual(JSON.parse(pack["metrics.json"] ?? ""));
    expect(readFile("alerts.yaml")).toBe(pack["alerts.yaml"]);
    expect(readFile("datasource.yaml")).toBe(pack["datasource.yaml"]);
  });

  test("give a YAML reader back what they were made of", () => {
    expect(parse(readFile("alerts.yaml"))).toEqual(alertRules);
    expect(parse(readFile("datasource.yaml"))).toEqual(dataSource);
  });

  test("hold no secret and no address but the local one", () => {
    const text = Object.values(renderPack()).join("\n");
    expect(text.match(/https?:\/\/[^/"'\s]+/g)).toEqual(["http://localhost:8787"]);
    expect(dataSource.datasources[0]?.secureJsonData.basicAuthPassword).toMatch(/^\$[A-Z_]+$/);
  });
});

describe.each([
  ["traces", tracesDashboard],
  ["metrics", metricsDashboard],
])("the %s dashboard", (_, dashboard) => {
  const panels = dashboard.panels.filter(isData);

  test("has no id and no title twice", () => {
    const ids = dashboard.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const titles = dashboard.panels.map(({ title }) => title);
    expect(new Set(titles).size).toBe(titles.length);
    expect(tracesDashboard.uid).not.toBe(metricsDashboard.uid);
  });

  test.each(panels.map((panel) => [panel.title, panel] as const))(
    "says of '%s' what it shows, in which unit, from which source",
    (_title, panel) => {
      expect(panel.description).toMatch(/^[A-Z\d].{15,}\.$/);
      expect(panel.fieldConfig.defaults.unit).toMatch(/^[A-Za-z]+$/);
      expect(panel.targets.length).toBeGreaterThan(0);
      const variables = dashboard.templating.list.map(({ name }) => `\${${name}}`);
      for (const target of panel.targets) expect(variables).toContain(target.datasource.uid);
      expect(new Set(panel.targets.map(({ refId }) => refId)).size).toBe(panel.targets.length);
    },
  );

  test("lets no panel cover another or leave the grid", () => {
    const taken = new Set<string>();
    for (const { gridPos } of dashboard.panels) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.has(`${x},${y}`)).toBe(false);
          taken.add(`${x},${y}`);
        }
      }
    }
  });

  test("uses only variables that it has", () => {
    const names = dashboard.templating.list.map(({ name }) => name);
    for (const query of queriesOf(dashboard)) {
      for (const [, name = ""] of query.matchAll(/\$(?!__)([a-z_]+)/g)) expect(names).toContain(name);
    }
  });
});

describe("TraceQL", () => {
  const queries = queriesOf(tracesDashboard);

  test.each(queries)("names only attributes and spans that exist: %s", (query) => {
    const attributes = [...query.matchAll(/span\.([a-z_.]+)/g)].map(([, name = ""]) => name);
    for (const name of attributes) expect(Object.keys(ATTRIBUTES)).toContain(name);
    for (const [, name = ""] of query.matchAll(/(?<!\.)\bname = "([^"]+)"/g))
      expect(Object.keys(SPANS)).toContain(name);
    expect(query).toContain('resource.service.name = "$service"');
    expect(query).toContain("$where");
  });

  test("asks of root spans only what roots carry", () => {
    const limit = { name: "concurrency", value: 1, remaining: 0 };
    const refusal = new GatewayError("rate_limited", "x", { limit, retryAfterMs: 1 });
    const onRoot = new Set<string>([
      ...Object.keys(rootAttributes({ startedAt: 0 })),
      ...Object.keys(refusalAttributes(refusal)),
      "error.type",
    ]);
    for (const query of queries.filter((text) => text.includes("nestedSetParent < 0"))) {
      for (const [, name = ""] of query.matchAll(/span\.([a-z_.]+)/g)) expect(onRoot).toContain(name);
    }
  });

  test("counts requests by their roots: each query is of roots, of attempts or of one kind of span", () => {
    for (const query of queries)
      expect(query).toMatch(/nestedSetParent < 0|span\.gateway\.attempt\.number > \d|[^.]name = "/);
  });
});

/** Series by their names in Prometheus, with the labels they may have. */
const SERIES = new Map(
  listInstruments().flatMap(([name, instrument]) => {
    const labels = new Set(["gateway_tenant_id", ...instrument.labels.map(toUnderscores)]);
    const base = prometheusName(name, instrument);
    if (instrument.kind !== "histogram") return [[base, labels] as const];
    const withLe = new Set([...labels, "le"]);
    return [
      [`${base}_bucket`, withLe] as const,
      ...["_sum", "_count"].map((end) => [base + end, labels] as const),
    ];
  }),
);
const WORDS = new Set(
  ["sum", "by", "rate", "increase", "histogram_quantile", "absent", "offset", "le"].concat(
    Object.keys(METRIC_LABELS).map(toUnderscores),
  ),
);

/** What an expression names that is not there; parentheses that do not match. */
function promqlFaults(expr: string): readonly string[] {
  const faults: string[] = [];
  const bare = expr.replaceAll(/"[^"]*"|\[[^\]]*\]|\b\d\w*/g, "");
  for (const [word] of bare.matchAll(/(?<![\w$])[a-z]\w*/gi))
    if (!WORDS.has(word) && !SERIES.has(word)) faults.push(word);
  const check = (name: string, label: string): void => {
    if (SERIES.get(name)?.has(label) !== true) faults.push(`${label} of ${name}`);
  };
  for (const [, name = "", selectors = ""] of expr.matchAll(/(\w+)\{([^}]*)\}/g))
    for (const [, label = ""] of selectors.matchAll(/(\w+)(?:=|!=|=~|!~)"/g)) check(name, label);
  for (const [, labels = "", name = ""] of expr.matchAll(/by \(([^)]*)\) \((?:rate|increase)\((\w+)/g))
    for (const label of labels.split(", ")) check(name, label);
  const depth = [...expr].reduce((open, char) => open + (char === "(" ? 1 : char === ")" ? -1 : 0), 0);
  return depth === 0 ? faults : [...faults, "parentheses"];
}

describe("PromQL", () => {
  test.each(queriesOf(metricsDashboard))("names only metrics and labels that exist: %s", (query) => {
    expect(promqlFaults(query)).toEqual([]);
  });

  test.each([
    ["sum(rate(gateway_request_total[5m]))", "gateway_request_total"],
    [
      'sum(rate(gateway_requests_total{gateway_limit_name="x"}[5m]))',
      "gateway_limit_name of gateway_requests_total",
    ],
    [
      "sum by (gateway_decision) (rate(gateway_requests_total[5m]))",
      "gateway_decision of gateway_requests_total",
    ],
    ["sum(rate(gateway_requests_total[5m])", "parentheses"],
  ])("is refused by this check where a name is wrong: %s", (query, fault) => {
    expect(promqlFaults(query)).toEqual([fault]);
  });
});

describe("the alert rules", () => {
  const { rules } = alertRules.groups[0] ?? { rules: [] };

  test.each(rules.map((rule) => [rule.alert, rule] as const))("%s is whole", (_, rule) => {
    expect(promqlFaults(rule.expr)).toEqual([]);
    expect(rule.alert).toMatch(/^Headgate[A-Z]\w+$/);
    expect(rule.for).toMatch(/^\d+m$/);
    expect(["critical", "warning", "info"]).toContain(rule.labels.severity);
    expect(rule.annotations.summary.length).toBeGreaterThan(10);
    expect(rule.annotations.description).toMatch(/\.$/);
    // A label in the summary is one that the expression leaves.
    for (const [, label = ""] of rule.annotations.summary.matchAll(/\$labels\.(\w+)/g))
      expect(rule.expr).toMatch(new RegExp(`by \\([^)]*\\b${label}\\b`));
  });

  test("have each name once, and are about what matters", () => {
    const names = rules.map(({ alert }) => alert);
    expect(new Set(names).size).toBe(names.length);
    const text = rules.map(({ expr }) => expr).join("\n");
    for (const metric of [
      "gateway_requests_total",
      "gateway_queue_wait_seconds_bucket",
      "gateway_refusals_total",
      "gateway_cost_USD_total",
      "gateway_export_dropped_total",
      "gen_ai_client_operation_time_to_first_chunk_seconds_bucket",
    ])
      expect(text).toContain(metric);
  });
});

test("what is no failure of an upstream counts as none: in the alert and in the panel", () => {
  const panel = metricsDashboard.panels
    .filter(isData)
    .find(({ title }) => title === "Failed attempts by provider");
  const alert = readFile("alerts.yaml");
  for (const outcome of ["ok", "client_disconnected", "hedge_lost", "upstream_rejected"]) {
    expect(panel?.targets.map(queryOf).join("")).toMatch(new RegExp(`!~"[a-z_|]*\\b${outcome}\\b`));
    expect(alert).toMatch(new RegExp(`attempt_outcome!~"[a-z_|]*\\b${outcome}\\b`));
  }
});

test("each panel of metrics spans two pushes", () => {
  for (const panel of metricsDashboard.panels.filter(isData)) expect(panel).toMatchObject({ interval: "2m" });
});
