/** The filter of the list: typed words and quick filters, both kept as the list's own parameters. */

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { parseFilter, writeFilter } from "../model/filter.ts";
import { Icon } from "./icons.tsx";
import { Outside } from "./text.tsx";

/** Quick filters, each a parameter of the list. */
const PILLS: readonly { readonly text: string; readonly name: string; readonly value: string }[] = [
  { text: "errors", name: "status", value: "error" },
  { text: "over 10 s", name: "min_ms", value: "10000" },
];

interface FilterProps {
  readonly params: URLSearchParams;
  readonly onChange: (params: URLSearchParams) => void;
}

export function RequestFilter({ params, onChange }: FilterProps): JSX.Element {
  const [text, setText] = useState(writeFilter(params));
  useEffect(() => setText(writeFilter(params)), [params]);
  const { unknown } = parseFilter(text);
  const apply = (event: Event): void => {
    event.preventDefault();
    const next = onlyTenant(params);
    for (const [name, value] of Object.entries(parseFilter(text).params)) next.set(name, value);
    onChange(next);
  };
  const toggle = (name: string, value: string): void => {
    const next = new URLSearchParams(params);
    if (next.get(name) === value) next.delete(name);
    else next.set(name, value);
    onChange(next);
  };
  return (
    <form class="bar-row" role="search" onSubmit={apply}>
      <label class="seek">
        <span class="hidden">Filter</span>
        <Icon name="find" />
        <input
          id="filter"
          class="field"
          placeholder="status=429 model=gpt-4o route=chat-fast >2s"
          value={text}
          aria-invalid={unknown.length > 0}
          aria-describedby={unknown.length > 0 ? "filter-says" : undefined}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <kbd aria-hidden="true">/</kbd>
      </label>
      <div class="pills" role="group" aria-label="Quick filters">
        {PILLS.map(({ text: title, name, value }) => (
          <button
            key={title}
            class="pill"
            type="button"
            aria-pressed={params.get(name) === value}
            onClick={() => toggle(name, value)}
          >
            {title}
          </button>
        ))}
      </div>
      {unknown.length > 0 && (
        <p id="filter-says" class="says-bad">
          <Outside text={unknown.join(" ")} /> is not a filter. Use name=value, with one of status, model,
          route, or a length such as &gt;2s.
        </p>
      )}
    </form>
  );
}

/** The parameters without their filters. */
export function onlyTenant(params: URLSearchParams): URLSearchParams {
  const tenant = params.get("tenant");
  return new URLSearchParams(tenant === null ? {} : { tenant });
}
