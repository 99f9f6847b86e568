/** Text from outside, copying, and the small states that every screen has. */

import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { ApiError } from "../data/api.ts";
import { visibleText } from "../model/words.ts";
import { Icon } from "./icons.tsx";

/** A name or text that somebody else wrote: as text, isolated, with its invisible characters shown. */
export function Outside({ text }: { readonly text: string }): JSX.Element {
  return <bdi>{visibleText(text)}</bdi>;
}

const COPIED_MS = 1500;

export function CopyButton({ text, name }: { readonly text: string; readonly name: string }): JSX.Element {
  const [isCopied, setCopied] = useState(false);
  const copy = (): void => {
    void navigator.clipboard.writeText(text).then(() => {
      setCopied(true);
      setTimeout(() => setCopied(false), COPIED_MS);
    });
  };
  return (
    <button
      class="copy"
      type="button"
      aria-label={isCopied ? `${name}: copied` : `Copy ${name}`}
      onClick={copy}
    >
      <Icon name={isCopied ? "ok" : "copy"} />
    </button>
  );
}

/** What was not read, and how to try again. */
export function Failed({
  error,
  onRetry,
}: {
  readonly error: unknown;
  readonly onRetry: () => void;
}): JSX.Element {
  const message = error instanceof ApiError ? error.message : "The page could not be drawn.";
  return (
    <div class="empty" role="alert">
      <h2>This could not be read</h2>
      <p>
        <Outside text={message} /> Nothing is lost.
      </p>
      <button class="button" type="button" onClick={onRetry}>
        Try again
      </button>
    </div>
  );
}

export function Empty({
  title,
  children,
}: {
  readonly title: string;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** Grey lines of the final layout, still; drawn only once the wait is worth seeing. */
export function Loading({ lines }: { readonly lines: number }): JSX.Element {
  return (
    <div class="loading" role="status" aria-busy="true" aria-label="Loading">
      {Array.from({ length: lines }, (_, index) => (
        <i key={index} />
      ))}
    </div>
  );
}
