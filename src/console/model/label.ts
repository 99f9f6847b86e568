/** Where a bar's text goes: in its widest part, right of it, left of it, or cut. Pixels; pure. */

export interface Placed {
  readonly text: string;
  /** Of the plot's left edge; for `left` the right edge of the text. */
  readonly atPx: number;
  readonly side: "inside" | "right" | "left";
}

/** Text of 11 px in the system's faces is some 6 px a character; a plate has 4 px on each side. */
const CHARACTER_PX = 6.1;
const PLATE_PX = 8;
/** So much of a pattern stays to be seen beside a plate. */
const PATTERN_PX = 24;
const GAP_PX = 5;

export function textWidthPx(text: string): number {
  return text.length * CHARACTER_PX + PLATE_PX;
}

/** `from` and `to` are the bar's edges, `widest` those of the part that can hold a text; all in px of a plot of `widthPx`. */
export function placeLabel(
  text: string,
  bar: { readonly from: number; readonly to: number },
  widest: { readonly from: number; readonly to: number; readonly isPattern: boolean } | undefined,
  widthPx: number,
): Placed {
  const needs = textWidthPx(text);
  if (widest !== undefined) {
    const room = widest.to - widest.from - (widest.isPattern ? PATTERN_PX : 0);
    if (needs <= room)
      return { text, atPx: widest.from + (widest.isPattern ? PATTERN_PX / 3 : 4), side: "inside" };
  }
  const right = widthPx - bar.to - GAP_PX;
  const left = bar.from - GAP_PX;
  if (needs <= right) return { text, atPx: bar.to + GAP_PX, side: "right" };
  if (needs <= left) return { text, atPx: bar.from - GAP_PX, side: "left" };
  const side = right >= left ? "right" : "left";
  const fits = Math.max(1, Math.floor((Math.max(right, left) - PLATE_PX) / CHARACTER_PX) - 1);
  return {
    text: `${text.slice(0, fits)}…`,
    atPx: side === "right" ? bar.to + GAP_PX : bar.from - GAP_PX,
    side,
  };
}
