/**
 * Requests without a lease (cache hits, refusals) in their tenant's usage: added up in the isolate, and sent with its next
 * call to the tenant's object or, where none comes, by a call for all of them.
 */

import type { TenantState } from "./tenant-state.ts";
import type { UsageCell } from "../usage-protocol.ts";
import type { StartTimer } from "../../runtime/waits.ts";

const LATE_MS = 5000;

/** Lets work outlive the request: `waitUntil`. */
export type Defer = (work: Promise<unknown>) => void;

export type NoteUsage = (
  tenant: { readonly id: string; readonly generation?: number },
  requestId: string,
  usage: readonly UsageCell[],
  defer: Defer,
) => void;

interface UsageNotesDeps {
  readonly stateOf: (tenantId: string, generation: number) => TenantState;
  readonly forTenant: (tenantId: string, defer: Defer, generation: number) => { flush(): Promise<void> };
  readonly now: () => number;
  readonly startTimer: StartTimer;
}

export function createUsageNotes({ stateOf, forTenant, now, startTimer }: UsageNotesDeps): NoteUsage {
  return ({ id, generation = 0 }, requestId, usage, defer) => {
    const state = stateOf(id, generation);
    state.buffer.note(requestId, usage);
    // A sender that has not sent by then has ended with its request.
    if (now() - state.noterSince < 2 * LATE_MS) return;
    state.noterSince = now();
    const due = new Promise<void>((resolve) => startTimer(LATE_MS, resolve));
    defer(
      due.then(() => {
        state.noterSince = -Infinity;
        return forTenant(id, defer, generation).flush();
      }),
    );
  };
}
