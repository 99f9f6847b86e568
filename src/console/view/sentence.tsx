/** The sentence above a trace: text, with the parts of the time it names marked as everywhere else. */

import type { JSX } from "preact";
import type { Piece } from "../../telemetry/explain/cause.ts";
import { visibleText } from "../model/words.ts";
import { Swatch } from "./ledgers.tsx";

export function Sentence({ pieces }: { readonly pieces: readonly Piece[] }): JSX.Element {
  return (
    <>
      {pieces.map(({ text, part }, index) =>
        part === undefined ? (
          <bdi key={index}>{visibleText(text)}</bdi>
        ) : (
          <span key={index} class={`named named-${part}`}>
            <Swatch fill={part} />
            {text}
          </span>
        ),
      )}
    </>
  );
}
