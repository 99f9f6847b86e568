/** What the commands print: tables and changes. Pure; colours are left to the terminal's own tools. */

import type { ConfigChange } from "./config/changes.ts";

const GAP = "  ";

/** Columns as wide as their widest cell; the last one is not padded. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? "").length)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
        .join(GAP)
        .trimEnd(),
    )
    .join("\n");
}

const SIGNS = { create: "+", update: "~", delete: "-" } as const;

/** `+ route acme/chat`, and below an update its fields: `targets[0].model: "a" → "b"`. */
export function changeText({ action, sort, tenant, name, fields }: ConfigChange): string {
  const subject = sort === "tenant" ? tenant : `${tenant}/${name}`;
  return [
    `${SIGNS[action]} ${sort} ${subject}`,
    ...fields.map(({ path, from, to }) => `    ${path}: ${from ?? "(absent)"} → ${to ?? "(absent)"}`),
  ].join("\n");
}

const COUNTED = { create: "to create", update: "to change", delete: "to delete" } as const;

/** `2 to create, 1 to change` */
export function summaryOf(changes: readonly ConfigChange[]): string {
  if (changes.length === 0) return "Nothing to change: the gateway is as the file says.";
  return (["create", "update", "delete"] as const)
    .map((action) => [changes.filter((change) => change.action === action).length, COUNTED[action]] as const)
    .filter(([count]) => count > 0)
    .map(([count, what]) => `${count} ${what}`)
    .join(", ");
}
