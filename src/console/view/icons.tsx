/** The console's icons: drawn beside a word, hidden from readers. */

import type { JSX } from "preact";

const PATHS = {
  failed: "m3.5 3.5 7 7m0-7-7 7",
  ok: "m2.5 7.5 3 3 6-7",
  caret: "m5 2.5 5 4.5-5 4.5",
  find: "M9.8 6a3.8 3.8 0 1 1-7.6 0 3.8 3.8 0 0 1 7.6 0ZM9 9l3.5 3.5",
  copy: "M5 5h7v7H5zM9 5V2H2v7h3",
  warn: "M7 2 13 12H1zM7 6v3M7 10.6v.2",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { readonly name: IconName }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 14 14" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

/** The mark: a gate, half raised, with water under it. */
export function Mark(): JSX.Element {
  return (
    <svg class="icon mark" viewBox="0 0 18 18" aria-hidden="true">
      <path d="M3 2v14M15 2v14M3 5h12M1 13.5h2M6.5 13.5h5M15 13.5h2" />
      <path d="M6.5 5v4.5h5V5" fill="currentColor" />
    </svg>
  );
}
