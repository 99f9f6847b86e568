/** The chosen step: our words for it, then everything that its span holds. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { factsOfStep, stepName } from "../model/remarks.ts";
import type { RequestView, Step } from "../model/steps.ts";
import { durationText, shareText, shortId, visibleText } from "../model/words.ts";
import { CopyButton } from "./text.tsx";

const TABS = ["Facts", "All attributes", "Events", "Links", "Raw"] as const;
type Tab = (typeof TABS)[number];

interface PanelProps {
  readonly step: Step;
  readonly request: RequestView;
  readonly traceHref: (traceId: string) => string;
}

export function Panel({ step, request, traceHref }: PanelProps): JSX.Element {
  const [tab, setTab] = useState<Tab>("Facts");
  const { span, from, to } = step;
  const length = to - from;
  return (
    <aside class="panel" aria-label="The chosen step">
      <h2>{stepName(step)}</h2>
      <p class="says">
        {durationText(length)}
        {step.parent !== undefined &&
          `, ${shareText(Math.min(length, request.tookMs), request.tookMs)} of the request; begins at ${durationText(from)}`}
        .
      </p>
      <div class="tabs" role="tablist" aria-label="About this step">
        {TABS.map((name) => (
          <button
            key={name}
            type="button"
            role="tab"
            aria-selected={name === tab}
            onClick={() => setTab(name)}
          >
            {name}
            {countOf(name, step)}
          </button>
        ))}
      </div>
      <div role="tabpanel" aria-label={tab}>
        {tab === "Facts" && (
          <Pairs
            pairs={factsOfStep(step, request).map(({ name, value, traceId }) => [
              name,
              traceId === undefined ? value : <TraceLink id={traceId} href={traceHref(traceId)} />,
            ])}
          />
        )}
        {tab === "All attributes" && <Pairs isMono pairs={attributePairs(span.attributes)} />}
        {tab === "Events" &&
          (span.events.length === 0 ? (
            <p class="muted">No events.</p>
          ) : (
            span.events.map((event) => (
              <section key={`${event.name}${event.at}`} class="event">
                <h3>{visibleText(event.name)}</h3>
                <p class="muted">at {durationText(event.at - request.startedAt)}</p>
                <Pairs isMono pairs={attributePairs(event.attributes)} />
              </section>
            ))
          ))}
        {tab === "Links" &&
          (span.links.length === 0 ? (
            <p class="muted">No links to other traces.</p>
          ) : (
            <Pairs
              pairs={span.links.map((link) => [
                String(link.attributes["gateway.link.type"] ?? "linked").replaceAll("_", " "),
                <TraceLink id={link.traceId} href={traceHref(link.traceId)} />,
              ])}
            />
          ))}
        {tab === "Raw" && <Raw text={JSON.stringify(span, null, 2)} />}
      </div>
    </aside>
  );
}

function countOf(tab: Tab, { span }: Step): string {
  const count = tab === "Events" ? span.events.length : tab === "Links" ? span.links.length : 0;
  return count === 0 ? "" : ` ${count}`;
}

function TraceLink({ id, href }: { readonly id: string; readonly href: string }): JSX.Element {
  return (
    <a class="mono" href={href} title={id}>
      {shortId(id)}
    </a>
  );
}

function attributePairs(
  attributes: Readonly<Record<string, unknown>>,
): readonly (readonly [string, string])[] {
  return Object.entries(attributes).map(([name, value]) => [
    visibleText(name),
    visibleText(Array.isArray(value) ? value.join("\n") : String(value)),
  ]);
}

interface PairsProps {
  readonly pairs: readonly (readonly [string, string | JSX.Element])[];
  readonly isMono?: boolean;
}

function Pairs({ pairs, isMono = false }: PairsProps): JSX.Element {
  return (
    <dl class={isMono ? "pairs mono" : "pairs"}>
      {pairs.map(([name, value], index) => (
        <>
          <dt key={`${index}n`}>{name}</dt>
          <dd key={`${index}v`} dir="auto">
            {value}
          </dd>
        </>
      ))}
    </dl>
  );
}

function Raw({ text }: { readonly text: string }): JSX.Element {
  return (
    <div class="raw">
      <CopyButton text={text} name="span" />
      <pre class="code" tabIndex={0}>
        {text}
      </pre>
    </div>
  );
}
