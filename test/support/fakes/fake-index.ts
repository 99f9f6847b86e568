// The semantic index without its object: the real comparison over entries in memory.
import type { IndexEntry, SemanticIndexRpc } from "../../../src/cache/semantic-protocol.ts";
import { nearest } from "../../../src/cache/vectors.ts";

export interface FakeIndex extends SemanticIndexRpc {
  readonly entries: IndexEntry[];
  readonly forgotten: readonly string[];
}

export function createFakeIndex(): FakeIndex {
  const entries: IndexEntry[] = [];
  const forgotten: string[] = [];
  return {
    entries,
    forgotten,
    async nearest({ epoch, scope, vector }) {
      const rows = entries.filter((entry) => entry.epoch === epoch && entry.scope === scope);
      const { row, similarity, compared } = nearest(rows, vector, 0);
      return row ? { compared, best: { similarity, key: row.key, trace: row.trace } } : { compared };
    },
    add: async (entry) => void entries.push(entry),
    forget: async (_, key) => void forgotten.push(key),
  };
}
