/**
 * How long a model's answers have been for a tenant, as this isolate saw them: what admission reserves where the client
 * names no `max_tokens`, or one that no answer ever reaches (src/docs/queue.md, Limits). Plain data, bounded; a wrong
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
  /** An answer came to its end with so many output tokens. */
  note(tenantId: string, model: string, outputTokens: number): void;
}

interface Page {
  readonly lengths: number[];
  next: number;
  /** Worked out when it is asked for, and again only after a change. */
  quantile: number | undefined;
}

export function createOutputLengthStats(): OutputLengthStats {
  const pages = new Map<string, Page>();
  const keyOf = (tenantId: string, model: string): string => `${tenantId} ${model}`;
  return {
    expected(tenantId, model) {
      const page = pages.get(keyOf(tenantId, model));
      if (page === undefined || page.lengths.length < MIN_SEEN) return undefined;
      return (page.quantile ??= quantileOf(page.lengths));
    },
    note(tenantId, model, outputTokens) {
      const key = keyOf(tenantId, model);
      const page = pages.get(key) ?? { lengths: [], next: 0, quantile: undefined };
      // Deleted first, so that the Map's order is the order of use.
      pages.delete(key);
      pages.set(key, page);
      page.lengths[page.next] = outputTokens;
      page.next = (page.next + 1) % WINDOW;
      page.quantile = undefined;
      const [oldest] = pages.keys();
      if (pages.size > MAX_MODELS && oldest !== undefined) pages.delete(oldest);
    },
  };
}

function quantileOf(lengths: readonly number[]): number | undefined {
  return lengths.toSorted((a, b) => a - b)[Math.ceil(lengths.length * QUANTILE) - 1];
}
