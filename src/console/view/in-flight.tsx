/** What is under way, above the list of what has ended: who waits, who is at work. */

import type { JSX } from "preact";
import type { QueueSnapshot } from "../../limits/protocol.ts";
import { tenantQuery } from "../data/page-url.ts";
import { durationText, visibleText } from "../model/words.ts";
import { useNow } from "./use-now.ts";

/** More than these are in Queues. */
const SHOWN = 6;

interface InFlightProps {
  readonly snapshot: QueueSnapshot;
  readonly receivedAt: number;
  readonly tenant: string;
  readonly names: ReadonlyMap<string, string>;
}

export function InFlight({ snapshot, receivedAt, tenant, names }: InFlightProps): JSX.Element | null {
  const { waiting, holding, depth, leases } = snapshot;
  const now = useNow(depth > 0);
  if (depth + leases === 0) return null;
  const sinceMs = Math.max(0, now - receivedAt);
  const nameOf = (keyId: string): string => visibleText(names.get(keyId) ?? keyId);
  return (
    <section class="box below-space" aria-label="In flight">
      <header>
        <h2>
          In flight: {leases} at work, {depth} waiting
        </h2>
        <a class="end" href={`/console/queues${tenantQuery(tenant)}`}>
          All in Queues
        </a>
      </header>
      <ul class="blocks in-flight">
        {holding.slice(0, SHOWN).map(({ requestId, keyId }) => (
          <li key={requestId} class="block holding">
            {nameOf(keyId)}
          </li>
        ))}
        {waiting.slice(0, SHOWN).map(({ requestId, keyId, waitedMs }, index) => (
          <li key={requestId} class="block part part-queue">
            <span>
              {nameOf(keyId)} waits {durationText(waitedMs + sinceMs)}
              {index === 0 && ", next"}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
