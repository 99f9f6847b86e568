/**
 * A hedged request: where the first target has not begun its answer after a while, a second one is called beside it. The
 * first answer counts; the other call is stopped, and billed like any failed one. Opt-in on a route.
 */

import type { AttemptFacts } from "./attempt-span.ts";
import type { AttemptContext } from "./attempt-context.ts";
import type { Answered } from "../ended.ts";
import type { PlannedTarget } from "../../routing/planned-target.ts";

/** A call that was stopped says so at once; one that doesn't is not waited for. */
const CALL_OFF_MS = 20;

type CallInTurn = (
  attempts: AttemptContext,
  targets: readonly PlannedTarget[],
  reason?: AttemptFacts["reason"],
) => Promise<Answered>;

/** One of the two ways in which an answer may come. */
interface HedgeBranch {
  readonly attempts: AttemptContext;
  readonly calledOff: AbortController;
}

export async function raceWithHedge(
  attempts: AttemptContext,
  afterMs: number,
  callInTurn: CallInTurn,
): Promise<Answered> {
  const { plan, call, deps } = attempts;
  const branches: HedgeBranch[] = [];
  let winner: HedgeBranch | undefined;

  function openBranch(taken: Set<PlannedTarget>): HedgeBranch {
    const calledOff = new AbortController();
    const signal = AbortSignal.any([call.signal(), calledOff.signal]);
    const branch: HedgeBranch = {
      calledOff,
      attempts: {
        ...attempts,
        taken,
        call: { ...call, signal: () => signal },
        claim: () => claim(branch),
        isLost: () => winner !== undefined && winner !== branch,
      },
    };
    branches.push(branch);
    return branch;
  }

  function claim(branch: HedgeBranch): boolean {
    if (winner !== undefined) return winner === branch;
    winner = branch;
    for (const other of branches) {
      if (other === branch) continue;
      other.calledOff.abort();
    }
    return true;
  }

  const answer = callInTurn(openBranch(attempts.taken).attempts, plan.targets);
  const isSettled = answer.then(
    () => true,
    () => true,
  );
  const isEarly = await Promise.race([isSettled, deps.sleep(afterMs).then(() => false)]);
  if (isEarly || call.signal().aborted) return answer;
  if (!deps.targets.retryBudget.take(call.bundle.id, deps.now())) {
    // Its own call is still open; the reason stands where the hedge would.
    call.trace.root.set({ "gateway.retry.refused": "budget" });
    return answer;
  }

  // With no other target the same one is called twice: what is slow may be one server of many.
  const target = plan.targets[1] ?? plan.targets[0];
  attempts.taken.add(target);
  call.trace.root.event("gateway.hedge", {
    "gateway.attempt.target": target.label,
    "gateway.hedge.after_ms": afterMs,
  });
  const hedge = callInTurn(openBranch(new Set()).attempts, [target], "hedge");
  try {
    const answered = await Promise.any([answer, hedge]);
    // The other's span ends, and its bill is made, with its call: before the request ends.
    await Promise.race([Promise.allSettled([answer, hedge]), deps.sleep(CALL_OFF_MS)]);
    return answered;
  } catch {
    // Both failed: the first error is what a request without a hedge would get.
    return answer;
  }
}
