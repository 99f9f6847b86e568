/** A tenant's usage in the SQLite of its queue object. Rows written without an await between them are kept or lost together. */

import type { UsageTable } from "../usage/usage-book.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS usage (
    level TEXT NOT NULL, dimension TEXT NOT NULL, at INTEGER NOT NULL, cells TEXT NOT NULL,
    PRIMARY KEY (level, dimension, at)
  ) WITHOUT ROWID`;

export function createUsageRows(sql: SqlStorage): UsageTable {
  sql.exec(SCHEMA);
  return {
    read: (level, dimension, fromAt, untilAt) =>
      sql
        .exec<{ at: number; text: string }>(
          "SELECT at, cells AS text FROM usage WHERE level = ? AND dimension = ? AND at >= ? AND at < ? ORDER BY at",
          level,
          dimension,
          fromAt,
          untilAt,
        )
        .toArray(),
    write: (level, dimension, at, text) =>
      void sql.exec(
        "INSERT OR REPLACE INTO usage (level, dimension, at, cells) VALUES (?, ?, ?, ?)",
        level,
        dimension,
        at,
        text,
      ),
    prune: (level, dimension, beforeAt) =>
      void sql.exec(
        "DELETE FROM usage WHERE level = ? AND dimension = ? AND at < ?",
        level,
        dimension,
        beforeAt,
      ),
  };
}
