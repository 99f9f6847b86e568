/**
 * A request's lease from admission to end: admits, runs what the lease is for, and concludes success and failure once.
 * How a request is admitted is admission.ts.
 */

import { admit, withoutLease } from "./admission.ts";
import type { CacheKey } from "../cache/key.ts";
import { end } from "./end.ts";
import type { HeldLease } from "./held-lease.ts";
import { type Answered, isSound } from "./ended.ts";
import { GatewayError, toGatewayError } from "../errors.ts";
import { billedMicroUsd } from "./bills.ts";
import { returned } from "../limits/isolate/queue-replies.ts";
import type { BareCall, Deps, Generation, Pause } from "./ports.ts";
import type { Plan } from "../routing/plan.ts";
import { sleepUnlessGone } from "./sleep.ts";
import { usageOfBills } from "./usage.ts";

/**
 * Admits a request, runs it, and ends it exactly once, however it goes. `run` gets the call with the lease's signal in
 * place of the client's. Its answer's end is awaited behind the response, unless it is known already: then its cost still
 * reaches the response's head. Throws what `admit` and `run` throw.
 */
export async function withLease(
  call: BareCall,
  plan: Plan | undefined,
  deps: Deps,
  run: (admitted: BareCall) => Promise<Answered>,
  cacheKey?: CacheKey,
): Promise<Generation> {
  let lease = await admit(call, deps, plan);
  let admissions = 1;
  let answered: Answered;
  const pause = async (asked: Pause): Promise<void> => {
    const paused = lease;
    paused.stopRenewal();
    lease = withoutLease(call);
    const hadLease = giveBack(call, paused, deps);
    await sleepUnlessGone(asked.ms, call.signal(), deps);
    if (hadLease) lease = await admitAgain(call, deps, plan, ++admissions, asked);
  };
  try {
    answered = await run({ ...call, signal: () => lease.signal, pause });
  } catch (thrown) {
    const error = toGatewayError(thrown);
    end(call, lease, { kind: "failure", error }, deps, cacheKey);
    throw error;
  }
  const { generation, ended } = answered;
  if (!(ended instanceof Promise)) {
    end(call, lease, ended, deps, cacheKey);
    return generation;
  }
  const isComplete = ended.then((over) => {
    end(call, lease, over, deps, cacheKey);
    return isSound(over);
  });
  deps.defer(isComplete);
  return { ...generation, isComplete };
}

/**
 * Gives the slot back for a pause, with what the request has cost so far: its Worker may die before it is admitted again.
 * Returns whether it had one.
 */
function giveBack({ facts, key }: BareCall, { requestId, lease }: HeldLease, deps: Deps): boolean {
  if (requestId === undefined || lease === undefined) return false;
  const bills = (facts.bills ?? []).slice(facts.bookedBills);
  facts.bookedBills = facts.bills?.length;
  const settlement = {
    ...returned({ requestId, keyId: key.id }, lease.id),
    ...(bills.length > 0 && { costMicroUsd: billedMicroUsd(bills), usage: usageOfBills(facts, bills) }),
  };
  // What can't be sent now is sent with the isolate's next call.
  deps.defer(deps.queue.settle(settlement, false).catch(() => {}));
  return true;
}

/** A refusal on return ends the request with what the upstream said, and the time after which a slot is free again. */
async function admitAgain(
  call: BareCall,
  deps: Deps,
  plan: Plan | undefined,
  number: number,
  { error, deadlineAt }: Pause,
): Promise<HeldLease> {
  try {
    return await admit(call, deps, plan, { number, leftMs: deadlineAt - deps.now() });
  } catch (thrown) {
    const refused = toGatewayError(thrown);
    if (refused.code === "client_disconnected") throw refused;
    const { retryAfterMs = error.details.retryAfterMs } = refused.details;
    const message = `${error.message} The request gave its slot back while it waited to retry, and was refused when it came back: ${refused.message}`;
    throw new GatewayError(error.code, message, {
      ...error.details,
      ...(retryAfterMs !== undefined && { retryAfterMs }),
      cause: refused,
    });
  }
}
