/** What surrounds every screen: the tenant, the screens, how many traces were lost, the theme, the keys. */

import type { ComponentChildren, JSX } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { listAll, signOut } from "../data/api.ts";
import { type DeliverySums, readDelivery } from "../data/traces.ts";
import { countText } from "../model/words.ts";
import { Icon, Mark } from "./icons.tsx";
import { useScreenKeys } from "./keys.ts";
import { readTheme, setNextTheme } from "./theme.ts";

export type ScreenName = "requests" | "trace" | "queues" | "keys" | "settings" | "welcome";

interface FrameProps {
  readonly screen: ScreenName;
  /** Null for all tenants. */
  readonly tenant: string | null;
  readonly onTenant?: (tenant: string | null) => void;
  readonly children: ComponentChildren;
}

const SCREENS: readonly { readonly name: ScreenName; readonly title: string }[] = [
  { name: "requests", title: "Requests" },
  { name: "queues", title: "Queues" },
  { name: "keys", title: "Keys" },
  { name: "settings", title: "Settings" },
  { name: "welcome", title: "Welcome" },
];

export function Frame({ screen, tenant, onTenant, children }: FrameProps): JSX.Element {
  const [tenants, setTenants] = useState<readonly string[]>([]);
  const [delivery, setDelivery] = useState<DeliverySums>();
  const [theme, setTheme] = useState(readTheme);
  const [isHelpOpen, setHelpOpen] = useState(false);
  useScreenKeys(useCallback(() => setHelpOpen(true), []));
  useEffect(() => {
    void listAll<{ readonly id: string }>("/admin/tenants").then(
      (items) => setTenants(items.map(({ id }) => id)),
      () => undefined,
    );
  }, []);
  useEffect(() => {
    void readDelivery(tenant).then(setDelivery);
  }, [tenant]);
  const query = tenant === null ? "" : `?tenant=${encodeURIComponent(tenant)}`;
  const current = screen === "trace" ? "requests" : screen;
  return (
    <>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <div class="app">
        <header class="side">
          <a class="brand" href={`/console/requests${query}`}>
            <Mark />
            Headgate
          </a>
          <label class="tenant">
            <span class="hidden">Tenant</span>
            <select
              class="field"
              value={tenant ?? ""}
              disabled={onTenant === undefined}
              onChange={(event) =>
                onTenant?.(event.currentTarget.value === "" ? null : event.currentTarget.value)
              }
            >
              <option value="">All tenants</option>
              {[...new Set([...tenants, ...(tenant === null ? [] : [tenant])])].map((id) => (
                <option key={id} value={id}>
                  {id}
                </option>
              ))}
            </select>
          </label>
          <nav class="nav" aria-label="Screens">
            {SCREENS.map(({ name, title }) => (
              <a
                key={name}
                href={`/console/${name}${query}`}
                aria-current={name === current ? "page" : undefined}
              >
                {title}
              </a>
            ))}
          </nav>
          <div class="side-end">
            <Loss delivery={delivery} />
            <div class="side-acts">
              <button class="button quiet" type="button" onClick={() => setTheme(setNextTheme)}>
                <span class="wide-only">Theme: </span>
                {theme}
              </button>
              <button class="button quiet" type="button" onClick={() => void signOut()}>
                Sign out
              </button>
              <button class="button quiet" type="button" aria-label="Keys" onClick={() => setHelpOpen(true)}>
                ?
              </button>
            </div>
          </div>
        </header>
        <main class="main" id="main">
          {children}
        </main>
      </div>
      <Help isOpen={isHelpOpen} onClose={() => setHelpOpen(false)} />
    </>
  );
}

function Loss({ delivery }: { readonly delivery: DeliverySums | undefined }): JSX.Element | null {
  if (delivery === undefined) return null;
  const { lost, intended } = delivery;
  return (
    <p class={lost > 0 ? "loss bad" : "loss"}>
      <Icon name={lost > 0 ? "failed" : "ok"} />
      {intended === 0
        ? "No traces are sent elsewhere"
        : `${countText(lost)} of ${countText(intended)} traces lost`}
    </p>
  );
}

const HELP: readonly (readonly [string, string])[] = [
  ["next, previous", "j k"],
  ["open", "Enter"],
  ["unfold, fold", "→ ←"],
  ["back", "Esc"],
  ["filter or find", "/"],
  ["critical path", "c"],
  ["quiet steps", "q"],
  ["copy the link", "y"],
  ["read the list again", "r"],
  ["go to Requests, Queues, Keys", ". r, . q, . k"],
  ["go to Settings, Welcome", ". t, . w"],
];

function Help({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (isOpen) dialog.current?.showModal();
  }, [isOpen]);
  return (
    <dialog ref={dialog} aria-labelledby="help-title" onClose={onClose}>
      <h1 id="help-title">Keys</h1>
      <ul class="keys">
        {HELP.map(([name, keys]) => (
          <li key={name}>
            {name} <kbd>{keys}</kbd>
          </li>
        ))}
      </ul>
      <form method="dialog">
        <button class="button">Close</button>
      </form>
    </dialog>
  );
}
