/** One request: the sentence, its figures, the three ledgers, the waterfall with its panel. State lives in the URL. */

import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { textAttribute } from "../../telemetry/trace/summary.ts";
import type { explain as explainType } from "../../telemetry/explain/explain.ts";
import { keyNames, readSurroundings, readTrace } from "../data/traces.ts";
import { ledgersOf } from "../model/ledgers.ts";
import { firstChosen, isQuiet, isUnderFold, matchesFind, MOST_CALM_ROWS } from "../model/rows.ts";
import { criticalPath, type RequestView, type Step } from "../model/steps.ts";
import { durationText, placeText, shortId, usdText, visibleText } from "../model/words.ts";
import { Figures } from "../view/figures.tsx";
import { Frame } from "../view/frame.tsx";
import { Icon } from "../view/icons.tsx";
import { useKeys } from "../view/keys.ts";
import { Ledgers } from "../view/ledgers.tsx";
import { Panel } from "../view/panel.tsx";
import { Sentence } from "../view/sentence.tsx";
import { CopyButton, Failed, Loading, Outside } from "../view/text.tsx";
import { Waterfall } from "../view/waterfall.tsx";
import { readParam, tenantQuery, traceHref, writeParam } from "../data/page-url.ts";

/** The words for causes are loaded beside the first screen, not with it. */
const words = import("../../telemetry/explain/explain.ts");

export function TraceScreen(): JSX.Element {
  const traceId = readParam("id") ?? "";
  const tenant = readParam("tenant");
  const [requests, setRequests] = useState<readonly RequestView[]>();
  const [error, setError] = useState<unknown>();
  const read = (): void => {
    setError(undefined);
    readTrace(traceId, tenant).then(setRequests, setError);
  };
  useEffect(read, [traceId, tenant]);
  const [at, setAt] = useState(0);
  const request = requests?.[at];
  return (
    <Frame screen="trace" tenant={tenant}>
      {error !== undefined && <Failed error={error} onRetry={read} />}
      {error === undefined && request === undefined && <Loading lines={12} />}
      {request !== undefined && requests !== undefined && (
        <>
          {requests.length > 1 && <OneOf count={requests.length} at={at} onChoose={setAt} />}
          <TraceView key={request.root.span.spanId} request={request} tenant={tenant} />
        </>
      )}
    </Frame>
  );
}

/** Callers choose trace ids, and an application's trace may hold several of our requests. */
function OneOf({
  count,
  at,
  onChoose,
}: {
  count: number;
  at: number;
  onChoose: (at: number) => void;
}): JSX.Element {
  return (
    <p class="note">
      {count} requests are stored under this trace id.
      {Array.from({ length: count }, (_, index) => (
        <button
          key={index}
          class="pill"
          type="button"
          aria-pressed={index === at}
          onClick={() => onChoose(index)}
        >
          Request {index + 1}
        </button>
      ))}
    </p>
  );
}

const FORMAT = { duration: durationText, usd: usdText, place: placeText };

