/** The waterfall: the steps of a request on one axis of time, as a tree grid of one tab stop. */

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { type Axis, createAxis } from "../model/axis.ts";
import { PART_NAMES, type Segment } from "../model/parts.ts";
import { placeLabel, textWidthPx } from "../model/label.ts";
import { remarkOf, stepName } from "../model/remarks.ts";
import type { PathStretch, RequestView, Step } from "../model/steps.ts";
import { durationText } from "../model/words.ts";
import { Icon } from "./icons.tsx";

interface WaterfallProps {
  readonly request: RequestView;
  readonly rows: readonly Step[];
  readonly chosen: Step;
  readonly folded: ReadonlySet<string>;
  readonly path: readonly PathStretch[] | undefined;
  readonly pointed: string | undefined;
  readonly onChoose: (step: Step) => void;
  readonly onFold: (step: Step) => void;
}

const FIRST_WIDTH_PX = 600;

export function Waterfall(props: WaterfallProps): JSX.Element {
  const { request, rows, chosen, path, pointed } = props;
  const axis = createAxis(request.endMs);
  const plot = useRef<HTMLDivElement>(null);
  const widthPx = useWidth(plot);
  const percent = (ms: number): number => (100 * ms) / axis.totalMs;
  return (
    <div class={path === undefined ? "waterfall" : "waterfall with-path"} data-pointed={pointed}>
      <div class="axis" aria-hidden="true">
        <span>Step</span>
        <span class="axis-length">Length</span>
        <div class="plot" ref={plot}>
          {visibleTicks(axis, widthPx).map(({ atMs, label }) => (
            <span key={atMs} class="tick" style={{ "--x": String(percent(atMs)) }}>
              {label}
            </span>
          ))}
        </div>
      </div>
      <div
        class="rows"
        role="treegrid"
        aria-label="Steps of the request on one axis of time"
        tabIndex={0}
        aria-activedescendant={`step-${chosen.span.spanId}`}
        style={{ "--grid": `${percent(axis.ticks[1]?.atMs ?? axis.totalMs)}%` }}
      >
        {rows.map((step) => (
          <Row key={step.span.spanId} {...props} step={step} percent={percent} widthPx={widthPx} />
        ))}
        {request.endMs > request.tookMs && (
          <div class="last-byte" aria-hidden="true">
            <i style={{ "--x": String(percent(request.tookMs)) }} title="last byte sent" />
          </div>
        )}
      </div>
    </div>
  );
}

/** A label at the right edge would be cut. */
function visibleTicks({ ticks, totalMs }: Axis, widthPx: number): Axis["ticks"] {
  return ticks.filter(
    ({ atMs, label }) => atMs === 0 || (atMs / totalMs) * widthPx + textWidthPx(label) / 2 < widthPx,
  );
}

interface RowProps extends WaterfallProps {
  readonly step: Step;
  readonly percent: (ms: number) => number;
  readonly widthPx: number;
}

function Row(props: RowProps): JSX.Element {
  const { step, chosen, folded, path, pointed, percent, widthPx, onChoose, onFold } = props;
  const { span, from, to, level, children } = step;
  const stretches = (path ?? []).filter((stretch) => stretch.step === step);
  const remark = remarkOf(step);
  const hasFailed = isFailedStep(step);
  const isFolded = folded.has(span.spanId);
  const segments = step.segments.length > 0 && to > from ? step.segments : [];
  const chunkAt = step.attempt?.firstChunkAt;
  return (
    <div
      id={`step-${span.spanId}`}
      class={path !== undefined && stretches.length === 0 ? "row off-path" : "row"}
      role="row"
      aria-level={level + 1}
      aria-selected={step === chosen}
      aria-expanded={children.length > 0 ? !isFolded : undefined}
      onClick={() => onChoose(step)}
    >
      <div class="row-name" role="rowheader" style={{ "--level": String(level) }}>
        {children.length > 0 ? (
          <button
            class="fold"
            type="button"
            tabIndex={-1}
            aria-label={isFolded ? "Unfold" : "Fold"}
            onClick={(event) => {
              event.stopPropagation();
              onFold(step);
            }}
          >
            <Icon name="caret" />
          </button>
        ) : (
          <span class="fold-room" />
        )}
        {hasFailed && (
          <span class="mark-failed">
            <Icon name="failed" />
            <span class="hidden">failed: </span>
          </span>
        )}
        <StepName name={stepName(step)} />
      </div>
      <div class="row-length" role="gridcell">
        {durationText(to - from)}
      </div>
      <div class="plot" role="gridcell">
        {segments.map((segment) => (
          <Bar
            key={`${segment.part}${segment.from}`}
            segment={segment}
            percent={percent}
            isPointed={segment.part === pointed}
          />
        ))}
        {segments.length === 0 && <span class="instant" style={{ "--x": String(percent(from)) }} />}
        {chunkAt !== undefined && (
          <span
            class="first-token"
            style={{ "--x": String(percent(from + chunkAt - span.startAt)) }}
            title={`first token, ${durationText(chunkAt - span.startAt)} after the call`}
          />
        )}
        {stretches.map((stretch) => (
          <span
            key={stretch.from}
            class="path"
            style={{
              "--x": String(percent(stretch.from)),
              "--w": String(percent(stretch.to - stretch.from)),
            }}
          />
        ))}
        <Labels step={step} remark={remark} hasFailed={hasFailed} percent={percent} widthPx={widthPx} />
      </div>
      <div class={hasFailed ? "row-remark bad" : "row-remark"} aria-hidden="true">
        {remark}
      </div>
    </div>
  );
}

