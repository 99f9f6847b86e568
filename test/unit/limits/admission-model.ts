// A simple reference for the queue's rules: it keeps its own books of who waits, who holds a slot and who went when, from
// what the real one answers, and checks queue.md's invariants 1-5, 7 and 8 after every step. Used by admission-model.test.ts.
import { expect } from "vitest";
import { createAdmission, type Admission } from "../../../src/limits/admission.ts";
import type { Checkpoint } from "../../../src/limits/checkpoint.ts";
import {
  LEASE_TTL_MS,
  type AdmissionAnswer,
  type AdmissionAsk,
  type Admitted,
  type Lane,
  type Limits,
  type Settlement,
} from "../../../src/limits/protocol.ts";
import { askOf, START_AT } from "./ask-builder.ts";

export interface World {
  readonly limits: Limits;
  /** Of the key "small"; the other keys have none. */
  readonly keyLimits: Limits;
}

export type Step =
  | {
      readonly do: "admit";
      readonly key: string;
      readonly lane: Lane;
      readonly maxWaitMs: number;
      readonly tokens: number;
    }
  | { readonly do: "repeat" | "settle" | "ride" | "cancel" | "renew"; readonly which: number }
  /** A cancel that overtakes its admit. */
  | { readonly do: "overtake" }
  /** Time goes by, and the timer fires when it should; or it leaps, and everything is late. */
  | { readonly do: "pass" | "leap"; readonly ms: number }
  | { readonly do: "restart" };

interface Known {
  readonly ask: AdmissionAsk;
  readonly deadlineAt: number;
  readonly seq: number;
  phase: "waiting" | "holding" | "over";
  lease: Admitted["lease"] | undefined;
  goAt: number;
  expiresAt: number;
  /** Cancelled: it counts as never having gone. */
  isUndone: boolean;
  /** Admitted after the last checkpoint and before a crash: what invariant 7 allows on top. */
  isForgotten: boolean;
}

/** Float noise of rates such as 70 a minute. */
const EPSILON = 0.01;
const SAVE_EVERY_MS = 1000;

