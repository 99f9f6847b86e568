/**
 * The bars and the time axis of the waterfall, as rows of single-width cells. Only characters of WGL4, the set
 * every monospaced font has: a fallback glyph of another width would misalign the drawing. Pure.
 */

import type { AttemptView, ShareKind, TimeShare } from "../trace/time-shares.ts";
import { formatTick } from "./terminal-text.ts";
import type { FinishedSpan } from "../trace/trace.ts";

/**
 * One glyph per meaning, so that the drawing needs no colour: hatched is waiting in our queue, light is waiting
 * for the model.
 */
export const GLYPHS = {
  queue: "▒",
  failed: "×",
  pause: ".",
  first_token: "░",
  answer: "█",
  cache: "▓",
  gateway: "─",
} as const satisfies Record<ShareKind, string>;

/** Parts of a call by its upstream's clock; its decoding is the answer's own glyph. */
export const REPORTED_GLYPHS = { network: "∙", queue: "▀", prefill: "▄", decode: GLYPHS.answer } as const;

const REQUEST = "═";
const WORK = "▓";
const FIRST_CHUNK = "►";
/** A step shorter than a cell, and one of 0 ms. */
const SHORT = "▌";
const INSTANT = "│";

/** Where a span is on the axis. */
export interface Scale {
  readonly startAt: number;
  readonly totalMs: number;
  readonly width: number;
}

export interface Bar {
  readonly from: number;
  readonly cells: readonly string[];
}

/** The bar of one span. `note` is written into the bar where it is long enough. */
export function drawBar(
  span: FinishedSpan,
  attempt: AttemptView | undefined,
  isRoot: boolean,
  scale: Scale,
): Bar {
  const durationMs = span.endAt - span.startAt;
  const start = position(span.startAt, scale);
  const from = Math.max(0, Math.min(Math.round(start), scale.width - 1));
  const to = Math.max(from + 1, Math.min(Math.round(position(span.endAt, scale)), scale.width));
  const isTiny = position(span.endAt, scale) - start < 0.75;
  if (durationMs === 0) return { from, cells: [INSTANT] };
  if (attempt !== undefined) return { from, cells: attemptCells(attempt, from, to, isTiny, scale) };
  if (isTiny) return { from, cells: [SHORT] };
  return { from, cells: Array<string>(to - from).fill(glyphOf(span, isRoot)) };
}

function glyphOf(span: FinishedSpan, isRoot: boolean): string {
  if (isRoot) return REQUEST;
  if (span.name === "gateway.queue.wait") return GLYPHS.queue;
  return span.name === "gateway.admission" ? GLYPHS.gateway : WORK;
}

function attemptCells(
  attempt: AttemptView,
  from: number,
  to: number,
  isTiny: boolean,
  scale: Scale,
): string[] {
  const length = to - from;
  if (!attempt.hasAnswered) return Array<string>(length).fill(GLYPHS.failed);
  if (isTiny) return [SHORT];
  const cells = Array<string>(length).fill(GLYPHS.answer);
  const chunk =
    attempt.firstChunkAt === undefined
      ? undefined
      : Math.max(0, Math.min(Math.round(position(attempt.firstChunkAt, scale)) - from, length - 1));
  if (chunk !== undefined) cells.fill(GLYPHS.first_token, 0, chunk);
  drawReported(cells, attempt, chunk, scale);
  if (chunk !== undefined) cells[chunk] = FIRST_CHUNK;
  if (!attempt.isWhole) cells[length - 1] = GLYPHS.failed;
  return cells;
}

/** Draws the upstream's own parts up to the first chunk; of a whole answer, from the network to the decoding. */
function drawReported(
  cells: string[],
  { reported }: AttemptView,
  chunk: number | undefined,
  { totalMs, width }: Scale,
): void {
  if (reported === undefined || reported.isDoubtful) return;
  const { queueMs, prefillMs, decodeMs } = reported;
  const cellsOf = (ms: number): number => Math.round((ms / totalMs) * width);
  const prefillEnd = chunk ?? Math.max(0, cells.length - cellsOf(decodeMs));
  const prefillStart = Math.max(0, prefillEnd - cellsOf(prefillMs));
  const queueStart = Math.max(0, prefillStart - cellsOf(queueMs));
  cells.fill(REPORTED_GLYPHS.network, 0, queueStart);
  cells.fill(REPORTED_GLYPHS.queue, queueStart, prefillStart);
  cells.fill(REPORTED_GLYPHS.prefill, prefillStart, prefillEnd);
}

/** Bar left at each end of a note, so that the note is visibly part of it. */
const NOTE_MARGIN = 2;

/** A note written into the solid part of an answer's bar; undefined when there is no room. */
export function writeInside({ from, cells }: Bar, note: string): Bar | undefined {
  const solid = cells.indexOf(GLYPHS.answer);
  if (solid === -1 || note === "") return undefined;
  const text = ` ${note} `;
  const room = cells.lastIndexOf(GLYPHS.answer) + 1 - solid;
  if (room < text.length + 2 * NOTE_MARGIN) return undefined;
  const at = solid + Math.floor((room - text.length) / 2);
  return { from, cells: [...cells.slice(0, at), ...text.split(""), ...cells.slice(at + text.length)] };
}

/** All parts of the request's time in one line of the full width; each part at least one cell. */
export function drawShares(shares: readonly TimeShare[], width: number): string {
  const totalMs = shares.reduce((total, { ms }) => total + ms, 0);
  let line = "";
  let ms = 0;
  for (const [index, share] of shares.entries()) {
    ms += share.ms;
    const isLast = index === shares.length - 1;
    const shown = Math.min(line.length + 1, width - (shares.length - 1 - index));
    const end = isLast ? width : Math.max(shown, Math.round((ms / totalMs) * width));
    line += GLYPHS[share.kind].repeat(Math.max(0, Math.min(end, width) - line.length));
  }
  return line;
}

/** At least this many cells from one label of the axis to the next. */
const MIN_TICK_CELLS = 11;
/** Round lengths. */
const TICK_STEPS = [1, 2, 5] as const;

/** The axis in two rows: labels, and a rule with a mark under each. */
export function drawAxis(scale: Scale): readonly [labels: string, rule: string] {
  const stepMs = tickStep((scale.totalMs * MIN_TICK_CELLS) / scale.width);
  let labels = "";
  const rule = Array<string>(scale.width).fill("─");
  for (let ms = 0; ms <= scale.totalMs; ms += stepMs) {
    const at = Math.round((ms / scale.totalMs) * scale.width);
    const label = formatTick(ms);
    if (at >= scale.width || at + label.length > scale.width) break;
    labels = labels.padEnd(at) + label;
    rule[at] = ms === 0 ? "├" : "┼";
  }
  return [labels, rule.join("")];
}

function tickStep(atLeastMs: number): number {
  for (let power = 1; ; power *= 10) {
    for (const step of TICK_STEPS) {
      if (step * power >= atLeastMs) return step * power;
    }
  }
}

function position(at: number, { startAt, totalMs, width }: Scale): number {
  return ((at - startAt) / totalMs) * width;
}
