/**
 * Draws a stored trace for a terminal: the request, where its time went, and each step as a bar over one axis.
 * Never wider than requested. Pure.
 */

import type { AttributeValue } from "../trace/attributes.ts";
import { type ReadTrace, tenantOf } from "../otlp/otlp-read.ts";
import { numberAttribute, textAttribute } from "../trace/summary.ts";
import { cleanText, cutTo, flow, formatMs, spread } from "./terminal-text.ts";
import { shareTime, viewAttempts, type AttemptView, type ShareKind } from "../trace/time-shares.ts";
import type { FinishedSpan } from "../trace/trace.ts";
import {
  drawAxis,
  drawBar,
  drawShares,
  GLYPHS,
  writeInside,
  type Bar,
  type Scale,
} from "./waterfall-bars.ts";
import {
  factsOf,
  formatRate,
  labelOf,
  noteOf,
  noteOfAttempt,
  refusalOf,
  reportsOf,
} from "./waterfall-notes.ts";

/** Fits a split terminal and a README. */
export const DEFAULT_WIDTH = 100;
export const MIN_WIDTH = 60;
export const MAX_WIDTH = 240;

/** ` 1 min 23 s`, right-aligned. */
const DURATION_WIDTH = 10;
const GAP = "  ";
/** The labels' share of the width at most. */
const MAX_LABEL_SHARE = 0.34;

/**
 * Each stored request of a trace, with a blank line between two. Callers choose the ids of their traces, so one tenant may use
 * another one's: then each tenant's requests are drawn apart, under its name.
 */
export function drawWaterfall(traces: readonly ReadTrace[], width = DEFAULT_WIDTH): string {
  const asked = Math.max(MIN_WIDTH, Math.min(width, MAX_WIDTH));
  const draw = (trace: ReadTrace): string => drawRequest(trace, asked).join("\n");
  const byTenant = Map.groupBy(traces, tenantOf);
  if (byTenant.size <= 1) return `${traces.map(draw).join("\n\n")}\n`;
  const groups = [...byTenant].map(([tenant, own]) => {
    const title = cutTo(
      `=== tenant ${cleanText(tenant)}, apart from the others with this trace id ===`,
      asked,
    );
    return [title, ...own.map(draw)].join("\n\n");
  });
  return `${groups.join("\n\n")}\n`;
}

function drawRequest({ spans: raw, hasRemoteParent }: ReadTrace, width: number): string[] {
  const spans = raw.map(cleanSpan);
  const [root] = spans;
  if (root === undefined) return [];
  const refusal = refusalOf(root);
  return [
    ...drawHead(root, hasRemoteParent, width),
    ...(refusal === undefined ? [] : [cutTo(refusal, width)]),
    "",
    ...drawTime(root, spans, width),
    "",
    ...drawChart(root, spans, width),
    ...drawLinks(spans, width),
  ].map((line) => line.trimEnd());
}

function drawHead(root: FinishedSpan, hasRemoteParent: boolean, width: number): string[] {
  const status = numberAttribute(root, "http.response.status_code");
  const outcome = textAttribute(root, "gateway.outcome");
  const result = [status === null ? null : String(status), outcome, formatMs(root.endAt - root.startAt)];
  const requestId = textAttribute(root, "gateway.request.id");
  return [
    spread(root.name, result.filter((part) => part !== null).join(" · "), width),
    ...flow(factsOf(root), width),
    ...flow(
      [
        `trace ${root.traceId}`,
        ...(requestId === null ? [] : [`request ${requestId}`]),
        ...(hasRemoteParent ? ["joined the caller's trace"] : []),
      ],
      width,
    ),
  ];
}

const SHARE_NAMES: Readonly<Record<ShareKind, string>> = {
  queue: "queue",
  failed: "failed attempts",
  pause: "pause before retry",
  first_token: "first token",
  answer: "answer",
  cache: "cache",
  gateway: "gateway",
};

function drawTime(root: FinishedSpan, spans: readonly FinishedSpan[], width: number): string[] {
  const shares = shareTime(root, spans);
  if (shares.length === 0) return ["finished in under 1 ms"];
  const answered = viewAttempts(spans).findLast(({ hasAnswered }) => hasAnswered);
  const parts = shares.map(({ kind, ms }) => {
    const isStream = kind === "answer" && answered?.firstChunkAt !== undefined;
    const rate = kind === "answer" ? answered?.tokensPerSecond : undefined;
    const name = isStream ? "stream" : SHARE_NAMES[kind];
    return `${GLYPHS[kind]} ${name} ${formatMs(ms)}${rate === undefined ? "" : ` at ${formatRate(rate)}`}`;
  });
  return ["where the time went", drawShares(shares, width), ...flow(parts, width, "   ")];
}

interface Row {
  readonly span: FinishedSpan;
  /** The tree's lines before the label, and those for a second line below it. */
  readonly branch: string;
  readonly trunk: string;
  readonly attempt: AttemptView | undefined;
  readonly note: string;
  /** Lines of their own below it. */
  readonly reports: readonly (readonly string[])[];
}

