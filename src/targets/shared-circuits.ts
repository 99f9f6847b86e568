/**
 * The circuits of a tenant's targets as his object keeps them for all isolates: one count of failures, one pause, one
 * probe at a time. Told by the isolates with calls that they make anyway (isolate-circuits.ts); heard by them in each
 * answer. Nothing of it is saved: an object that is started anew is told what is open by the isolates that know.
 */

import { type CircuitBook, createCircuitBook } from "./circuit.ts";
import type { TargetNews } from "../limits/protocol.ts";
import { createRecentIds } from "../limits/leases/recent-ids.ts";

export interface SharedCircuits {
  readonly book: CircuitBook;
  /** Idempotent: the runtime may repeat a call. */
  take(news: TargetNews, now: number): void;
}

export function createSharedCircuits(): SharedCircuits {
  const book = createCircuitBook();
  const counted = createRecentIds();
  return {
    book,
    take(news, now) {
      switch (news.kind) {
        case "claim":
          book.claim(news.target, news.id, now);
          return;
        case "open":
          book.merge(news.open, now);
          return;
        case "call": {
          const { report } = news;
          if (report.call !== undefined) {
            const id = `${report.call.spanId} ${report.verdict}`;
            if (counted.has(id, now)) return;
            counted.add(id, now);
          }
          book.note(report, now);
        }
      }
    },
  };
}
