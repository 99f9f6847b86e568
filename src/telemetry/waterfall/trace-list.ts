/** Draws a list of requests for a terminal, a line each, newest first. Pure. */

import type { TraceSummary } from "../trace/summary.ts";
import { cleanText, cutTo, formatMs, formatUsd } from "./terminal-text.ts";

/** Widths of all columns but the last; negative: to the right. */
const WIDTHS = [19, 6, -9, 30, -15, -10, 9];
const HEAD = ["STARTED (UTC)", "STATUS", "DURATION", "MODEL", "TOKENS", "COST", "CACHE", "TRACE"];

export function drawTraceList(items: readonly TraceSummary[]): string {
  return [HEAD, ...items.map(columnsOf)].map((columns) => `${drawLine(columns)}\n`).join("");
}

function columnsOf(item: TraceSummary): readonly string[] {
  const { inputTokens, outputTokens, costUsd, costBasis } = item;
  return [
    new Date(item.startedAt).toISOString().slice(0, 19).replace("T", " "),
    String(item.status ?? "-"),
    formatMs(item.durationMs),
    item.model ?? item.route ?? "-",
    inputTokens === null && outputTokens === null ? "-" : `${inputTokens ?? 0} → ${outputTokens ?? 0}`,
    costUsd === null ? "-" : `${costBasis === "partial" ? "≥ " : ""}${formatUsd(costUsd)}`,
    item.cache ?? "-",
    item.traceId,
  ];
}

function drawLine(columns: readonly string[]): string {
  return columns
    .map((column, at) => {
      const width = WIDTHS[at] ?? 0;
      const size = Math.abs(width) || column.length;
      const text = cutTo(cleanText(column), size);
      return width < 0 ? text.padStart(size) : text.padEnd(size);
    })
    .join("  ");
}
