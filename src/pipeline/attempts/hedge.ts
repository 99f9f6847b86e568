/**
 * A hedged request: where the first target has not begun its answer after a while, a second one is asked beside it. The
 * first answer counts; the other call is stopped, and what its prompt costs is counted. Opt-in on a route.
 */

import type { AttemptFacts } from "./attempt-span.ts";
import type { Run } from "./attempts.ts";
import type { Generation } from "../ports.ts";
import { expectedUsage } from "../routed.ts";
import { costMicroUsd } from "../../pricing/cost.ts";
import type { PlannedTarget } from "../../routing/planned-target.ts";
import { priceOfTarget } from "../target-price.ts";

/** A call that was stopped says so at once; nobody waits longer for one that doesn't. */
const CALL_OFF_MS = 20;

type AskInTurn = (
  run: Run,
  targets: readonly PlannedTarget[],
  reason?: AttemptFacts["reason"],
) => Promise<Generation>;

/** One of the two ways in which an answer may come. */
interface Lane {
  readonly run: Run;
  readonly calledOff: AbortController;
}

export async function raceWithHedge(run: Run, afterMs: number, askInTurn: AskInTurn): Promise<Generation> {
  const { plan, call, deps } = run;
  const lanes: Lane[] = [];
  let winner: Lane | undefined;

  function openLane(taken: Set<PlannedTarget>): Lane {
    const calledOff = new AbortController();
    const signal = AbortSignal.any([call.signal(), calledOff.signal]);
    const lane: Lane = {
      calledOff,
      run: {
        ...run,
        taken,
        asking: {},
        call: { ...call, signal: () => signal },
        held: {
          ...run.held,
          claim: () => claim(lane),
          isLost: () => winner !== undefined && winner !== lane,
        },
      },
    };
    lanes.push(lane);
    return lane;
  }

  function claim(lane: Lane): boolean {
    if (winner !== undefined) return winner === lane;
    winner = lane;
    for (const other of lanes) {
      if (other === lane) continue;
      const stopped = other.run.asking.target;
      if (stopped) call.facts.hedgeMicroUsd = (call.facts.hedgeMicroUsd ?? 0) + promptMicroUsd(run, stopped);
      other.calledOff.abort();
    }
    return true;
  }

  const answer = askInTurn(openLane(run.taken).run, plan.targets);
  const isSettled = answer.then(
    () => true,
    () => true,
  );
  const isEarly = await Promise.race([isSettled, deps.sleep(afterMs).then(() => false)]);
  if (isEarly || call.signal().aborted || !deps.targets.retryBudget.take(call.bundle.id, deps.now()))
    return answer;

  // With no other target the same one is asked twice: what is slow may be one server of many.
  const target = plan.targets[1] ?? plan.targets[0];
  run.taken.add(target);
  call.trace.root.event("gateway.hedge", {
    "gateway.attempt.target": target.label,
    "gateway.hedge.after_ms": afterMs,
  });
  const hedge = askInTurn(openLane(new Set()).run, [target], "hedge");
  try {
    const generation = await Promise.any([answer, hedge]);
    // The other's span ends with its call, and that before the request does.
    await Promise.race([Promise.allSettled([answer, hedge]), deps.sleep(CALL_OFF_MS)]);
    return generation;
  } catch {
    // Both failed: what the first one says is what a request without a hedge would have been told.
    return answer;
  }
}

/** The upstream has read the prompt by then; what it had begun to write, nobody can tell. */
function promptMicroUsd({ call, deps }: Run, target: PlannedTarget): number {
  const price = priceOfTarget(call.bundle, target, deps);
  const { inputTokens } = expectedUsage(call.chat);
  return costMicroUsd(price, { inputTokens, outputTokens: 0 }) ?? 0;
}