export function createModel({ limits, keyLimits }: World) {
  let now = START_AT;
  let admission: Admission = createAdmission(now);
  let saved: Checkpoint | undefined;
  let savedAt = now;
  let hasCrashed = false;
  const all: Known[] = [];
  const byId = new Map<string, Known>();

  function take(step: Step): void {
    switch (step.do) {
      case "admit":
        return admit(step);
      case "repeat":
        return repeat(step.which);
      case "overtake":
        return overtake();
      case "settle":
        return settle(step.which);
      case "ride":
        return admit({ do: "admit", key: "a", lane: "interactive", maxWaitMs: 0, tokens: 1 }, [
          ...settlementsOf(step.which),
        ]);
      case "cancel":
        return cancel(step.which);
      case "renew":
        return renew(step.which);
      case "pass":
        return pass(step.ms);
      case "leap":
        now += step.ms;
        admission.expire(now);
        return check();
      case "restart":
        return restart();
    }
  }

  function admit(step: Extract<Step, { do: "admit" }>, settles: readonly Settlement[] = []): void {
    const ask = askOf(`r${all.length}`, {
      limits,
      keyId: step.key,
      lane: step.lane,
      maxWaitMs: step.maxWaitMs,
      tokens: step.tokens,
      settles,
      ...(step.key === "small" ? { keyLimits } : {}),
    });
    for (const { requestId } of settles) endOf(requestId);
    send(ask);
  }

  function send(ask: AdmissionAsk): void {
    admission.expire(now);
    collect();
    const before = admission.snapshot(now).limits;
    const known: Known = {
      ask,
      deadlineAt: now + ask.maxWaitMs,
      seq: all.length,
      phase: "waiting",
      lease: undefined,
      goAt: 0,
      expiresAt: 0,
      isUndone: false,
      isForgotten: false,
    };
    all.push(known);
    byId.set(ask.requestId, known);
    const answer = admission.admit(ask, now);
    // What rides along may let others in first: they are answered in the same step, before the newcomer.
    if (answer !== undefined && ask.settles.length > 0) collect();
    if (answer !== undefined) onAnswer(ask.requestId, answer);
    // Invariant 8: a refusal has consumed nothing.
    if (answer?.kind === "refused" && ask.settles.length === 0)
      expect(admission.snapshot(now).limits).toEqual(before);
    check();
  }

  function repeat(which: number): void {
    const known = pick(which);
    if (known === undefined) return;
    const ask = { ...known.ask, settles: [] };
    admission.expire(now);
    check();
    // One that was refused, or whose call ended with the object, may ask again: a new request under the old id.
    // After a crash its lease may be back, or be forgotten: then the reference can't tell which answer is right.
    const hadLease = all.some(
      ({ ask: { requestId }, lease }) => lease !== undefined && requestId === ask.requestId,
    );
    if (hasCrashed && hadLease) return;
    if (known.phase === "over") return send(ask);
    const answer = admission.admit(ask, now);
    if (known.phase === "waiting") expect(answer).toBeUndefined();
    else expect(answer).toMatchObject({ kind: "admitted", lease: { id: known.lease?.id } });
    check();
  }

  function overtake(): void {
    const id = `r${all.length}-overtaken`;
    admission.cancel(id, now);
    expect(admission.admit(askOf(id, { limits }), now)?.kind).toBe("cancelled");
    check();
  }

  function settlementsOf(which: number): Settlement[] {
    const known = pick(which);
    if (known?.lease === undefined) return [];
    const { requestId, estimate } = known.ask;
    return [{ requestId, leaseId: known.lease.id, outcome: "ok", costMicroUsd: 0, ...estimate }];
  }

  function settle(which: number): void {
    const settlements = settlementsOf(which);
    for (const { requestId } of settlements) endOf(requestId);
    admission.settle(settlements, now);
    check();
  }

  /** A sleeper that settles has never gone. */
  function endOf(requestId: string): void {
    const known = byId.get(requestId);
    if (known?.phase !== "holding" || known.expiresAt <= now) return;
    known.phase = "over";
    known.isUndone = known.goAt > now;
  }

  function cancel(which: number): void {
    const known = pick(which);
    if (known === undefined) return;
    admission.expire(now);
    collect();
    if (known.phase === "holding") {
      known.phase = "over";
      known.isUndone = true;
    }
    admission.cancel(known.ask.requestId, now);
    check();
  }

  function renew(which: number): void {
    const known = pick(which);
    if (known?.lease === undefined) return;
    expireOverdue();
    const { lost } = admission.renew([known.lease.id], now);
    // Invariant 3: a live lease is never taken, and one that ran out never comes back.
    if (!hasCrashed) expect(lost.length === 0).toBe(known.phase === "holding");
    if (known.phase === "holding" && lost.length === 0)
      known.expiresAt = Math.max(now, known.goAt) + LEASE_TTL_MS;
    if (known.phase === "holding" && lost.length > 0) {
      expect(known.isForgotten).toBe(true);
      known.phase = "over";
    }
    check();
  }

  function pass(ms: number): void {
    const until = now + ms;
    for (;;) {
      const at = Math.min(until, admission.nextWakeAt(), saveAt());
      now = Math.max(now, at);
      admission.expire(now);
      save();
      check();
      if (now >= until) return;
    }
  }

  function saveAt(): number {
    return Math.max(now, savedAt + Math.max(SAVE_EVERY_MS, admission.staleAfterMs()));
  }

  function save(): void {
    if (now - savedAt < admission.staleAfterMs()) return;
    saved = structuredClone(admission.checkpoint(now));
    savedAt = now;
  }

  /** The object dies between two steps and comes back with its last checkpoint; open calls fail. */
  function restart(): void {
    hasCrashed = true;
    collect();
    expireOverdue();
    admission = createAdmission(now, structuredClone(saved));
    admission.setLimits(1, limits, now);
    const kept = new Set(saved?.leases.map(([token]) => token));
    for (const known of all) {
      if (known.phase === "waiting") known.phase = "over";
      if (known.lease !== undefined && !kept.has(known.lease.token)) known.isForgotten = true;
      const lease = saved?.leases.find(([token]) => token === known.lease?.token);
      // A renewal that was not saved is lost with the object.
      if (lease !== undefined && known.phase === "holding")
        known.expiresAt = Math.min(known.expiresAt, lease[3]);
    }
    check();
  }

  function collect(): void {
    for (const { requestId, answer } of admission.takeWakeUps()) onAnswer(requestId, answer);
  }

  function onAnswer(requestId: string, answer: AdmissionAnswer): void {
    const known = byId.get(requestId);
    if (known === undefined) throw new Error(`an answer for ${requestId}, which never asked`);
    // Invariant 2: exactly one answer.
    expect(known.phase).toBe("waiting");
    if (answer.kind !== "admitted") {
      known.phase = "over";
      return;
    }
    const { keyId, lane } = known.ask;
    // Invariant 4: first come, first served within a key and lane.
    for (const other of all)
      if (other.phase === "waiting" && other.ask.keyId === keyId && other.ask.lane === lane)
        expect(other.seq).toBeGreaterThanOrEqual(known.seq);
    known.phase = "holding";
    known.lease = answer.lease;
    known.goAt = now + answer.goInMs;
    known.expiresAt = known.goAt + LEASE_TTL_MS;
    // Invariant 5: nobody goes after his deadline.
    expect(known.goAt).toBeLessThanOrEqual(known.deadlineAt);
    expect(answer.wait.waitMs).toBe(known.goAt - (known.deadlineAt - known.ask.maxWaitMs));
  }

  function expireOverdue(): void {
    admission.expire(now);
    for (const known of all) if (known.phase === "holding" && known.expiresAt <= now) known.phase = "over";
    collect();
  }

  /** The invariants that hold between any two steps. */
  function check(): void {
    for (const known of all) if (known.phase === "holding" && known.expiresAt <= now) known.phase = "over";
    collect();
    const holding = all.filter(({ phase, isForgotten }) => phase === "holding" && !isForgotten);
    const snapshot = admission.snapshot(now);
    expect(admission.takeWakeUps()).toEqual([]);

    if (limits.concurrency !== undefined) expect(holding.length).toBeLessThanOrEqual(limits.concurrency);
    if (keyLimits.concurrency !== undefined)
      expect(holding.filter(isOfSmallKey).length).toBeLessThanOrEqual(keyLimits.concurrency);
    const sleeping = holding.filter(({ goAt }) => goAt > now).length;
    const waiting = all.filter(({ phase }) => phase === "waiting");
    expect(waiting.length + sleeping).toBeLessThanOrEqual(limits.maxDepth);
    for (const { deadlineAt } of waiting) expect(deadlineAt).toBeGreaterThan(now);
    if (!hasCrashed) {
      expect(snapshot.leases).toBe(holding.length - sleeping);
      expect(snapshot.depth).toBe(waiting.length + sleeping);
    }
    if (waiting.some((known) => !isOfSmallKey(known))) expectNothingFree(snapshot);
    if (waiting.length > 0) expect(admission.nextWakeAt()).toBeGreaterThan(now);
    else expect(admission.nextWakeAt()).toBe(Infinity);
  }

  /** Nobody waits for what is there. */
  function expectNothingFree({ limits: windows }: ReturnType<Admission["snapshot"]>): void {
    if (limits.tokensPerMinute !== undefined) return;
    const hasSlot = (windows["concurrency"]?.remaining ?? 1) > 0;
    const hasRate = (windows["requestsPerMinute"]?.remaining ?? 1) > 0;
    expect(hasSlot && hasRate).toBe(false);
  }

  /** At the end of all deadlines and lease times nothing is left, and no window ever had too many. */
  function finish(): void {
    pass(LEASE_TTL_MS * 2);
    expect(all.filter(({ phase }) => phase !== "over")).toEqual([]);
    expect(admission.snapshot(now)).toMatchObject({ depth: 0, leases: 0, waiting: [], holding: [] });
    const gone = all.filter((known) => known.lease !== undefined && !known.isUndone && !known.isForgotten);
    checkWindows(gone, limits);
    checkWindows(gone.filter(isOfSmallKey), keyLimits);
  }

  function pick(which: number): Known | undefined {
    const known = all[all.length - 1 - (which % Math.max(1, all.length))];
    return known && byId.get(known.ask.requestId);
  }

  return { take, finish };
}

function isOfSmallKey({ ask }: Known): boolean {
  return ask.keyId === "small";
}

/** Invariant 1: in any window no more than rate × window + burst (and of tokens one request's debt). */
function checkWindows(gone: readonly Known[], limits: Limits): void {
  const inOrder = gone.toSorted((one, other) => one.goAt - other.goAt);
  const { requestsPerMinute: rpm, tokensPerMinute: tpm } = limits;
  const burst = limits.burst ?? Math.ceil((rpm ?? 0) / 6);
  for (const [from, first] of inOrder.entries()) {
    let tokens = 0;
    let debt = 0;
    for (let to = from; to < inOrder.length; to += 1) {
      const last = inOrder[to] ?? first;
      const minutes = (last.goAt - first.goAt) / 60_000;
      tokens += last.ask.estimate.inputTokens;
      if (rpm !== undefined) expect(to - from + 1).toBeLessThanOrEqual(burst + rpm * minutes + EPSILON);
      debt = Math.max(debt, last.ask.estimate.inputTokens - Math.ceil((tpm ?? 0) / 6));
      if (tpm !== undefined)
        expect(tokens).toBeLessThanOrEqual(Math.ceil(tpm / 6) + debt + tpm * minutes + EPSILON);
    }
  }
}
