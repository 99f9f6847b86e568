/** The ticks of a time axis: three to seven, of 1, 2 or 5 × 10ⁿ ms, in one unit. Pure. */

export interface Axis {
  /** What the whole width stands for, in ms; at least 1. */
  readonly totalMs: number;
  readonly ticks: readonly { readonly atMs: number; readonly label: string }[];
}

const MOST_STEPS = 7;

export function createAxis(totalMs: number): Axis {
  const total = Math.max(1, totalMs);
  const step = stepFor(total);
  const isSeconds = total >= 1000;
  const decimals = isSeconds ? Math.max(0, -Math.floor(Math.log10(step / 1000))) : 0;
  const ticks = [];
  for (let atMs = 0; atMs <= total; atMs += step) {
    const label = atMs === 0 ? "0" : isSeconds ? `${(atMs / 1000).toFixed(decimals)} s` : `${atMs} ms`;
    ticks.push({ atMs, label });
  }
  return { totalMs: total, ticks };
}

/** The smallest step that needs at most seven. */
function stepFor(totalMs: number): number {
  for (let power = 1; ; power *= 10) {
    for (const factor of [1, 2, 5]) if (totalMs / (factor * power) <= MOST_STEPS) return factor * power;
  }
}
