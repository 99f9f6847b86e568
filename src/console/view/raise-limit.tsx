/** Raises one limit for a time, or ends that: an order of the operator that ends by itself. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";

const LIMITS = [
  { name: "concurrency", title: "requests at a time" },
  { name: "requestsPerMinute", title: "requests a minute" },
  { name: "tokensPerMinute", title: "tokens a minute" },
] as const;

interface RaiseProps {
  readonly isRaised: boolean;
  readonly onRaise: (limits: Readonly<Record<string, number>>, forSeconds: number) => void;
}

export function RaiseLimit({ isRaised, onRaise }: RaiseProps): JSX.Element {
  const [isOpen, setOpen] = useState(false);
  const [name, setName] = useState<string>(LIMITS[0].name);
  const [value, setValue] = useState("");
  const [minutes, setMinutes] = useState("15");
  if (isRaised) {
    return (
      <button class="button" type="button" onClick={() => onRaise({}, 0)}>
        End the raise
      </button>
    );
  }
  if (!isOpen) {
    return (
      <button class="button" type="button" onClick={() => setOpen(true)}>
        Raise a limit for a time
      </button>
    );
  }
  const isValid = /^\d+$/.test(value) && /^\d+$/.test(minutes);
  return (
    <form
      class="inline-form"
      onSubmit={(event) => {
        event.preventDefault();
        onRaise({ [name]: Number(value) }, Number(minutes) * 60);
        setOpen(false);
      }}
    >
      <select
        class="field"
        aria-label="Limit"
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
      >
        {LIMITS.map((limit) => (
          <option key={limit.name} value={limit.name}>
            {limit.title}
          </option>
        ))}
      </select>
      <NumberField name="Value" value={value} onChange={setValue} />
      for
      <NumberField name="Minutes" value={minutes} onChange={setMinutes} />
      min
      <button class="button primary" type="submit" disabled={!isValid}>
        Raise
      </button>
      <button class="button quiet" type="button" onClick={() => setOpen(false)}>
        Cancel
      </button>
    </form>
  );
}

interface NumberFieldProps {
  readonly name: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
}

function NumberField({ name, value, onChange }: NumberFieldProps): JSX.Element {
  return (
    <input
      class="field short"
      aria-label={name}
      inputMode="numeric"
      value={value}
      onInput={(event) => onChange(event.currentTarget.value)}
    />
  );
}
