/** The tenant's queue, live: who is at work, who waits, how much of each limit is used; raise a limit for a time, drain. */

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ListedRequest, QueueSnapshot } from "../../limits/protocol.ts";
import { traceHref } from "../data/page-url.ts";
import { drainQueue, type LiveState, raiseLimits } from "../data/queue.ts";
import { keyNames } from "../data/traces.ts";
import { limitBars, queueSentence, spentTexts } from "../model/queue-view.ts";
import { countText, durationText, shortId, timeText, visibleText } from "../model/words.ts";
import { Confirm } from "../view/confirm.tsx";
import { Frame } from "../view/frame.tsx";
import { RaiseLimit } from "../view/raise-limit.tsx";
import { Empty, Failed, Loading } from "../view/text.tsx";
import { useNow } from "../view/use-now.ts";
import { useQueue } from "../view/use-queue.ts";
import { useTenant } from "../view/use-tenant.ts";

const DRAIN_S = 600;

export function QueuesScreen(): JSX.Element {
  const { tenant, choose } = useTenant();
  return (
    <Frame screen="queues" tenant={tenant ?? null} onTenant={choose}>
      {tenant === null && (
        <Empty title="No tenant yet">
          <p>A queue belongs to a tenant. Make one by the admin API, then its requests queue here.</p>
        </Empty>
      )}
      {typeof tenant === "string" && <Queue key={tenant} tenant={tenant} />}
    </Frame>
  );
}

function Queue({ tenant }: { readonly tenant: string }): JSX.Element {
  const { snapshot, receivedAt, state } = useQueue(tenant);
  const now = useNow((snapshot?.depth ?? 0) > 0);
  const [names, setNames] = useState<ReadonlyMap<string, string>>(new Map());
  const [error, setError] = useState<unknown>();

  useEffect(() => void keyNames(tenant).then(setNames), [tenant]);
  const nameOf = (keyId: string): string => names.get(keyId) ?? keyId;
  const order = (done: Promise<unknown>): void => {
    setError(undefined);
    done.catch(setError);
  };
  // A snapshot comes after a change only: between two the waits grow here.
  const sinceMs = Math.max(0, now - receivedAt);
  const waiting = (snapshot?.waiting ?? []).map((request) => ({
    ...request,
    waitedMs: request.waitedMs + sinceMs,
  }));
  const isDrained = snapshot?.orders?.drained !== undefined;
  return (
    <>
      <div class="bar-row">
        <h1>Queues</h1>
        <LiveNote state={state} />
        <div class="end">
          <RaiseLimit
            isRaised={snapshot?.orders?.raised !== undefined}
            onRaise={(limits, forSeconds) => order(raiseLimits(tenant, limits, forSeconds))}
          />
          {isDrained ? (
            <button class="button" type="button" onClick={() => order(drainQueue(tenant, 0))}>
              End the drain
            </button>
          ) : (
            <Confirm
              name="Drain"
              isQuiet={false}
              consequence={`New requests of ${visibleText(tenant)} get 429 for ${durationText(DRAIN_S * 1000)}; those that wait are still served.`}
              onConfirm={() => order(drainQueue(tenant, DRAIN_S))}
            />
          )}
        </div>
      </div>
      {error !== undefined && <Failed error={error} onRetry={() => setError(undefined)} />}
      {snapshot === undefined ? (
        <Loading lines={8} />
      ) : (
        <>
          <p class="lead">{queueSentence(snapshot, nameOf)}</p>
          <Orders snapshot={snapshot} />
          <div class="columns">
            <section class="box" aria-label="In line">
              <header>
                <h2>In line</h2>
                <span class="end muted">served from the left; keys take turns</span>
              </header>
              <div class="pad lanes">
                <Blocks title="At work" requests={snapshot.holding} nameOf={nameOf} isHolding />
                <Blocks title="Interactive lane" requests={laneOf(waiting, "interactive")} nameOf={nameOf} />
                <Blocks title="Batch lane" requests={laneOf(waiting, "batch")} nameOf={nameOf} />
              </div>
              {waiting.length > 0 && <Waiting requests={waiting} nameOf={nameOf} tenant={tenant} />}
            </section>
            <section class="box" aria-label="Limits">
              <header>
                <h2>Limits</h2>
              </header>
              <Limits snapshot={snapshot} />
            </section>
          </div>
        </>
      )}
    </>
  );
}

