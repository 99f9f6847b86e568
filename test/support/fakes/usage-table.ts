// The table of a tenant's usage, in memory: what object/usage-rows.ts does in SQLite.
import type { UsageTable } from "../../../src/limits/usage/usage-book.ts";

export function createUsageTable(): UsageTable {
  const rows = new Map<string, Map<number, string>>();
  const rowsOf = (level: string, dimension: string): Map<number, string> => {
    const known = rows.get(`${level} ${dimension}`) ?? new Map<number, string>();
    rows.set(`${level} ${dimension}`, known);
    return known;
  };
  return {
    read: (level, dimension, fromAt, untilAt) =>
      [...rowsOf(level, dimension)]
        .filter(([at]) => at >= fromAt && at < untilAt)
        .toSorted(([a], [b]) => a - b)
        .map(([at, text]) => ({ at, text })),
    write: (level, dimension, at, text) => void rowsOf(level, dimension).set(at, text),
    prune(level, dimension, beforeAt) {
      for (const at of rowsOf(level, dimension).keys())
        if (at < beforeAt) rowsOf(level, dimension).delete(at);
    },
  };
}
