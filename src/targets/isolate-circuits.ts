/**
 * Whether a target's failures allow a call: an isolate's part in the circuits that the tenant's object keeps for all
 * isolates. It holds what it has received from the object, what it has seen itself and not sent yet, and the probes it was
 * given. Where the object can't be called, the isolate decides alone. Plain data of one tenant.
 */

import {
  type CallRef,
  type CallReport,
  type CircuitStatus,
  createCircuitBreakers,
  type CircuitUpdate,
  type OpenCircuit,
  type Verdict,
} from "./circuit.ts";

/** A probe that no request of this isolate has used by then goes back: another isolate may have one. */
const GRANT_MS = 5000;

/** A call that was let through. */
export interface CallPass {
  readonly target: string;
  /** It is the probe of a half-open circuit, until its first verdict is in. */
  probe?: string;
}

/** What a request of the pipeline may do. */
export interface TargetCircuits {
  of(target: string, now: number): CircuitStatus;
  /**
   * Lets a call through, or not. Answers from memory but for a circuit whose pause is over: the tenant's object lets one
   * caller of all isolates probe it. Never throws.
   */
  take(target: string, requestId: string): Promise<CallPass | undefined>;
  /** What came of a call that was let through; its first verdict decides a probe. */
  record(pass: CallPass, verdict: Verdict, call?: CallRef): void;
}

type Taken = CallPass | "refused" | "ask";

/** What an isolate keeps between its requests. */
export interface IsolateCircuits {
  of(target: string, now: number): CircuitStatus;
  /** From memory; `ask` where a probe has to be claimed at the object. */
  take(target: string, now: number): Taken;
  /** The rule while the object can't be called: one probe a pause in this isolate. */
  takeAlone(target: string, id: string, now: number): CallPass | undefined;
  /** Claims the probe with the next call to the object, where the pause is over and no other request has it. */
  want(target: string, id: string, now: number): void;
  /** Returns whether other isolates should know soon. */
  record(pass: CallPass, verdict: Verdict, call: CallRef | undefined, now: number): boolean;
  /** Marks how much of what was learned a call that begins now carries. */
  mark(now: number): number;
  /** Applies a reply to such a call; it changes nothing that was learned after the mark. */
  receive(circuits: readonly OpenCircuit[] | undefined, mark: number, now: number): void;
  /** The object was restarted and knows no circuit: sends the open ones again. */
  resend(now: number): void;
}

/** How one request reaches the object. */
interface RequestPorts {
  readonly now: () => number;
  /** Sends all updates and applies the reply; rejects where the object can't be called. */
  readonly send: () => Promise<void>;
  /** Sends the updates within a second. */
  readonly sendSoon: () => void;
  /** Whether the last call to the object was answered. */
  readonly isReachable: () => boolean;
}

export function circuitsFor(
  circuits: IsolateCircuits,
  { now, send, sendSoon, isReachable }: RequestPorts,
): TargetCircuits {
  return {
    of: circuits.of,
    async take(target, requestId) {
      const taken = circuits.take(target, now());
      if (taken !== "ask") return taken === "refused" ? undefined : taken;
      if (!isReachable()) return circuits.takeAlone(target, requestId, now());
      circuits.want(target, requestId, now());
      try {
        await send();
      } catch {
        return circuits.takeAlone(target, requestId, now());
      }
      const answered = circuits.take(target, now());
      return typeof answered === "string" ? undefined : answered;
    },
    record(pass, verdict, call) {
      if (circuits.record(pass, verdict, call, now())) sendSoon();
    },
  };
}

export function createIsolateCircuits(send: (update: CircuitUpdate, now: number) => void): IsolateCircuits {
  const breakers = createCircuitBreakers();
  /** Grows with each thing learned here. */
  let learned = 0;
  /** When something was last learned of a target that is, or was, not closed. */
  const learnedAt = new Map<string, number>();
  const wanted = new Map<string, { readonly id: string; readonly at: number }>();
  const granted = new Map<string, { readonly id: string; readonly until: number }>();

  function touch(target: string): void {
    learnedAt.set(target, ++learned);
  }

  function sendOpen(target: string, now: number): void {
    const open = breakers.list(now)?.find((each) => each.target === target);
    if (open !== undefined) send({ kind: "open", open }, now);
  }

  function take(target: string, now: number): Taken {
    const { state, retryInMs } = breakers.of(target, now);
    if (state === "closed") return { target };
    const grant = granted.get(target);
    if (grant !== undefined && now < grant.until) {
      granted.delete(target);
      return { target, probe: grant.id };
    }
    return retryInMs > 0 ? "refused" : "ask";
  }

  function receiveOpen(open: OpenCircuit, mark: number, now: number): void {
    const { target, probe } = open;
    const want = wanted.get(target);
    if (want !== undefined && probe?.id === want.id) {
      granted.set(target, { id: want.id, until: now + GRANT_MS });
      wanted.delete(target);
    } else if (want !== undefined && want.at <= mark) wanted.delete(target);
    if ((learnedAt.get(target) ?? 0) > mark) return;
    breakers.put(open, now);
    touch(target);
  }

  return {
    of: (target, now) => breakers.of(target, now),
    take,
    takeAlone(target, id, now) {
      const taken = take(target, now);
      if (typeof taken !== "string") return taken;
      return breakers.claim(target, id, now) ? { target, probe: id } : undefined;
    },
    want(target, id, now) {
      const { state, retryInMs } = breakers.of(target, now);
      if (state !== "half_open" || retryInMs > 0 || wanted.has(target)) return;
      wanted.set(target, { id, at: ++learned });
      send({ kind: "claim", target, id }, now);
    },
    record(pass, verdict, call, now) {
      const { target, probe } = pass;
      if (
        probe === undefined &&
        (verdict === "neutral" || (verdict === "alive" && !breakers.isWatched(target)))
      )
        return false;
      delete pass.probe;
      const report: CallReport = {
        target,
        verdict,
        ...(probe !== undefined && { probe }),
        ...(call !== undefined && { call }),
      };
      const wasClosed = breakers.of(target, now).state === "closed";
      // A success of a call that a probe has overtaken says nothing.
      if (!wasClosed && probe === undefined) return false;
      const hasOpened = breakers.record(report, now);
      send({ kind: "call", report }, now);
      if (hasOpened) sendOpen(target, now);
      if (hasOpened || probe !== undefined) touch(target);
      return verdict === "failed" || probe !== undefined;
    },
    mark(now) {
      for (const [target, { id, until }] of granted) {
        if (now < until) continue;
        granted.delete(target);
        send({ kind: "call", report: { target, verdict: "neutral", probe: id } }, now);
      }
      return learned;
    },
    receive(circuits, mark, now) {
      for (const open of circuits ?? []) receiveOpen(open, mark, now);
      if (learnedAt.size === 0) return;
      for (const [target, at] of learnedAt) {
        if (at > mark || circuits?.some((open) => open.target === target)) continue;
        breakers.close(target);
        learnedAt.delete(target);
        wanted.delete(target);
        granted.delete(target);
      }
    },
    resend(now) {
      for (const open of breakers.list(now) ?? []) {
        send({ kind: "open", open }, now);
        touch(open.target);
      }
      wanted.clear();
      granted.clear();
    },
  };
}
