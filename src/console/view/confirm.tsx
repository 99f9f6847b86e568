/** An act that can't be taken back: asked in place, with its consequence named. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";

interface ConfirmProps {
  readonly name: string;
  readonly consequence: string;
  readonly onConfirm: () => void;
  readonly isQuiet?: boolean;
}

export function Confirm({ name, consequence, onConfirm, isQuiet = true }: ConfirmProps): JSX.Element {
  const [isAsking, setAsking] = useState(false);
  if (!isAsking) {
    return (
      <button
        class={isQuiet ? "button quiet danger" : "button danger"}
        type="button"
        onClick={() => setAsking(true)}
      >
        {name}
      </button>
    );
  }
  return (
    <span class="confirm" role="group" aria-label={name}>
      {consequence}
      <button
        class="button danger"
        type="button"
        autoFocus
        onClick={() => {
          setAsking(false);
          onConfirm();
        }}
      >
        {name}
      </button>
      <button class="button quiet" type="button" onClick={() => setAsking(false)}>
        Keep
      </button>
    </span>
  );
}
