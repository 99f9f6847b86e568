/** `usage`: what a tenant, or the whole deployment, has used. */

import { call, refusal } from "../connection.ts";
import { table } from "../output.ts";
import type { RunCommand } from "./command.ts";

/** Options that the API takes under another name: src/docs/admin-api.md, "Usage". */
const PARAMETERS = { from: "from", to: "to", interval: "interval", by: "group_by" } as const;
const FORMATS = { csv: "text/csv", ndjson: "application/x-ndjson" } as const;
const DAY_CHARS = 10;
const HOUR_CHARS = 16;

export const usageCommand: RunCommand = async ({ positionals, options, connection, print, note }) => {
  const [tenant] = positionals;
  const given = Object.entries({
    interval: "total",
    by: tenant === undefined ? "tenant" : "model",
    ...options,
  });
  const query = new URLSearchParams(
    given.flatMap(([name, value]) =>
      name in PARAMETERS && typeof value === "string"
        ? [[PARAMETERS[name as keyof typeof PARAMETERS], value]]
        : [],
    ),
  );
  const of = tenant === undefined ? "" : `/tenants/${encodeURIComponent(tenant)}`;
  const path = `/admin${of}/usage?${query}`;
  const format =
    options["csv"] === true ? FORMATS.csv : options["ndjson"] === true ? FORMATS.ndjson : undefined;
  const response = await call(connection(), "GET", path, { accept: format ?? "application/json" });
  const text = await response.text();
  if (!response.ok) throw refusal("GET", path, response.status, text);
  if (format !== undefined) {
    print(text.trimEnd());
    return 0;
  }
  const { items, total } = JSON.parse(text) as { items: readonly Item[]; total: Item };
  if (items.length === 0) note("Nothing was used in that time.");
  else print(usageTable(items, total, query.get("interval") ?? ""));
  return 0;
};

type Item = Readonly<Record<string, unknown>>;

const COLUMNS = [
  ["REQUESTS", "requests"],
  ["ERRORS", "errors"],
  ["REFUSED", "refused"],
  ["HITS", "cacheHits"],
  ["INPUT", "inputTokens"],
  ["OUTPUT", "outputTokens"],
  ["COST", "costUsd"],
  ["SAVED", "savedUsd"],
  ["FAILED", "failedUsd"],
] as const;

function usageTable(items: readonly Item[], total: Item, interval: string): string {
  const groups = Object.keys(Object(items[0]?.["group"]) as object);
  const isSplit = interval !== "total";
  const cells = (item: Item): readonly string[] =>
    COLUMNS.map(([, field]) => (field.endsWith("Usd") ? `$${String(item[field])}` : String(item[field])));
  const startOf = (item: Item): string =>
    String(item["start"]).slice(0, interval === "hour" ? HOUR_CHARS : DAY_CHARS);
  return table([
    [
      ...(isSplit ? ["FROM"] : []),
      ...groups.map((group) => group.toUpperCase()),
      ...COLUMNS.map(([head]) => head),
    ],
    ...items.map((item) => [
      ...(isSplit ? [startOf(item)] : []),
      ...Object.values(Object(item["group"]) as Record<string, string | null>).map((value) => value ?? "-"),
      ...cells(item),
    ]),
    ["total", ...Array.from({ length: groups.length + (isSplit ? 0 : -1) }, () => ""), ...cells(total)],
  ]);
}
