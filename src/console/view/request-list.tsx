/** The list's table: a request a row, all strips on one scale. */

import type { JSX } from "preact";
import type { TraceItem } from "../data/traces.ts";
import { traceHref } from "../data/page-url.ts";
import { reasonOf, scaleOf, stripOf } from "../model/list-row.ts";
import { PART_NAMES, PARTS } from "../model/parts.ts";
import { countText, durationText, timeText, usdText, visibleText } from "../model/words.ts";
import { Icon } from "./icons.tsx";
import { Swatch } from "./ledgers.tsx";
import { Outside } from "./text.tsx";

interface ListProps {
  readonly items: readonly TraceItem[];
  readonly names: ReadonlyMap<string, string>;
  readonly chosen: number;
}

export function RequestList({ items, names, chosen }: ListProps): JSX.Element {
  const scaleMs = scaleOf(items);
  const used = new Set(items.flatMap((item) => stripOf(item).map(({ part }) => part)));
  return (
    <>
      <div class="table-box">
        <table class="cards requests">
          <thead>
            <tr>
              <th scope="col">Time (UTC)</th>
              <th scope="col">Status</th>
              <th scope="col">Route, key, target</th>
              <th scope="col">Where the time went, 0 to {durationText(scaleMs)}</th>
              <th scope="col" class="number">
                Took
              </th>
              <th scope="col" class="number">
                Cost, tokens in → out
              </th>
              <th scope="col">Why</th>
            </tr>
          </thead>
          <tbody>
            {items.map((item, index) => (
              <Row
                key={`${item.traceId}${item.requestId}`}
                id={`row-${index}`}
                item={item}
                names={names}
                scaleMs={scaleMs}
                isChosen={index === chosen}
              />
            ))}
          </tbody>
        </table>
      </div>
      <ul class="legend in-foot">
        {PARTS.filter((part) => used.has(part)).map((part) => (
          <li key={part}>
            <Swatch fill={part} /> {PART_NAMES[part]}
          </li>
        ))}
      </ul>
    </>
  );
}

interface RowProps extends Omit<ListProps, "items" | "chosen"> {
  readonly id: string;
  readonly item: TraceItem;
  readonly scaleMs: number;
  readonly isChosen: boolean;
}

function Row({ id, item, names, scaleMs, isChosen }: RowProps): JSX.Element {
  const { status, keyId, route, model, provider, durationMs, ttfbMs, inputTokens, outputTokens } = item;
  const isBad = status !== null && status >= 400;
  const strip = stripOf(item);
  const target = [provider, model].filter((part) => part !== null).join("/");
  const reason = reasonOf(item);
  const startedAt = Date.parse(item.startedAt);
  return (
    <tr id={id} aria-selected={isChosen}>
      <td class="muted time" title={new Date(startedAt).toLocaleString()}>
        {timeText(startedAt, Date.now())}
      </td>
      <td class="status">
        <span class={isBad ? "state bad" : "state"}>
          <Icon name={isBad ? "failed" : "ok"} />
          {status ?? "none"}
        </span>
      </td>
      <td class="route">
        <a href={traceHref(item.traceId, item.tenant)}>
          <Outside text={route ?? model ?? "no route"} />
        </a>
        <span class="below">
          <Outside text={keyId === null ? "no key" : (names.get(keyId) ?? keyId)} />
          {target !== "" && ` → ${visibleText(target)}`}
        </span>
      </td>
      <td class="strip-cell">
        <span
          class="list-strip"
          role="img"
          aria-label={strip
            .map(({ part, from, to }) => `${PART_NAMES[part]} ${durationText(to - from)}`)
            .join(", ")}
        >
          {strip.map(({ part, from, to }) => (
            <i
              key={from}
              class={`part part-${part}`}
              style={{ "--w": String((100 * (to - from)) / scaleMs) }}
            />
          ))}
        </span>
      </td>
      <td class="number took">
        {durationText(durationMs)}
        {ttfbMs !== null && ttfbMs < durationMs && (
          <span class="below">first byte {durationText(ttfbMs)}</span>
        )}
      </td>
      <td class="number cost">
        {item.costBasis === "partial" && item.costUsd !== null && "≥ "}
        {item.costUsd === null && item.attempts === null ? "$0" : usdText(item.costUsd)}
        <span class="below">
          {inputTokens === null && outputTokens === null
            ? "no tokens"
            : `${countText(inputTokens ?? 0)} → ${countText(outputTokens ?? 0)}`}
        </span>
      </td>
      <td class="reason">{reason ?? <span class="muted">nothing unusual</span>}</td>
    </tr>
  );
}