function LiveNote({ state }: { readonly state: LiveState }): JSX.Element {
  const text = { connecting: "connecting", live: "live", lost: "connection lost; trying again" }[state];
  return (
    <span class={state === "lost" ? "live lost" : "live"} role="status">
      {text}
    </span>
  );
}

function Orders({ snapshot: { orders } }: { readonly snapshot: QueueSnapshot }): JSX.Element | null {
  if (orders?.raised === undefined) return null;
  const { limits, untilAt } = orders.raised;
  const raised = Object.entries(limits).flatMap(([name, value]) =>
    typeof value === "number" ? [`${name} ${countText(value)}`] : [],
  );
  return (
    <p class="note">
      Raised until {timeText(untilAt, Date.now())} UTC: {raised.join(", ")}.
    </p>
  );
}

function laneOf(requests: readonly ListedRequest[], lane: ListedRequest["lane"]): readonly ListedRequest[] {
  return requests.filter((request) => request.lane === lane);
}

interface BlocksProps {
  readonly title: string;
  readonly requests: readonly ListedRequest[];
  readonly nameOf: (keyId: string) => string;
  readonly isHolding?: boolean;
}

function Blocks({ title, requests, nameOf, isHolding = false }: BlocksProps): JSX.Element {
  return (
    <div>
      <h3>
        {title} <span class="muted">{requests.length === 0 ? "empty" : requests.length}</span>
      </h3>
      <ul class="blocks">
        {requests.map(({ requestId, keyId, waitedMs }) => (
          <li key={requestId} class={isHolding ? "block holding" : "block part part-queue"}>
            <span>
              {visibleText(nameOf(keyId))}
              {!isHolding && ` ${durationText(waitedMs)}`}
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}

interface WaitingProps extends Omit<BlocksProps, "title" | "isHolding"> {
  readonly tenant: string;
}

function Waiting({ requests, nameOf, tenant }: WaitingProps): JSX.Element {
  return (
    <div class="table-box">
      <table>
        <thead>
          <tr>
            <th scope="col">Waiting</th>
            <th scope="col">Lane</th>
            <th scope="col" class="number">
              Waits
            </th>
            <th scope="col">Trace</th>
          </tr>
        </thead>
        <tbody>
          {requests.map(({ requestId, traceId, keyId, lane, waitedMs }) => (
            <tr key={requestId}>
              <td>
                {visibleText(nameOf(keyId))}
                <span class="below mono">{shortId(requestId)}</span>
              </td>
              <td>{lane}</td>
              <td class="number">{durationText(waitedMs)}</td>
              <td>
                <a class="mono" href={traceHref(traceId, tenant)} title="stored when the request has ended">
                  {shortId(traceId)}
                </a>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Limits({ snapshot }: { readonly snapshot: QueueSnapshot }): JSX.Element {
  const bars = limitBars(snapshot);
  return (
    <div class="pad lanes">
      {bars.length === 0 && <p class="muted">This tenant has no limits.</p>}
      {bars.map(({ name, text, percent, below }) => (
        <div key={name}>
          <p class="meter-head">
            {name} <b>{text}</b>
          </p>
          <div class={percent >= 100 ? "meter full" : "meter"} aria-hidden="true">
            <i style={{ "--w": String(percent) }} />
          </div>
          {below !== undefined && <span class="below">{below}</span>}
        </div>
      ))}
      <dl class="pairs">
        {spentTexts(snapshot).map(([name, text]) => (
          <>
            <dt>{name}</dt>
            <dd>{text}</dd>
          </>
        ))}
      </dl>
    </div>
  );
}
