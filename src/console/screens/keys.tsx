/** The tenant's gateway keys: make one (shown once, with snippets), pause, rotate, revoke. */

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { KeyView } from "../../tenants/records/record-views.ts";
import { changeKey, makeKey, listKeys, type NewKey, revokeKey, rotateKey } from "../data/keys.ts";
import { snippetsFor } from "../model/snippets.ts";
import { visibleText } from "../model/words.ts";
import { Frame } from "../view/frame.tsx";
import { type KeyAct, KeyList } from "../view/key-list.tsx";
import { Snippets } from "../view/snippets.tsx";
import { CopyButton, Empty, Failed, Loading, Outside } from "../view/text.tsx";
import { useTenant } from "../view/use-tenant.ts";

const OVERLAP_S = 24 * 60 * 60;

export function KeysScreen(): JSX.Element {
  const { tenant, choose } = useTenant();
  return (
    <Frame screen="keys" tenant={tenant ?? null} onTenant={choose}>
      {tenant === null && (
        <Empty title="No tenant yet">
          <p>A key belongs to a tenant. Make one by the admin API first.</p>
        </Empty>
      )}
      {typeof tenant === "string" && <Keys key={tenant} tenant={tenant} />}
    </Frame>
  );
}

function Keys({ tenant }: { readonly tenant: string }): JSX.Element {
  const [keys, setKeys] = useState<readonly KeyView[]>();
  const [made, setMade] = useState<NewKey>();
  const [error, setError] = useState<unknown>();
  const read = (): void => {
    setError(undefined);
    listKeys(tenant).then(setKeys, setError);
  };
  useEffect(read, [tenant]);
  const after = (done: Promise<unknown>): void => {
    done.then(read, setError);
  };
  const act = (key: KeyView, what: KeyAct): void => {
    if (what === "pause" || what === "resume") {
      after(changeKey(tenant, key.id, { status: what === "pause" ? "paused" : "active" }));
    } else if (what === "rotate") after(rotateKey(tenant, key.id, OVERLAP_S).then(setMade));
    else after(revokeKey(tenant, key.id));
  };
  return (
    <>
      <div class="bar-row">
        <h1>Keys</h1>
        <CreateKey onCreate={(name) => after(makeKey(tenant, { name }).then(setMade))} />
      </div>
      {made !== undefined && <Made made={made} onDone={() => setMade(undefined)} />}
      {error !== undefined && <Failed error={error} onRetry={read} />}
      <section class="box" aria-label="Keys">
        {keys === undefined && error === undefined && <Loading lines={6} />}
        {keys?.length === 0 && (
          <Empty title="No keys yet">
            <p>A gateway key is what an application sends. Create the first one above.</p>
          </Empty>
        )}
        {keys !== undefined && keys.length > 0 && <KeyList keys={keys} tenant={tenant} onAct={act} />}
      </section>
      <p class="foot">
        A revoked or paused key stops everywhere within 30 s. A rotated key’s old secret works for 24 h.
      </p>
    </>
  );
}

function CreateKey({ onCreate }: { readonly onCreate: (name: string) => void }): JSX.Element {
  const [name, setName] = useState("");
  return (
    <form
      class="end inline-form"
      onSubmit={(event) => {
        event.preventDefault();
        onCreate(name.trim());
        setName("");
      }}
    >
      <input
        class="field"
        aria-label="Name of the new key"
        placeholder="web app"
        value={name}
        onInput={(event) => setName(event.currentTarget.value)}
      />
      <button class="button primary" type="submit" disabled={name.trim() === ""}>
        Create a key
      </button>
    </form>
  );
}

function Made({ made, onDone }: { readonly made: NewKey; readonly onDone: () => void }): JSX.Element {
  const { key, name } = made;
  return (
    <section class="box below-space" aria-label="New key">
      <header>
        <h2>
          Key “<Outside text={visibleText(name ?? made.id)} />” is made. This is the only time it is shown.
        </h2>
        <span class="end">
          <button class="button quiet" type="button" onClick={onDone}>
            I have it
          </button>
        </span>
      </header>
      <div class="pad lanes">
        <p>
          <code class="mono new-key">{key}</code> <CopyButton text={key} name="key" />
        </p>
        <Snippets snippets={snippetsFor({ origin: location.origin, key, model: "ROUTE_OR_MODEL" })} />
        <p class="muted">The gateway keeps a hash of it, never the key. Lost it? Rotate it.</p>
      </div>
    </section>
  );
}
