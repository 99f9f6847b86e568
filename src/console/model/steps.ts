/** A stored request as the rows of its waterfall: a tree of steps, each with its stretches of time. Pure. */

import { numberAttribute, textAttribute } from "../../telemetry/trace/summary.ts";
import type { FinishedSpan } from "../../telemetry/trace/trace.ts";
import { type AttemptView, viewAttempts } from "../../telemetry/trace/time-shares.ts";
import { paint, type TimePart, type Segment } from "./parts.ts";

/** Times are ms since the root began. */
export interface Step {
  readonly span: FinishedSpan;
  readonly from: number;
  readonly to: number;
  readonly level: number;
  readonly children: readonly Step[];
  readonly parent: Step | undefined;
  readonly segments: readonly Segment[];
  readonly attempt: AttemptView | undefined;
  /** The attempt after this one, of which this one says why it came. */
  readonly nextAttempt: AttemptView | undefined;
}

export interface RequestView {
  readonly root: Step;
  /** All steps, depth first, siblings in the order they began. */
  readonly steps: readonly Step[];
  readonly attempts: readonly AttemptView[];
  /** Epoch milliseconds. */
  readonly startedAt: number;
  /** The request's own time, up to the last byte. */
  readonly tookMs: number;
  /** The last step's end: what ran after the answer included. */
  readonly endMs: number;
}

/** The view of a request's spans, root first; undefined where there are none. */
export function viewRequest(spans: readonly FinishedSpan[]): RequestView | undefined {
  const [rootSpan] = spans;
  if (rootSpan === undefined) return undefined;
  const startedAt = rootSpan.startAt;
  const attempts = viewAttempts(spans);
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const steps: Step[] = [];

  function visit(span: FinishedSpan, level: number, parent: Step | undefined): Step {
    const index = attempts.findIndex((attempt) => attempt.span === span);
    const attempt = attempts[index];
    const children: Step[] = [];
    const from = span.startAt - startedAt;
    const to = span.endAt - startedAt;
    const segments = span === rootSpan ? paintRequest(spans, attempts) : segmentsOf(span, attempt, from, to);
    const nextAttempt = attempt === undefined ? undefined : attempts[index + 1];
    const step: Step = { span, from, to, level, children, parent, segments, attempt, nextAttempt };
    steps.push(step);
    // A span whose parent is missing is drawn under the root.
    const isChild = ({ parentSpanId }: FinishedSpan): boolean =>
      parentSpanId === span.spanId || (span === rootSpan && !ids.has(parentSpanId ?? ""));
    const own = spans.filter((other) => other !== rootSpan && isChild(other)).toSorted(inOrder);
    for (const child of own) children.push(visit(child, level + 1, step));
    return step;
  }

  const root = visit(rootSpan, 0, undefined);
  const endMs = Math.max(...steps.map(({ to }) => to));
  return { root, steps, attempts, startedAt, tookMs: root.to, endMs };
}

function inOrder(a: FinishedSpan, b: FinishedSpan): number {
  const sequence = (span: FinishedSpan): number => numberAttribute(span, "gateway.span.seq") ?? 0;
  return a.startAt - b.startAt || sequence(a) - sequence(b);
}

/** The request's time, each moment given to one part; between them they are its whole length. */
function paintRequest(spans: readonly FinishedSpan[], attempts: readonly AttemptView[]): readonly Segment[] {
  const [root] = spans;
  if (root === undefined) return [];
  const parts = spans.slice(1).flatMap((span) => {
    const attempt = attempts.find((candidate) => candidate.span === span);
    return segmentsOf(span, attempt, span.startAt - root.startAt, span.endAt - root.startAt);
  });
  const pauses = attempts.slice(1).flatMap(({ span }, index): Segment[] => {
    const before = attempts[index]?.span;
    if (before === undefined || before.endAt >= span.startAt) return [];
    return [{ part: "pause", from: before.endAt - root.startAt, to: span.startAt - root.startAt }];
  });
  const painted = [...parts.filter(({ part }) => part !== "gateway"), ...pauses];
  return paint(painted, { from: 0, to: root.endAt - root.startAt, rest: "gateway" });
}

function segmentsOf(
  span: FinishedSpan,
  attempt: AttemptView | undefined,
  from: number,
  to: number,
): readonly Segment[] {
  const whole = (part: TimePart): readonly Segment[] => [{ part, from, to }];
  if (attempt !== undefined) return attemptSegments(attempt, from, to);
  if (span.name === "gateway.queue.wait") return whole("queue");
  if (span.name === "gateway.cache.lookup") {
    const hasFound = textAttribute(span, "gateway.cache.status") === "hit";
    // A lookup by meaning calls a model: its time is the cache's, found or not.
    return whole(hasFound || textAttribute(span, "gateway.cache.kind") === "semantic" ? "cache" : "gateway");
  }
  return whole("gateway");
}

function attemptSegments(attempt: AttemptView, from: number, to: number): readonly Segment[] {
  const { span, hasAnswered, firstChunkAt, reported } = attempt;
  const hasLost = textAttribute(span, "gateway.attempt.outcome") === "hedge_lost";
  if (!hasAnswered) return [{ part: hasLost ? "first_token" : "failed", from, to }];
  const last: TimePart = attempt.isWhole || textAttribute(span, "error.type") === null ? "answer" : "failed";
  if (firstChunkAt === undefined) {
    if (reported === undefined || reported.isDoubtful) return [{ part: last, from, to }];
    return inTurn(from, [
      ["network", reported.networkMs],
      ["vendor_queue", reported.queueMs],
      ["reading", reported.prefillMs],
      [last, to - from - reported.networkMs - reported.queueMs - reported.prefillMs],
    ]);
  }
  const chunk = from + firstChunkAt - span.startAt;
  const told = (reported?.queueMs ?? 0) + (reported?.prefillMs ?? 0);
  if (reported === undefined || reported.isDoubtful || told === 0) {
    return inTurn(from, [
      ["first_token", chunk - from],
      [last, to - chunk],
    ]);
  }
  // The vendor's clock says how long, not when: its parts end with the first token, and the network comes before them.
  const network = Math.max(0, chunk - from - told);
  return inTurn(from, [
    ["network", network],
    ["vendor_queue", Math.min(reported.queueMs, chunk - from - network)],
    ["reading", Math.max(0, chunk - from - network - reported.queueMs)],
    [last, to - chunk],
  ]);
}

/** Parts one after the other; those without a length are left out. */
function inTurn(from: number, parts: readonly (readonly [TimePart, number])[]): readonly Segment[] {
  let at = from;
  return parts.flatMap(([part, ms]) => {
    const start = at;
    at += Math.max(0, ms);
    return at > start ? [{ part, from: start, to: at }] : [];
  });
}

/** A stretch of a step that the request's end had to wait for. */
export interface PathStretch {
  readonly step: Step;
  readonly from: number;
  readonly to: number;
}

/** The critical path: from the end backwards, always into the child that ended last. Its stretches add up to the request's length. */
export function criticalPath(root: Step): readonly PathStretch[] {
  const path: PathStretch[] = [];
  function walk(step: Step, until: number): void {
    let at = Math.min(step.to, until);
    for (const child of step.children.toSorted((a, b) => b.to - a.to)) {
      if (child.from >= at || child.to <= step.from || child.to === child.from) continue;
      const end = Math.min(child.to, at);
      if (end < at) path.push({ step, from: end, to: at });
      walk(child, end);
      at = Math.max(child.from, step.from);
      if (at <= step.from) break;
    }
    if (at > step.from) path.push({ step, from: step.from, to: at });
  }
  walk(root, root.to);
  return path;
}