export function TraceView({
  request,
  tenant,
}: {
  readonly request: RequestView;
  readonly tenant: string | null;
}): JSX.Element {
  const { root, steps } = request;
  const ledgers = useMemo(() => ledgersOf(request), [request]);
  const path = useMemo(() => criticalPath(root), [root]);
  const [pointed, setPointed] = useState<string>();
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const [isPathShown, setPathShown] = useState(false);
  const [isQuietShown, setQuietShown] = useState(steps.length <= MOST_CALM_ROWS);
  const [find, setFind] = useState("");
  const [chosenId, setChosenId] = useState(readParam("step") ?? firstChosen(request).span.spanId);
  const [names, setNames] = useState<ReadonlyMap<string, string>>(new Map());
  const [around, setAround] = useState<Awaited<ReturnType<typeof readSurroundings>>>();
  useEffect(() => {
    void readSurroundings(root.span.traceId, tenant).then(setAround);
  }, [root.span.spanId]);
  const [explain, setExplain] = useState<typeof explainType>();
  useEffect(() => {
    void words.then((loaded) => setExplain(() => loaded.explain));
  }, []);
  const compared = around?.get(root.span.spanId);
  const owner = textAttribute(root.span, "gateway.tenant.id");
  useEffect(() => {
    if (owner !== null) void keyNames(owner).then(setNames);
  }, [owner]);

  const quiet = steps.filter((step) => isQuiet(step, request));
  const rows = steps.filter(
    (step) =>
      !isUnderFold(step, folded) &&
      (isQuietShown || find !== "" || !quiet.includes(step)) &&
      matchesFind(step, find),
  );
  const chosen = steps.find(({ span }) => span.spanId === chosenId) ?? root;
  const choose = (step: Step): void => {
    setChosenId(step.span.spanId);
    writeParam("step", step.span.spanId);
    document.querySelector(`#step-${CSS.escape(step.span.spanId)}`)?.scrollIntoView({ block: "nearest" });
  };
  const fold = (step: Step): void => {
    const next = new Set(folded);
    if (!next.delete(step.span.spanId)) next.add(step.span.spanId);
    setFolded(next);
  };
  const move = (by: number): void => {
    const row = rows[rows.indexOf(chosen) + by];
    if (row !== undefined) choose(row);
  };
  const isOpen = chosen.children.length > 0 && !folded.has(chosen.span.spanId);
  useKeys({
    j: () => move(1),
    ArrowDown: () => move(1),
    k: () => move(-1),
    ArrowUp: () => move(-1),
    ArrowLeft: () => (isOpen ? fold(chosen) : chosen.parent && choose(chosen.parent)),
    ArrowRight: () =>
      folded.has(chosen.span.spanId) ? fold(chosen) : chosen.children[0] && choose(chosen.children[0]),
    Enter: () => document.querySelector<HTMLElement>(".panel [role=tab]")?.focus(),
    c: () => setPathShown(!isPathShown),
    q: () => setQuietShown(!isQuietShown),
    y: () => void navigator.clipboard.writeText(location.href),
    "/": () => document.querySelector<HTMLElement>("#find-step")?.focus(),
    Escape: () => history.back(),
  });

  const { traceId } = root.span;
  useEffect(() => {
    document.title = `${visibleText(root.span.name)}, ${durationText(request.tookMs)}, ${shortId(traceId)} · Headgate`;
  }, [request]);
  return (
    <>
      <div class="bar-row">
        <p class="crumb">
          <a href={`/console/requests${tenantQuery(tenant)}`}>Requests</a> / <Outside text={root.span.name} />
        </p>
        <div class="end">
          <a
            class="button"
            href={`/admin/traces/${traceId}?download=1${tenant === null ? "" : `&tenant=${encodeURIComponent(tenant)}`}`}
          >
            Download as OTLP
          </a>
        </div>
      </div>
      <h1 class="why" aria-live="polite">
        {explain !== undefined && (
          <Sentence
            pieces={explain(
              steps.map(({ span }) => span),
              FORMAT,
              compared && { ...compared, keyName: (id) => names.get(id) ?? id },
            )}
          />
        )}
      </h1>
      <Figures request={request} keyNames={names} />
      <section class="box" aria-label="Where time, tokens and money went">
        <Ledgers ledgers={ledgers} onPoint={setPointed} pointed={pointed} />
      </section>
      <section class="box spaced" aria-label="Waterfall">
        <div class="waterfall-box">
          <div class="waterfall-side">
            <div class="tools">
              <Pill isOn={isPathShown} onClick={() => setPathShown(!isPathShown)} text="Critical path" />
              {quiet.length > 0 && (
                <Pill
                  isOn={isQuietShown}
                  onClick={() => setQuietShown(!isQuietShown)}
                  text={`Quiet steps ${quiet.length}`}
                />
              )}
              <label class="seek">
                <span class="hidden">Find a step</span>
                <Icon name="find" />
                <input
                  id="find-step"
                  class="field"
                  placeholder="Find a step"
                  value={find}
                  onInput={(event) => setFind(event.currentTarget.value)}
                />
                <kbd aria-hidden="true">/</kbd>
              </label>
              <span class="end muted">{rows.length === 1 ? "1 step" : `${rows.length} steps`}</span>
            </div>
            {rows.length === 0 ? (
              <p class="empty">
                No step matches “<Outside text={find} />
                ”.
              </p>
            ) : (
              <Waterfall
                request={request}
                rows={rows}
                chosen={chosen}
                folded={folded}
                path={isPathShown ? path : undefined}
                pointed={pointed}
                onChoose={choose}
                onFold={fold}
              />
            )}
          </div>
          <Panel step={chosen} request={request} traceHref={(id) => traceHref(id, tenant)} />
        </div>
      </section>
      <p class="foot">
        Trace <span class="mono">{traceId}</span> <CopyButton text={traceId} name="trace id" />
      </p>
    </>
  );
}

function Pill({ isOn, onClick, text }: { isOn: boolean; onClick: () => void; text: string }): JSX.Element {
  return (
    <button class="pill" type="button" aria-pressed={isOn} onClick={onClick}>
      {text}
    </button>
  );
}
