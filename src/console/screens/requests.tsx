/** The newest requests, filtered by what stands in the URL: one query a page. */

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ListPage } from "../data/api.ts";
import { keyNames, listTraces, type TraceItem } from "../data/traces.ts";
import { traceHref } from "../data/page-url.ts";
import { Frame } from "../view/frame.tsx";
import { InFlight } from "../view/in-flight.tsx";
import { useKeys } from "../view/keys.ts";
import { onlyTenant, RequestFilter } from "../view/request-filter.tsx";
import { RequestList } from "../view/request-list.tsx";
import { Empty, Failed, Loading } from "../view/text.tsx";
import { useQueue } from "../view/use-queue.ts";

const PAGE_SIZE = 50;
/** A trace is stored within this time of its request's end. */
const SETTLE_MS = 400;

export function RequestsScreen(): JSX.Element {
  const [params, setParams] = useState(() => new URLSearchParams(location.search));
  const [page, setPage] = useState<ListPage<TraceItem>>();
  const [error, setError] = useState<unknown>();
  const [chosen, setChosen] = useState(-1);
  const [names, setNames] = useState<ReadonlyMap<string, string>>(new Map());
  const tenant = params.get("tenant");
  const items = page?.items ?? [];
  // Not before the list could be read: without a session there is nothing to watch.
  const { snapshot, receivedAt, endedCount, resetEnded } = useQueue(page === undefined ? null : tenant);

  const read = (cursor?: string): void => {
    setError(undefined);
    resetEnded();
    const query = new URLSearchParams(params);
    query.set("limit", String(PAGE_SIZE));
    if (cursor !== undefined) query.set("cursor", cursor);
    listTraces(query).then((next) => {
      setPage(cursor === undefined ? next : { items: [...items, ...next.items], cursor: next.cursor });
    }, setError);
  };
  useEffect(() => {
    history.replaceState(null, "", params.size === 0 ? location.pathname : `${location.pathname}?${params}`);
    setChosen(-1);
    read();
  }, [params]);
  useEffect(() => {
    if (tenant !== null) void keyNames(tenant).then(setNames);
  }, [tenant]);

  // What is being read never moves: while a row is chosen or the page scrolled, new ones gather behind the button.
  useEffect(() => {
    if (endedCount === 0 || chosen >= 0 || scrollY > 0) return undefined;
    const timer = setTimeout(() => read(), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [endedCount, chosen]);

  const change = (name: string, value: string | null): void => {
    const next = new URLSearchParams(params);
    if (value === null) next.delete(name);
    else next.set(name, value);
    setParams(next);
  };
  const move = (by: number): void => {
    const next = Math.max(0, Math.min(items.length - 1, chosen + by));
    setChosen(next);
    document.querySelector(`#row-${next}`)?.scrollIntoView({ block: "nearest" });
  };
  useKeys({
    j: () => move(1),
    ArrowDown: () => move(1),
    k: () => move(-1),
    ArrowUp: () => move(-1),
    Enter: () => {
      const item = items[chosen];
      if (item !== undefined) location.assign(traceHref(item.traceId, item.tenant));
    },
    r: () => read(),
    y: () => void navigator.clipboard.writeText(location.href),
    "/": () => document.querySelector<HTMLElement>("#filter")?.focus(),
  });

  return (
    <Frame screen="requests" tenant={tenant} onTenant={(next) => change("tenant", next)}>
      <div class="bar-row">
        <h1>Requests</h1>
        <div class="end">
          <button class="button" type="button" onClick={() => read()}>
            {endedCount > 0 ? `${endedCount} new` : "Read again"} <kbd>r</kbd>
          </button>
        </div>
      </div>
      {snapshot !== undefined && tenant !== null && (
        <InFlight snapshot={snapshot} receivedAt={receivedAt} tenant={tenant} names={names} />
      )}
      <RequestFilter params={params} onChange={setParams} />
      <section class="box" aria-label="Requests, newest first">
        {error !== undefined && <Failed error={error} onRetry={() => read()} />}
        {error === undefined && page === undefined && <Loading lines={10} />}
        {error === undefined && page !== undefined && items.length === 0 && (
          <NoRequests isFiltered={isFiltered(params)} onClear={() => setParams(onlyTenant(params))} />
        )}
        {items.length > 0 && <RequestList items={items} names={names} chosen={chosen} />}
      </section>
      {page?.cursor != null && (
        <p class="bar-row">
          <button class="button" type="button" onClick={() => page.cursor !== null && read(page.cursor)}>
            Older
          </button>
        </p>
      )}
    </Frame>
  );
}

function isFiltered(params: URLSearchParams): boolean {
  return [...params.keys()].some((name) => name !== "tenant");
}

function NoRequests({ isFiltered, onClear }: { isFiltered: boolean; onClear: () => void }): JSX.Element {
  if (isFiltered) {
    return (
      <Empty title="No stored request matches">
        <p>The filter above leaves none of the requests that are kept.</p>
        <button class="button" type="button" onClick={onClear}>
          Show all
        </button>
      </Empty>
    );
  }
  return (
    <Empty title="No requests yet">
      <p>Each request that a key sends appears here with where its time, tokens and money went.</p>
      <a class="button primary" href="/console/welcome">
        Send the first one
      </a>
    </Empty>
  );
}
