/** Time, tokens and money under each other: three strips of one width, whose entries add up. */

import type { JSX } from "preact";
import type { Ledger } from "../model/ledgers.ts";

interface LedgersProps {
  readonly ledgers: readonly Ledger[];
  /** The part that is pointed at: the others fade here and in the waterfall. */
  readonly onPoint: (fill: string | undefined) => void;
  readonly pointed: string | undefined;
}

export function Ledgers({ ledgers, onPoint, pointed }: LedgersProps): JSX.Element {
  return (
    <div class="ledgers" data-pointed={pointed}>
      {ledgers.map((ledger, index) => (
        <LedgerRows
          key={ledger.title}
          ledger={ledger}
          isTime={index === 0}
          onPoint={onPoint}
          pointed={pointed}
        />
      ))}
    </div>
  );
}

interface RowsProps extends Omit<LedgersProps, "ledgers"> {
  readonly ledger: Ledger;
  readonly isTime: boolean;
}

function LedgerRows({ ledger: { title, total, entries }, isTime, onPoint, pointed }: RowsProps): JSX.Element {
  // Shares of 100, since flex grows by less than the whole where the numbers add up to less than 1.
  const whole = entries.reduce((sum, { amount }) => sum + amount, 0);
  const label = `${title} ${total}: ${entries.map(({ name, text }) => `${name} ${text}`).join(", ")}`;
  return (
    <>
      <div class="ledger-name">{title}</div>
      <div class="ledger-total">{total}</div>
      <div class="ledger-body">
        <div class={isTime ? "strip" : "strip thin"} role="img" aria-label={label}>
          {entries.map(({ fill, amount }) => (
            <i
              key={fill}
              class={`part part-${fill}${isTime && pointed === fill ? " pointed" : ""}`}
              style={{ "--grow": String((100 * amount) / whole) }}
            />
          ))}
        </div>
        <ul class="legend">
          {entries.map(({ fill, name, text, share }) => (
            <li
              key={fill}
              onMouseEnter={isTime ? () => onPoint(fill) : undefined}
              onMouseLeave={isTime ? () => onPoint(undefined) : undefined}
            >
              <Swatch fill={fill} />
              {name} <b>{text}</b> <span class="muted">{share}</span>
            </li>
          ))}
        </ul>
      </div>
    </>
  );
}

export function Swatch({ fill }: { readonly fill: string }): JSX.Element {
  return <span class={`swatch part part-${fill}`} aria-hidden="true" />;
}
