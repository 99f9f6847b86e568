/** The new key's snippets as tabs, one to copy. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Snippet } from "../model/snippets.ts";
import { CopyButton } from "./text.tsx";

export function Snippets({ snippets }: { readonly snippets: readonly Snippet[] }): JSX.Element | null {
  const [at, setAt] = useState(0);
  const shown = snippets[at];
  if (shown === undefined) return null;
  return (
    <div>
      <div class="tabs" role="tablist" aria-label="Client">
        {snippets.map(({ name }, index) => (
          <button
            key={name}
            type="button"
            role="tab"
            aria-selected={index === at}
            onClick={() => setAt(index)}
          >
            {name}
          </button>
        ))}
      </div>
      <div class="raw" role="tabpanel" aria-label={shown.name}>
        <CopyButton text={shown.text} name="snippet" />
        <pre class="code" tabIndex={0}>
          {shown.text}
        </pre>
      </div>
    </div>
  );
}
