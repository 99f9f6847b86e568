/**
 * The part of Grafana's dashboard model that the pack needs: panels in rows on the 24-column grid, each with a
 * unit and a description. Pure.
 */

/** Grafana's ids of units, for `fieldConfig.defaults.unit`. */
export type Unit = "reqps" | "short" | "s" | "ms" | "percentunit" | "currencyUSD";

export interface PanelAbout {
  readonly title: string;
  readonly description: string;
  readonly unit: Unit;
  readonly type?: "timeseries" | "heatmap" | "table" | "stat";
  /** Width in columns of 24; 8 by default. */
  readonly width?: number;
  /** Queries in one panel; Grafana writes the legend where none is given. */
  readonly queries: readonly { readonly query: string; readonly legend?: string }[];
  /** Whether series are stacked. */
  readonly isStacked?: boolean;
}

export interface Row {
  readonly title: string;
  readonly panels: readonly PanelAbout[];
}

export interface Variable {
  readonly name: string;
  readonly label: string;
  readonly description: string;
  readonly type: "datasource" | "query" | "textbox";
  /** A data source's type, a query, or a default text. */
  readonly query: string;
}

export interface DashboardAbout {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  /** The data source's type, also the name of its variable. */
  readonly source: "tempo" | "prometheus";
  readonly variables: readonly Variable[];
  readonly rows: readonly Row[];
}

/** The model version that Grafana 11 and later read without migration. */
const SCHEMA_VERSION = 39;
const GRID_WIDTH = 24;
const PANEL_WIDTH = 8;
const PANEL_HEIGHT = 8;
const ROW_HEIGHT = 1;

/** The JSON that Grafana imports. */
export function toDashboard({ uid, title, description, source, variables, rows }: DashboardAbout) {
  return {
    uid,
    title,
    description,
    tags: ["headgate", "llm"],
    schemaVersion: SCHEMA_VERSION,
    version: 1,
    editable: true,
    graphTooltip: 1,
    timezone: "browser",
    refresh: "1m",
    time: { from: "now-3h", to: "now" },
    templating: { list: variables.map((variable) => toVariable(variable, source)) },
    annotations: { list: [] },
    links: [],
    panels: toPanels(rows, source),
  };
}

function toPanels(rows: readonly Row[], source: DashboardAbout["source"]) {
  let id = 0;
  let y = 0;
  return rows.flatMap(({ title, panels }) => {
    const row = {
      id: ++id,
      type: "row",
      title,
      collapsed: false,
      gridPos: { x: 0, y, w: GRID_WIDTH, h: ROW_HEIGHT },
      panels: [],
    };
    y += ROW_HEIGHT;
    let x = 0;
    const placed = panels.map((about) => {
      const w = about.width ?? PANEL_WIDTH;
      if (x + w > GRID_WIDTH) {
        x = 0;
        y += PANEL_HEIGHT;
      }
      const panel = toPanel(about, ++id, { x, y, w, h: PANEL_HEIGHT }, source);
      x += w;
      return panel;
    });
    y += PANEL_HEIGHT;
    return [row, ...placed];
  });
}

interface GridPosition {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

function toPanel(about: PanelAbout, id: number, gridPos: GridPosition, source: DashboardAbout["source"]) {
  const { title, description, unit, type = "timeseries", queries, isStacked = false } = about;
  const datasource = { type: source, uid: `\${${source}}` };
  const stacking = { mode: isStacked ? "normal" : "none", group: "A" };
  const custom =
    type === "timeseries"
      ? { custom: { fillOpacity: isStacked ? 30 : 8, showPoints: "never", stacking } }
      : {};
  return {
    id,
    type,
    title,
    description,
    datasource,
    gridPos,
    // Metrics that are pushed come once a minute: a rate needs two of them, whatever the data source says of its scrapes.
    ...(source === "prometheus" && { interval: "2m" }),
    fieldConfig: { defaults: { unit, min: 0, ...custom }, overrides: [] },
    options: type === "timeseries" ? { legend: { displayMode: "list", placement: "bottom" } } : {},
    targets: queries.map(({ query, legend }, index) => ({
      refId: refId(index),
      datasource,
      ...(source === "tempo" ? tempoTarget(query, type) : prometheusTarget(query, type, legend)),
    })),
  };
}

function tempoTarget(query: string, type: PanelAbout["type"]) {
  return {
    queryType: "traceql",
    query,
    tableType: "traces",
    limit: type === "table" ? 20 : 100,
    filters: [],
  };
}

function prometheusTarget(expr: string, type: PanelAbout["type"], legend: string | undefined) {
  const format = type === "heatmap" ? "heatmap" : "time_series";
  return { expr, format, legendFormat: legend ?? "__auto", instant: type === "stat", range: type !== "stat" };
}

/** A, B, C … */
function refId(index: number): string {
  return String.fromCodePoint("A".charCodeAt(0) + index);
}

function toVariable({ name, label, description, type, query }: Variable, source: DashboardAbout["source"]) {
  const common = { name, label, description, type, hide: 0, skipUrlSync: false };
  switch (type) {
    case "datasource":
      return { ...common, query, multi: false, includeAll: false, refresh: 1 };
    case "textbox":
      return { ...common, query, current: { text: query, value: query } };
    case "query":
      return {
        ...common,
        query,
        definition: query,
        datasource: { type: source, uid: `\${${source}}` },
        refresh: 2,
        sort: 1,
        multi: true,
        includeAll: true,
        allValue: ".*",
        current: { text: "All", value: "$__all" },
      };
  }
}