/** What tells long names apart often stands at their end: they are cut before their last seven characters. */
function StepName({ name }: { readonly name: string }): JSX.Element {
  if (name.length <= 26) {
    return (
      <span class="name" title={name}>
        <bdi>{name}</bdi>
      </span>
    );
  }
  return (
    <>
      <span class="name" title={name}>
        <bdi>{name.slice(0, -7)}</bdi>
      </span>
      <span class="name-end" aria-hidden="true">
        {name.slice(-7)}
      </span>
    </>
  );
}

interface BarProps {
  readonly segment: Segment;
  readonly percent: RowProps["percent"];
  readonly isPointed: boolean;
}

function Bar({ segment: { part, from, to }, percent, isPointed }: BarProps): JSX.Element {
  return (
    <span
      class={`bar part part-${part}${isPointed ? " pointed" : ""}`}
      style={{ "--x": String(percent(from)), "--w": String(percent(to - from)) }}
    />
  );
}

interface LabelsProps {
  readonly step: Step;
  readonly remark: string;
  readonly hasFailed: boolean;
  readonly percent: RowProps["percent"];
  readonly widthPx: number;
}

/** Each part that has room names itself; else one text stands beside the bar. */
function Labels({ step, remark, hasFailed, percent, widthPx }: LabelsProps): JSX.Element | null {
  const px = (ms: number): number => (percent(ms) * widthPx) / 100;
  const isSplit =
    step.parent === undefined || (step.attempt !== undefined && !hasFailed && step.segments.length > 1);
  if (isSplit) {
    const named = step.segments
      .filter(({ part }) => part !== "gateway" && part !== "pause")
      .map((segment) => ({ segment, text: segmentText(segment, step, remark) }))
      .filter(({ segment, text }) => textWidthPx(text) + 26 <= px(segment.to - segment.from));
    if (named.length > 0) {
      return (
        <>
          {named.map(({ segment, text }) => (
            <span
              key={segment.from}
              class={segment.part === "answer" ? "label on-answer" : "label"}
              style={{ "--px": `${px(segment.from) + 8}px` }}
            >
              {text}
            </span>
          ))}
        </>
      );
    }
  }
  const text = remark === "" && step.parent === undefined ? durationText(step.to - step.from) : remark;
  if (text === "") return null;
  const widest = step.segments.toSorted((a, b) => b.to - b.from - (a.to - a.from))[0];
  const placed = placeLabel(
    text,
    { from: px(step.from), to: px(step.to) },
    widest === undefined || widest.part === "gateway"
      ? undefined
      : { from: px(widest.from), to: px(widest.to), isPattern: widest.part !== "answer" },
    widthPx,
  );
  const isOnAnswer = placed.side === "inside" && widest?.part === "answer";
  return (
    <span
      class={`label ${placed.side}${isOnAnswer ? " on-answer" : ""}${hasFailed ? " bad" : ""}`}
      style={{ "--px": `${placed.atPx}px` }}
      title={placed.text === text ? undefined : text}
    >
      {placed.text}
    </span>
  );
}

function segmentText({ part, from, to }: Segment, step: Step, remark: string): string {
  if (part === "answer" && step.attempt !== undefined && remark !== "") return remark;
  return `${PART_NAMES[part]} ${durationText(to - from)}`;
}

function isFailedStep({ span, attempt, parent }: Step): boolean {
  if (attempt === undefined) return parent !== undefined && span.isError;
  return !attempt.isWhole && span.attributes["gateway.attempt.outcome"] !== "hedge_lost";
}

function useWidth(element: { readonly current: HTMLElement | null }): number {
  const [width, setWidth] = useState(FIRST_WIDTH_PX);
  useEffect(() => {
    const target = element.current;
    if (target === null) return undefined;
    const observer = new ResizeObserver(() => setWidth(target.clientWidth));
    observer.observe(target);
    return () => observer.disconnect();
  }, [element]);
  return width;
}
