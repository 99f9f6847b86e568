/** Where traces go and what became of them, with a test of each destination; and what was changed lately. */

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ExportStatus } from "../../telemetry/export/export-counters.ts";
import { getJson, type ListPage } from "../data/api.ts";
import { sendTestSpan, type Probe, readExport } from "../data/export.ts";
import { countText, durationText, timeText, visibleText } from "../model/words.ts";
import { Frame } from "../view/frame.tsx";
import { Icon } from "../view/icons.tsx";
import { Empty, Failed, Loading, Outside } from "../view/text.tsx";
import { useTenant } from "../view/use-tenant.ts";

interface AuditItem {
  readonly at: string;
  readonly actor: string;
  readonly action: string;
  readonly tenant: string | null;
  readonly subject: string | null;
}

export function SettingsScreen(): JSX.Element {
  const { tenant, choose } = useTenant();
  return (
    <Frame screen="settings" tenant={tenant ?? null} onTenant={choose}>
      <h1>Settings</h1>
      {typeof tenant === "string" && <Destinations key={tenant} tenant={tenant} />}
      <Changes />
    </Frame>
  );
}

function Destinations({ tenant }: { readonly tenant: string }): JSX.Element {
  const [items, setItems] = useState<readonly ExportStatus[]>();
  const [error, setError] = useState<unknown>();
  const read = (): void => {
    setError(undefined);
    readExport(tenant).then(setItems, setError);
  };
  useEffect(read, [tenant]);
  return (
    <section class="box spaced" aria-label="Where traces go">
      <header>
        <h2>Where traces go</h2>
        <span class="end muted">meant for it = delivered + on the way + lost, always</span>
      </header>
      {error !== undefined && <Failed error={error} onRetry={read} />}
      {error === undefined && items === undefined && <Loading lines={3} />}
      {items !== undefined && (
        <div class="table-box">
          <table class="cards">
            <thead>
              <tr>
                <th scope="col">Destination</th>
                <th scope="col" class="number">
                  Meant for it
                </th>
                <th scope="col" class="number">
                  Delivered
                </th>
                <th scope="col" class="number">
                  On the way
                </th>
                <th scope="col" class="number">
                  Lost
                </th>
                <th scope="col">State</th>
                <th scope="col">
                  <span class="hidden">Acts</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {items.map((item) => (
                <Destination key={item.destination} item={item} tenant={tenant} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

const STATES: Readonly<Record<ExportStatus["circuit"], string>> = {
  closed: "sending",
  open: "pausing after errors",
  "half-open": "trying again",
};

function Destination({
  item,
  tenant,
}: {
  readonly item: ExportStatus;
  readonly tenant: string;
}): JSX.Element {
  const { destination, enqueued, delivered, pending, dropped, lastError, circuit } = item;
  const [probe, setProbe] = useState<Probe | string>();
  const lost = Object.entries(dropped);
  const lostSum = lost.reduce((sum, [, count]) => sum + count, 0);
  const isOurs = destination.startsWith("(");
  const test = (): void => {
    setProbe("sending …");
    sendTestSpan(tenant, destination).then(setProbe, (error: unknown) => setProbe(String(error)));
  };
  return (
    <tr>
      <td>
        <b class="name-cell">
          <Outside text={destination} />
        </b>
      </td>
      <td class="number" data-label="meant for it">
        {countText(enqueued)}
      </td>
      <td class="number" data-label="delivered">
        {countText(delivered)}
      </td>
      <td class="number" data-label="on the way">
        {countText(pending)}
      </td>
      <td class={lostSum > 0 ? "number warn" : "number"} data-label="lost">
        {countText(lostSum)}
        {lostSum > 0 && (
          <span class="below">
            {lost.map(([reason, count]) => `${reason.replaceAll("_", " ")} ${count}`).join(", ")}
          </span>
        )}
      </td>
      <td class="reason">
        {STATES[circuit]}
        {lastError !== null && <span class="below">last error: {visibleText(lastError)}</span>}
      </td>
      <td class="acts">
        {!isOurs && (
          <button class="button" type="button" onClick={test}>
            Send a test
          </button>
        )}
        {probe !== undefined && <ProbeNote probe={probe} />}
      </td>
    </tr>
  );
}

function ProbeNote({ probe }: { readonly probe: Probe | string }): JSX.Element {
  if (typeof probe === "string") return <span class="below">{visibleText(probe)}</span>;
  const { delivered, ms, status, error } = probe;
  return (
    <span class={delivered ? "below" : "below warn"}>
      <Icon name={delivered ? "ok" : "failed"} />
      {delivered
        ? ` delivered in ${durationText(ms)}`
        : ` not delivered: ${status ?? ""} ${visibleText(error ?? "no answer")}`}
    </span>
  );
}

function Changes(): JSX.Element {
  const [page, setPage] = useState<ListPage<AuditItem>>();
  const [error, setError] = useState<unknown>();
  const read = (): void => {
    setError(undefined);
    getJson<ListPage<AuditItem>>("/admin/audit?limit=50").then(setPage, setError);
  };
  useEffect(read, []);
  return (
    <section class="box spaced" aria-label="Last changes">
      <header>
        <h2>Last changes</h2>
        <span class="end muted">names only, never values</span>
      </header>
      {error !== undefined && <Failed error={error} onRetry={read} />}
      {error === undefined && page === undefined && <Loading lines={4} />}
      {page?.items.length === 0 && (
        <Empty title="Nothing was changed yet">
          <p>Each write of the admin API appears here.</p>
        </Empty>
      )}
      {page !== undefined && page.items.length > 0 && (
        <div class="table-box">
          <table>
            <thead>
              <tr>
                <th scope="col">When (UTC)</th>
                <th scope="col">Who</th>
                <th scope="col">What</th>
                <th scope="col">Of</th>
              </tr>
            </thead>
            <tbody>
              {page.items.map(({ at, actor, action, tenant, subject }, index) => (
                <tr key={index}>
                  <td class="time">{timeText(Date.parse(at), Date.now())}</td>
                  <td>{visibleText(actor)}</td>
                  <td>{visibleText(action)}</td>
                  <td>
                    {visibleText(
                      [tenant, subject].filter((part) => part !== null && part !== "").join(" / ") ||
                        "the deployment",
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
