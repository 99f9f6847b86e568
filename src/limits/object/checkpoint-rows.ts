/**
 * A checkpoint in the object's storage: one row for most tenants. A value holds at most 2 MB
 * (https://developers.cloudflare.com/durable-objects/platform/limits/, seen 2026-11), so keys beyond a thousand, about
 * 500 bytes each, have rows of their own. Rows written without an await between them are kept or lost together.
 */

import type { Checkpoint } from "../queue/checkpoint.ts";

const CHECKPOINT_KEY = "checkpoint";
const KEYS_PER_ROW = 1000;

type Row = Checkpoint & {
  /** Further rows with keys; absent where there are none. */
  readonly keyRows?: number;
};
type KeyRow = Checkpoint["keys"];

export interface CheckpointRows {
  read(): Checkpoint | undefined;
  /** Throws what the storage throws; the rows are then as before. */
  write(checkpoint: Checkpoint): void;
}

export function createCheckpointRows(kv: DurableObjectStorage["kv"]): CheckpointRows {
  let keyRows = 0;
  return {
    read() {
      const row = kv.get<Row>(CHECKPOINT_KEY);
      keyRows = row?.keyRows ?? 0;
      if (row === undefined || keyRows === 0) return row;
      const more = Array.from({ length: keyRows }, (_, n) => kv.get<KeyRow>(keyRowOf(n)) ?? []);
      return { ...row, keys: [row.keys, ...more].flat() };
    },
    write(checkpoint) {
      const { keys } = checkpoint;
      const count = Math.max(0, Math.ceil(keys.length / KEYS_PER_ROW) - 1);
      const part = (n: number): KeyRow => keys.slice(n * KEYS_PER_ROW, (n + 1) * KEYS_PER_ROW);
      for (let n = 0; n < count; n += 1) kv.put<KeyRow>(keyRowOf(n), part(n + 1));
      for (let n = count; n < keyRows; n += 1) kv.delete(keyRowOf(n));
      kv.put<Row>(
        CHECKPOINT_KEY,
        count === 0 ? checkpoint : { ...checkpoint, keys: part(0), keyRows: count },
      );
      keyRows = count;
    },
  };
}

function keyRowOf(n: number): string {
  return `${CHECKPOINT_KEY}-keys-${n + 1}`;
}
