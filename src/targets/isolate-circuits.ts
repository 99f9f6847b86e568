/**
 * Whether a target's failures allow a call: an isolate's part in the circuits that the tenant's object keeps for all
 * isolates. It holds what it has received from the object, what it has seen itself and not sent yet, and the probes it was
 * given. Where the object can't be called, the isolate decides alone. Plain data of one tenant.
 */

import {
  type CallReport,
  circuitName,
  createCircuitBreakers,
  type CircuitUpdate,
  isFailure,
  type Verdict,
} from "./circuit.ts";
import type { CallRef, CircuitId, CircuitStatus, OpenCircuit } from "./circuit-entry.ts";

/** A probe that no request of this isolate has used by then goes back: another isolate may have one. */
const GRANT_MS = 5000;

/** A call that was let through. */
export interface CallPass {
  readonly target: string;
  readonly keyId: string;
  /** It is the probe of a half-open circuit, until its first verdict is in. */
  probe?: string;
}

/** What a request of the pipeline may do. */
export interface TargetCircuits {
  /** The circuit that a call of that key meets. */
  of(target: string, keyId: string, now: number): CircuitStatus;
  /** All that this isolate knows of, for display. */
  all(now: number): readonly (CircuitStatus & { readonly target: string })[];
  /**
   * Lets a call through, or not. Answers from memory but for a circuit whose pause is over: the tenant's object lets one
   * caller of all isolates probe it. Never throws.
   */
  take(target: string, keyId: string, requestId: string): Promise<CallPass | undefined>;
  /** What came of a call that was let through; its first verdict decides a probe. */
  record(pass: CallPass, verdict: Verdict, call?: CallRef): void;
}

type Taken = CallPass | "refused" | "ask";

/** A probe that the object gave to this isolate. */
interface Grant {
  readonly circuit: CircuitId;
  readonly id: string;
  readonly until: number;
}

/** What an isolate keeps between its requests. */
export interface IsolateCircuits extends Pick<TargetCircuits, "of" | "all"> {
  /** From memory; `ask` where a probe has to be claimed at the object. */
  take(target: string, keyId: string, now: number): Taken;
  /** The rule while the object can't be called: one probe a pause in this isolate. */
  takeAlone(target: string, keyId: string, id: string, now: number): CallPass | undefined;
  /** Claims the probe with the next call to the object, where the pause is over and no other request has it. */
  want(target: string, keyId: string, id: string, now: number): void;
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
  readonly send: () => Promise<unknown>;
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
    all: circuits.all,
    async take(target, keyId, requestId) {
      const taken = circuits.take(target, keyId, now());
      if (taken !== "ask") return taken === "refused" ? undefined : taken;
      if (!isReachable()) return circuits.takeAlone(target, keyId, requestId, now());
      circuits.want(target, keyId, requestId, now());
      try {
        await send();
      } catch {
        return circuits.takeAlone(target, keyId, requestId, now());
      }
      const answered = circuits.take(target, keyId, now());
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
  /** When something was last learned of a circuit that is, or was, not closed; by its name, as the maps below. */
  const learnedAt = new Map<string, { readonly circuit: CircuitId; readonly at: number }>();
  const wanted = new Map<string, { readonly id: string; readonly at: number }>();
  const granted = new Map<string, Grant>();

  function touch({ target, keyId }: CircuitId): void {
    learned += 1;
    learnedAt.set(circuitName({ target, keyId }), { circuit: { target, keyId }, at: learned });
  }

  function take(target: string, keyId: string, now: number): Taken {
    const status = breakers.of(target, keyId, now);
    if (status.state === "closed") return { target, keyId };
    const name = circuitName({ target, keyId: status.keyId });
    const grant = granted.get(name);
    if (grant !== undefined && now < grant.until) {
      granted.delete(name);
      return { target, keyId, probe: grant.id };
    }
    return status.retryInMs > 0 ? "refused" : "ask";
  }

  function receiveOpen(open: OpenCircuit, mark: number, now: number): void {
    const { probe } = open;
    const name = circuitName(open);
    const want = wanted.get(name);
    if (want !== undefined && probe?.id === want.id) {
      granted.set(name, { circuit: open, id: want.id, until: now + GRANT_MS });
      wanted.delete(name);
    } else if (want !== undefined && want.at <= mark) wanted.delete(name);
    if ((learnedAt.get(name)?.at ?? 0) > mark) return;
    breakers.put(open, now);
    touch(open);
  }

  return {
    of: breakers.of,
    all: breakers.all,
    take,
    takeAlone(target, keyId, id, now) {
      const taken = take(target, keyId, now);
      if (typeof taken !== "string") return taken;
      return breakers.claim(target, keyId, id, now) ? { target, keyId, probe: id } : undefined;
    },
    want(target, keyId, id, now) {
      const status = breakers.of(target, keyId, now);
      if (status.state !== "half_open" || status.retryInMs > 0) return;
      const name = circuitName({ target, keyId: status.keyId });
      if (wanted.has(name)) return;
      wanted.set(name, { id, at: ++learned });
      send({ kind: "claim", target, keyId, id }, now);
    },
    record(pass, verdict, call, now) {
      const { target, keyId, probe } = pass;
      if (
        probe === undefined &&
        (verdict === "neutral" || (verdict === "alive" && !breakers.isWatched(target, keyId)))
      )
        return false;
      delete pass.probe;
      const report: CallReport = {
        target,
        keyId,
        verdict,
        ...(probe !== undefined && { probe }),
        ...(call !== undefined && { call }),
      };
      const before = breakers.of(target, keyId, now);
      // A success of a call that a probe has overtaken says nothing.
      if (before.state !== "closed" && probe === undefined) return false;
      const opened = breakers.record(report, now);
      send({ kind: "call", report }, now);
      if (opened !== undefined) send({ kind: "open", open: opened }, now);
      if (opened !== undefined) touch(opened);
      else if (probe !== undefined) touch({ target, keyId: before.keyId });
      return isFailure(verdict) || probe !== undefined;
    },
    mark(now) {
      for (const [name, { circuit, id, until }] of granted) {
        if (now < until) continue;
        granted.delete(name);
        const { target, keyId } = circuit;
        const report = {
          target,
          ...(keyId !== undefined && { keyId }),
          verdict: "neutral",
          probe: id,
        } as const;
        send({ kind: "call", report }, now);
      }
      return learned;
    },
    receive(circuits, mark, now) {
      for (const open of circuits ?? []) receiveOpen(open, mark, now);
      if (learnedAt.size === 0) return;
      const listed = new Set(circuits?.map(circuitName));
      for (const [name, { circuit, at }] of learnedAt) {
        if (at > mark || listed.has(name)) continue;
        breakers.close(circuit);
        learnedAt.delete(name);
        wanted.delete(name);
        granted.delete(name);
      }
    },
    resend(now) {
      for (const open of breakers.list(now) ?? []) {
        send({ kind: "open", open }, now);
        touch(open);
      }
      wanted.clear();
      granted.clear();
    },
  };
}
