/** The figures under the sentence: how it ended, what it took and cost; then who asked for it. */

import type { ComponentChildren, JSX } from "preact";
import { failureInWords } from "../../telemetry/explain/plain-words.ts";
import type { AttributeName } from "../../telemetry/trace/attributes.ts";
import { isFailed, numberAttribute, textAttribute } from "../../telemetry/trace/summary.ts";
import type { RequestView } from "../model/steps.ts";
import { countText, durationText, timeText, usdText, visibleText } from "../model/words.ts";
import { Icon } from "./icons.tsx";

interface FiguresProps {
  readonly request: RequestView;
  readonly keyNames: ReadonlyMap<string, string>;
}

export function Figures({ request, keyNames }: FiguresProps): JSX.Element {
  const { root, tookMs, startedAt } = request;
  const { span } = root;
  const text = (name: AttributeName): string | null => textAttribute(span, name);
  const keyId = text("gateway.key.id");
  const target = text("gateway.attempt.target");
  const ttfbMs = numberAttribute(span, "gateway.ttfb_ms");
  const basis = text("gateway.cost.basis");
  return (
    <div class="figures">
      <dl class="figures-row">
        <Figure name="Status" isLarge value={<Status request={request} />} />
        <Figure name="Took" isLarge value={durationText(tookMs)} />
        {ttfbMs !== null && span.attributes["gateway.stream"] === true && (
          <Figure name="First token" isLarge value={durationText(ttfbMs)} />
        )}
        <Figure name="Tokens" isLarge value={tokensText(request)} />
        <Figure
          name="Cost"
          isLarge
          value={costText(request)}
          below={basis === null ? undefined : BASES[basis]}
        />
      </dl>
      <dl class="figures-row small">
        <Figure name="Tenant" value={text("gateway.tenant.id")} />
        <Figure
          name="Key"
          value={keyId === null ? null : (keyNames.get(keyId) ?? keyId)}
          below={keyId !== null && keyNames.has(keyId) ? keyId : undefined}
        />
        <Figure
          name="Route"
          value={text("gateway.route.id")}
          below={target === null ? undefined : `→ ${target}`}
        />
        <Figure name="Session" value={text("gen_ai.conversation.id")} />
        {metadataOf(request).map(([name, value]) => (
          <Figure key={name} name={name} value={value} below="from the client" />
        ))}
        <Figure
          name="Started"
          value={`${timeText(startedAt, Date.now())} UTC`}
          title={new Date(startedAt).toLocaleString()}
        />
      </dl>
    </div>
  );
}

/** `gateway.cost.basis` in words. */
const BASES: Readonly<Record<string, string>> = {
  list: "by list price",
  own: "by the tenant’s own prices",
  partial: "a part has no price",
  estimate: "a part is estimated",
};

interface FigureProps {
  readonly name: string;
  readonly value: ComponentChildren | null;
  readonly below?: string | undefined;
  readonly isLarge?: boolean;
  readonly title?: string;
}

function Figure({ name, value, below, isLarge = false, title }: FigureProps): JSX.Element | null {
  if (value === null) return null;
  const isText = typeof value === "string";
  return (
    <div class={isLarge ? "figure large" : "figure"}>
      <dt>{visibleText(name)}</dt>
      <dd title={title ?? (isText ? visibleText(value) : undefined)}>
        {isText ? <bdi>{visibleText(value)}</bdi> : value}
        {below !== undefined && <span class="below">{visibleText(below)}</span>}
      </dd>
    </div>
  );
}

function Status({ request: { root } }: { readonly request: RequestView }): JSX.Element {
  const status = numberAttribute(root.span, "http.response.status_code");
  const outcome = textAttribute(root.span, "gateway.outcome") ?? "";
  const decision = textAttribute(root.span, "gateway.decision");
  const hasFailed = isFailed(root.span);
  const words = decision !== null ? failureInWords(decision) : outcome.replaceAll("_", " ");
  return (
    <span class={hasFailed ? "state bad" : "state"}>
      <Icon name={hasFailed ? "failed" : "ok"} />
      {status} {words}
    </span>
  );
}

function tokensText({ root: { span } }: RequestView): string {
  const input = numberAttribute(span, "gen_ai.usage.input_tokens");
  const output = numberAttribute(span, "gen_ai.usage.output_tokens");
  if (input === null && output === null) return "none";
  return `${countText(input ?? 0)} in, ${countText(output ?? 0)} out`;
}

/** Nothing was charged where no model was called; a call without a price is not free. */
function costText({ root: { span }, attempts }: RequestView): string {
  const cost = numberAttribute(span, "gateway.cost.usd");
  return cost === null && attempts.length === 0 ? "$0" : usdText(cost);
}

const METADATA = "gateway.metadata.";

function metadataOf({ root: { span } }: RequestView): readonly (readonly [string, string])[] {
  return Object.entries(span.attributes)
    .filter(([name]) => name.startsWith(METADATA))
    .map(([name, value]) => [name.slice(METADATA.length), String(value)]);
}
