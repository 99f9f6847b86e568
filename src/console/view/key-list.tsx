/** The table of keys: state, last use, what each may call, its own limits, and the acts on it. */

import type { JSX } from "preact";
import type { KeyView } from "../../tenants/records/record-views.ts";
import { tenantQuery } from "../data/page-url.ts";
import { countText, timeText, visibleText } from "../model/words.ts";
import { Confirm } from "./confirm.tsx";
import { Outside } from "./text.tsx";

export type KeyAct = "pause" | "resume" | "rotate" | "revoke";

interface KeyListProps {
  readonly keys: readonly KeyView[];
  readonly tenant: string;
  readonly onAct: (key: KeyView, act: KeyAct) => void;
}

export function KeyList({ keys, tenant, onAct }: KeyListProps): JSX.Element {
  return (
    <div class="table-box">
      <table class="cards">
        <thead>
          <tr>
            <th scope="col">Name, id</th>
            <th scope="col">State</th>
            <th scope="col">Last used (UTC)</th>
            <th scope="col">May call</th>
            <th scope="col">Its own limits</th>
            <th scope="col">
              <span class="hidden">Acts</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {keys.map((key) => (
            <Row key={key.id} of={key} tenant={tenant} onAct={(act) => onAct(key, act)} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface RowProps {
  readonly of: KeyView;
  readonly tenant: string;
  readonly onAct: (act: KeyAct) => void;
}

function Row({ of, tenant, onAct }: RowProps): JSX.Element {
  const state = stateOf(of, Date.now());
  const isPaused = of.status === "paused";
  return (
    <tr>
      <td>
        <b class="name-cell">
          <Outside text={of.name ?? "(no name)"} />
        </b>
        <a
          class="below mono"
          href={`/console/requests${tenantQuery(tenant)}&key=${encodeURIComponent(of.id)}`}
        >
          {of.id}
        </a>
      </td>
      <td class={state === "active" ? "" : "warn"}>{state}</td>
      <td class="time" data-label="last used">
        {of.lastUsedAt == null ? "never, or not known" : timeText(Date.parse(of.lastUsedAt), Date.now())}
      </td>
      <td data-label="may call">
        {of.allowedModels === undefined ? "all" : visibleText(of.allowedModels.join(", "))}
      </td>
      <td data-label="limits">{limitsText(of.limits)}</td>
      <td class="acts">
        <button class="button quiet" type="button" onClick={() => onAct(isPaused ? "resume" : "pause")}>
          {isPaused ? "Resume" : "Pause"}
        </button>
        <Confirm
          name="Rotate"
          consequence="A new secret; the old one works for 24 h."
          onConfirm={() => onAct("rotate")}
        />
        <Confirm
          name="Revoke"
          consequence="Stops everywhere within 30 s, for good."
          onConfirm={() => onAct("revoke")}
        />
      </td>
    </tr>
  );
}

function stateOf({ status, expiresAt }: KeyView, now: number): string {
  if (status === "paused") return "paused";
  if (expiresAt === undefined) return "active";
  const at = Date.parse(expiresAt);
  return at <= now ? "expired" : `until ${timeText(at, now)}`;
}

const WORDS: Readonly<Record<string, string>> = {
  requestsPerMinute: "a minute",
  tokensPerMinute: "tokens a minute",
  concurrency: "at a time",
};

function limitsText(limits: KeyView["limits"]): string {
  const own = Object.entries(limits ?? {}).flatMap(([name, value]) =>
    typeof value === "number" && name in WORDS ? [`${countText(value)} ${WORDS[name]}`] : [],
  );
  return own.length === 0 ? "none of its own" : own.join(", ");
}