function drawChart(root: FinishedSpan, spans: readonly FinishedSpan[], width: number): string[] {
  const rows = layOut(root, spans);
  const labels = rows.map((row) => row.branch + labelOf(row.span, row.attempt));
  const longest = Math.max(...labels.map(({ length }) => length));
  const labelWidth = Math.min(longest, Math.floor(width * MAX_LABEL_SHARE));
  const scale: Scale = {
    startAt: root.startAt,
    totalMs: Math.max(1, Math.max(...spans.map(({ endAt }) => endAt)) - root.startAt),
    width: width - labelWidth - DURATION_WIDTH - GAP.length,
  };
  const indent = " ".repeat(labelWidth + DURATION_WIDTH + GAP.length);
  const lines = rows.flatMap((row, index) => {
    const label = cutTo(labels[index] ?? "", labelWidth).padEnd(labelWidth);
    const duration = formatMs(row.span.endAt - row.span.startAt).padStart(DURATION_WIDTH);
    const bar = drawBar(row.span, row.attempt, index === 0, scale);
    const { line, below } = place(bar, row.note, scale.width);
    return [
      label + duration + GAP + line,
      ...(below === undefined ? [] : [row.trunk.padEnd(indent.length) + below]),
      ...row.reports
        .flatMap((parts) => flow(parts, scale.width, "  "))
        .map((text) => row.trunk.padEnd(indent.length) + text),
    ];
  });
  return [...drawAxis(scale).map((line) => indent + line), ...lines];
}

/** A note goes into its bar, after it, before it, or on the line below where there is no room. */
function place(bar: Bar, note: string, width: number): { readonly line: string; readonly below?: string } {
  const filled = writeInside(bar, note);
  if (filled !== undefined) return { line: " ".repeat(filled.from) + filled.cells.join("") };
  const drawn = bar.cells.join("");
  const line = " ".repeat(bar.from) + drawn;
  if (note === "") return { line };
  if (line.length + 1 + note.length <= width) return { line: `${line} ${note}` };
  if (note.length + 1 <= bar.from) return { line: `${note.padStart(bar.from - 1)} ${drawn}` };
  return { line, below: cutTo(note, width).padStart(Math.min(width, bar.from + note.length)) };
}

/** The spans as a tree, depth first, siblings in the order they started. */
function layOut(root: FinishedSpan, spans: readonly FinishedSpan[]): readonly Row[] {
  const attempts = viewAttempts(spans);
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const rows: Row[] = [];

  function visit(span: FinishedSpan, branch: string, trunk: string): void {
    const index = attempts.findIndex((attempt) => attempt.span === span);
    const attempt = attempts[index];
    const note = attempt === undefined ? noteOf(span) : noteOfAttempt(attempt, attempts[index + 1]);
    const reports = attempt === undefined ? [] : reportsOf(attempt);
    rows.push({ span, branch, trunk, attempt, note: span === root ? "" : note, reports });
    // A span whose parent is missing is drawn under the root.
    const isChild = ({ parentSpanId }: FinishedSpan): boolean =>
      parentSpanId === span.spanId || (span === root && !ids.has(parentSpanId ?? ""));
    const children = spans.filter((other) => other !== root && isChild(other)).toSorted(inOrder);
    for (const child of children) {
      const isLast = child === children.at(-1);
      visit(child, `${trunk}${isLast ? "└─ " : "├─ "}`, `${trunk}${isLast ? "   " : "│  "}`);
    }
  }

  visit(root, "", "");
  return rows;
}

function inOrder(a: FinishedSpan, b: FinishedSpan): number {
  const bySeq = (numberAttribute(a, "gateway.span.seq") ?? 0) - (numberAttribute(b, "gateway.span.seq") ?? 0);
  return a.startAt - b.startAt || bySeq;
}

function drawLinks(spans: readonly FinishedSpan[], width: number): string[] {
  const byType = new Map<string, Set<string>>();
  for (const { traceId, attributes } of spans.flatMap(({ links }) => links)) {
    const type = attributes["gateway.link.type"];
    if (typeof type !== "string") continue;
    const title = type.replaceAll("_", " ");
    byType.set(title, (byType.get(title) ?? new Set()).add(traceId));
  }
  const titleWidth = Math.max(0, ...[...byType.keys()].map(({ length }) => length)) + GAP.length;
  const lines = [...byType].flatMap(([title, traceIds]) =>
    flow([...traceIds], width - titleWidth, " ").map(
      (line, index) => (index === 0 ? title : "").padEnd(titleWidth) + line,
    ),
  );
  return lines.length === 0 ? [] : ["", ...lines];
}

/** Makes all text of a span safe to print. */
function cleanSpan(span: FinishedSpan): FinishedSpan {
  return { ...span, name: cleanText(span.name), attributes: cleanAttributes(span.attributes) };
}

function cleanAttributes(attributes: FinishedSpan["attributes"]): Readonly<Record<string, AttributeValue>> {
  return Object.fromEntries(
    Object.entries(attributes).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, typeof value === "string" ? cleanText(value) : value] as const],
    ),
  );
}
