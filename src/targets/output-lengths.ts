/**
 * How long a model's answers have been for a tenant, as this isolate saw them: what admission reserves where the client
 * names no `max_tokens`, or one far above every answer (src/docs/queue.md, Limits). Plain data, bounded; a wrong
 * guess is settled with the true count and costs nothing but a little too much or too little waiting. Pure.
 */

/** Lengths remembered of each model: enough for a ninth decile, few enough to sort on a request's path. */
const WINDOW = 32;
/** Of so many lengths on, the guess is worth more than none. */
const MIN_SEEN = 5;
/** Nine of ten answers are no longer: the tenth is carried as a debt. */
const QUANTILE = 0.9;
/** Models remembered per isolate; the one unused for longest goes first. */
const MAX_MODELS = 1000;

export interface OutputLengthStats {
  /** Output tokens that nine of ten answers stay below; undefined for a model not seen enough. */
  expected(tenantId: string, model: string): number | undefined;
  /** An answer ended with so many output tokens. */
  note(tenantId: string, model: string, outputTokens: number): void;
}

interface Lengths {
  readonly lengths: number[];
  next: number;
  /** Computed on demand, and again only after a change. */
  quantile: number | undefined;
}

export function createOutputLengthStats(): OutputLengthStats {
  const byModel = new Map<string, Lengths>();
  const keyOf = (tenantId: string, model: string): string => `${tenantId} ${model}`;
  return {
    expected(tenantId, model) {
      const seen = byModel.get(keyOf(tenantId, model));
      if (seen === undefined || seen.lengths.length < MIN_SEEN) return undefined;
      return (seen.quantile ??= quantileOf(seen.lengths));
    },
    note(tenantId, model, outputTokens) {
      const key = keyOf(tenantId, model);
      const seen = byModel.get(key) ?? { lengths: [], next: 0, quantile: undefined };
      // Deleted first, so that the Map's order is the order of use.
      byModel.delete(key);
      byModel.set(key, seen);
      seen.lengths[seen.next] = outputTokens;
      seen.next = (seen.next + 1) % WINDOW;
      seen.quantile = undefined;
      const [oldest] = byModel.keys();
      if (byModel.size > MAX_MODELS && oldest !== undefined) byModel.delete(oldest);
    },
  };
}

function quantileOf(lengths: readonly number[]): number | undefined {
  return lengths.toSorted((a, b) => a - b)[Math.ceil(lengths.length * QUANTILE) - 1];
}
