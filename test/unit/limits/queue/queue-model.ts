// A simple reference for the queue's rules: it keeps its own books of who waits, who holds a slot and who went when, from
// what the real one answers, and checks the eight invariants of src/docs/queue.md after every step. Used by queue-model.test.ts.
import { expect } from "vitest";
import { createQueueMachine, type QueueMachine } from "../../../../src/limits/queue/queue-machine.ts";
import type { Checkpoint } from "../../../../src/limits/queue/checkpoint.ts";
import {
  LEASE_RENEW_MS,
  LEASE_TTL_MS,
  UNSTARTED_TTL_MS,
  type AdmissionReply,
  type AdmissionRequest,
  type Settlement,
} from "../../../../src/limits/protocol.ts";
import { leaseIdOf } from "../../../../src/limits/leases/lease-table.ts";
import {
  bookingOf,
  checkWindows,
  EPSILON,
  expectLedger,
  expectNothingFree,
  isOfSmallKey,
  type Known,
  newKnown,
  type Step,
  type World,
  undoneBookings,
} from "./queue-steps.ts";
import { askOf, START_AT } from "../../../support/builders/admission.ts";

const SAVE_EVERY_MS = 1000;
/** A renewal that is not saved lengthens a lease by no more: two more renewals fit into the saved life. */
const MAX_UNSAVED_LIFE_MS = LEASE_TTL_MS - 2 * LEASE_RENEW_MS - 5000;
/** What may be saved later than this is not planned: src/limits/object/save-schedule.ts. The object may sleep before it. */
const MAX_SAVE_DELAY_MS = 10_000;
/** How long an isolate remembers what it has told: isolate-outbox.ts. */
const TOLD_MS = 15_000;
const NO_NEWS = { starts: [], unused: [], cooldowns: [] };

export function createModel({ limits, keyLimits }: World) {
  let now = START_AT;
  let admission: QueueMachine = createQueueMachine(now);
  admission.setLimits(1, limits, now);
  let saved: Checkpoint | undefined;
  let savedAt = now;
  let hasCrashed = false;
  let hasSlept = false;
  const told: { readonly settlement: Settlement; readonly at: number }[] = [];
  /** All money of first settlements; of it what only the queue before a crash could know to be due. */
  let spent = 0;
  let uncertain = 0;
  /** Of settlements after their lease ran out, since the last checkpoint: a crash forgets that they are due. */
  let lateUnsaved = 0;
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
      case "start":
        return start(step.which);
      case "give back":
        return giveBack(step.which);
      case "settle":
        return settle(settlementsOf(step));
      case "ride": {
        const asked = {
          key: "a",
          lane: "interactive",
          maxWaitMs: 0,
          tokens: 1,
          cost: 0,
          prefetchCount: 0,
        } as const;
        return admit({ do: "admit", ...asked }, settlementsOf(step));
      }
      case "cancel":
        return cancel(step.which);
      case "renew":
        return renew(step.which);
      case "pass":
        return pass(step.ms);
      case "leap":
        now += step.ms;
        admission.expire(now);
        save();
        return check();
      case "restart":
        return restart();
      case "sleep":
        return sleep(step.ms);
    }
  }

  function admit(step: Extract<Step, { do: "admit" }>, settles: readonly Settlement[] = []): void {
    const ask = askOf(`r${all.length}`, {
      limits,
      keyId: step.key,
      lane: step.lane,
      maxWaitMs: step.maxWaitMs,
      estimate: { inputTokens: step.tokens, outputTokens: 0, costMicroUsd: step.cost },
      prefetchCount: step.prefetchCount,
      settles,
      ...(step.key === "small" && { keyLimits }),
    });
    for (const settlement of settles) endOf(settlement);
    send(ask);
  }

  function note(ask: AdmissionRequest, isBatched: boolean): Known {
    const known = newKnown(ask, { deadlineAt: now + ask.maxWaitMs, seq: all.length, isBatched });
    all.push(known);
    byId.set(ask.requestId, known);
    return known;
  }

  function send(ask: AdmissionRequest): void {
    admission.expire(now);
    collect();
    const before = admission.snapshot(now).limits;
    note(ask, false);
    const answer = admission.admit(ask, now);
    // Settlements that ride along let others in before it.
    collect();
    if (answer !== undefined) onAnswer(ask.requestId, answer);
    // Invariant 8: a refusal has consumed nothing.
    if (answer?.kind === "refused" && ask.settles.length === 0)
      expect(admission.snapshot(now).limits).toEqual(before);
    check();
  }

  function repeat(which: number): void {
    const known = pick(which);
    if (known === undefined || known.isBatched) return;
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

  function settlementsOf({ which, tenths }: { which: number; tenths: number }): Settlement[] {
    const known = pick(which);
    if (known?.lease === undefined) return [];
    // An isolate repeats a settlement as it was; only an object that never slept can tell a false repeat.
    if (hasSlept && known.settlement !== undefined) return [known.settlement];
    const { requestId, keyId, estimate } = known.ask;
    const costMicroUsd = ((estimate.costMicroUsd ?? 0) * tenths) / 10;
    return [{ ...estimate, requestId, keyId, leaseId: known.lease.id, outcome: "ok", costMicroUsd }];
  }

  function settle(settlements: readonly Settlement[]): void {
    for (const settlement of settlements) endOf(settlement);
    admission.settle(settlements, now);
    check();
  }

  function endOf(settlement: Settlement): void {
    told.push({ settlement, at: now });
    const known = byId.get(settlement.requestId);
    if (known === undefined) return;
    const isLive = known.phase === "holding" && known.expiresAt > now;
    // A sleeper that settles has never gone; neither has one that was cancelled or given back.
    if (isLive) known.isUndone = known.goAt > now;
    if (!known.isUndone && known.settlement === undefined) {
      spent += settlement.costMicroUsd - known.booked;
      if (!isLive) lateUnsaved += settlement.costMicroUsd + known.booked;
      if (hasCrashed && (!isLive || known.isForgotten)) uncertain += settlement.costMicroUsd;
      // A queue that slept may have forgotten that a cancelled one owes nothing.
    } else if (hasCrashed || (hasSlept && known.isUndone)) uncertain += settlement.costMicroUsd;
    known.settlement ??= settlement;
    known.booked = 0;
    known.isLapsed = false;
    known.phase = "over";
  }

  function start(which: number): void {
    const known = pick(which);
    if (known?.lease === undefined || !known.isBatched || isPast(known)) return;
    expireOverdue();
    const { requestId, traceId, spanId } = known.ask;
    const starts = [{ leaseId: known.lease.id, requestId, traceId, spanId }];
    admission.settle([], now, { ...NO_NEWS, starts });
    // The start of a lease that nothing is left of is the word of a stranger; its renewal and settlement are not.
    if (known.isLapsed && !known.isStarted && !known.isForgotten) adopted(known);
    if (known.phase === "holding" && !known.isForgotten && !known.isStarted) {
      known.isStarted = true;
      known.expiresAt = now + LEASE_TTL_MS;
    }
    check();
  }

  function giveBack(which: number): void {
    const known = pick(which);
    if (known?.lease === undefined || !known.isBatched || known.settlement !== undefined) return;
    expireOverdue();
    admission.settle([], now, { ...NO_NEWS, unused: [known.lease.id] });
    // The word that a used one is unused is a word too late.
    if (!known.isStarted) undo(known);
    check();
  }

  function cancel(which: number): void {
    const known = pick(which);
    if (known === undefined || (known.isBatched && !known.isStarted)) return;
    expireOverdue();
    const { requestId } = known.ask;
    const latest = byId.get(requestId);
    if (latest?.phase === "holding") {
      undo(latest);
      // Its caller has not heard of the leases that came with it.
      for (const one of all) if (one.cameWith === requestId && !one.isStarted) undo(one);
    } else for (const same of all.filter(({ ask }) => ask.requestId === requestId)) undo(same);
    admission.cancel(requestId, now);
    check();
  }

  /** It has used nothing, also where its lease ran out before that was known. */
  function undo(known: Known): void {
    if (known.phase !== "holding" && !known.isLapsed) return;
    known.phase = "over";
    known.isUndone = true;
    known.isLapsed = false;
    spent -= known.booked;
    known.booked = 0;
  }

  function renew(which: number): void {
    const known = pick(which);
    if (known?.lease === undefined) return;
    expireOverdue();
    if (isPast(known)) return;
    const { lost } = admission.renew([known.lease.id], now, known.ask.lane === "batch");
    // Invariant 3: a live lease is never taken. One that lapsed counts again, a strict one only while its slot is free.
    const hasReturned = known.isLapsed && lost.length === 0;
    if (known.isLapsed && known.ask.lane === "interactive" && !hasCrashed) expect(lost).toEqual([]);
    if (hasReturned) adopted(known);
    if (hasReturned && known.isForgotten && !hasCrashed) {
      known.isForgotten = false;
      known.isCostKnown = false;
      // Only a lease in use is renewed.
      known.isStarted = true;
    }
    if (!hasCrashed) expect(lost.length === 0).toBe(known.phase === "holding");
    if (known.phase === "holding" && lost.length === 0)
      known.expiresAt = Math.max(now, known.goAt) + LEASE_TTL_MS;
    if (known.phase === "holding" && lost.length > 0) {
      expect(known.isForgotten).toBe(true);
      known.phase = "over";
    }
    check();
  }

  /** No holder starts or renews after its end; an object that slept could not tell that the end had come. */
  function isPast({ phase, isLapsed }: Known): boolean {
    return hasSlept && phase === "over" && !isLapsed;
  }

  function adopted(known: Known): void {
    known.phase = "holding";
    known.isLapsed = false;
    known.isAdopted = true;
    spent -= known.booked;
    known.booked = 0;
    known.expiresAt = now + LEASE_TTL_MS;
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
    lateUnsaved = 0;
    saved = structuredClone(admission.checkpoint(now));
    savedAt = now;
  }

  /** The object dies between two steps and comes back with its last checkpoint; open calls fail. */
  function restart(): void {
    hasCrashed = true;
    uncertain += lateUnsaved;
    lateUnsaved = 0;
    collect();
    // No object comes back in less; tokens follow the clock.
    now += 1;
    expireOverdue();
    admission = createQueueMachine(now, structuredClone(saved));
    admission.setLimits(1, limits, now);
    const kept = new Set([...(saved?.leases ?? []), ...(saved?.lapsed ?? [])].map(([token]) => token));
    for (const known of all) {
      known.cameWith = undefined;
      if (known.phase === "waiting") known.phase = "over";
      if (known.lease !== undefined && !kept.has(known.lease.token)) known.isForgotten = true;
      const lease = saved?.leases.find(([token]) => token === known.lease?.token);
      // A renewal that was not saved is lost with the object.
      if (lease !== undefined && known.phase === "holding")
        known.expiresAt = Math.min(known.expiresAt, lease[3]);
      // So is the word of who uses a batch's lease.
      if (lease !== undefined && known.isBatched) known.isStarted = lease[4] !== "";
    }
    uncertain += undoneBookings(all, saved);
    retell();
    check();
  }

  /**
   * An object without timers is put to sleep, with everything it has not saved. Invariant 3 holds over it: each live lease
   * is in the checkpoint, and outlives the next renewals.
   */
  function sleep(ms: number): void {
    pass(0);
    while (admission.staleAfterMs() <= MAX_SAVE_DELAY_MS) pass(Math.max(0, saveAt() - now));
    // Waiting requests keep it awake, and so do sleepers, whose Workers call soon.
    if (admission.snapshot(now).depth > 0) return;
    const kept = new Map(saved?.leases.map((lease) => [lease[0], lease]));
    for (const known of all) {
      known.cameWith = undefined;
      const lease = kept.get(known.lease?.token ?? -1);
      if (known.phase !== "holding") {
        // What a light request has used may be forgotten: that is far below every limit.
        if (known.lease !== undefined && lease === undefined && known.lease.token > (saved?.lastToken ?? 0))
          known.isForgotten = true;
      } else if (!known.isForgotten) {
        expect(lease?.[3]).toBeGreaterThanOrEqual(known.expiresAt - MAX_UNSAVED_LIFE_MS);
        known.expiresAt = lease?.[3] ?? 0;
        if (known.isBatched) known.isStarted = lease?.[4] !== "";
      }
    }
    hasSlept = true;
    uncertain += undoneBookings(all, saved);
    now += ms;
    admission = createQueueMachine(now, structuredClone(saved));
    admission.setLimits(1, limits, now);
    savedAt = now;
    expireOverdue();
    retell();
    check();
  }

  /** Its isolates see that the object was restarted, and resend what they sent lately. */
  function retell(): void {
    const again = told.filter(({ at }) => at > now - TOLD_MS).map(({ settlement }) => settlement);
    // Of one that was cancelled the queue no longer knows that nothing was due.
    for (const { leaseId, costMicroUsd } of again)
      if (all.some(({ lease, isUndone }) => lease?.id === leaseId && isUndone)) uncertain += costMicroUsd;
    admission.settle(again, now);
  }

  function collect(): void {
    for (const { requestId, answer } of admission.takeWakeUps()) onAnswer(requestId, answer);
  }

  function onAnswer(requestId: string, answer: AdmissionReply): void {
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
    expectAffordable(known);
    known.phase = "holding";
    known.lease = answer.lease;
    known.goAt = now + answer.goInMs;
    known.expiresAt = known.goAt + LEASE_TTL_MS;
    for (let n = 0; n < (answer.prefetched?.count ?? 0); n += 1)
      noteBatched(known, (answer.prefetched?.firstToken ?? 0) + n);
    // Invariant 5: no request starts after its deadline.
    expect(known.goAt).toBeLessThanOrEqual(known.deadlineAt);
    expect(answer.wait.waitMs).toBe(known.goAt - (known.deadlineAt - known.ask.maxWaitMs));
  }

  function noteBatched({ ask }: Known, token: number): void {
    const requestId = `batched-${token}`;
    const known = note({ ...ask, requestId, traceId: `t-${token}`, settles: [], prefetchCount: 0 }, true);
    known.cameWith = ask.requestId;
    expectAffordable(known);
    known.phase = "holding";
    known.lease = { id: leaseIdOf(token), token, expiresAt: now + UNSTARTED_TTL_MS };
    known.goAt = now;
    known.expiresAt = now + UNSTARTED_TTL_MS;
  }

  /** No request is admitted that the budget has no room for. */
  function expectAffordable({ ask }: Known): void {
    const { budget } = limits;
    if (budget === undefined || budget.onExceeded === "alert" || hasCrashed) return;
    const estimate = Math.min(budget.microUsd, ask.estimate.costMicroUsd ?? 0);
    expect(spent + reserved() + estimate).toBeLessThanOrEqual(budget.microUsd + EPSILON);
  }

  function reserved(): number {
    const holding = all.filter(({ phase, isCostKnown }) => phase === "holding" && isCostKnown);
    return holding.reduce((sum, { ask }) => sum + (ask.estimate.costMicroUsd ?? 0), 0);
  }

  function expireOverdue(): void {
    admission.expire(now);
    lapseOverdue();
    collect();
  }

  function lapseOverdue(): void {
    for (const known of all) {
      if (known.phase !== "holding" || known.expiresAt > now) continue;
      known.phase = "over";
      known.isLapsed = true;
      known.booked = bookingOf(known);
      spent += known.booked;
    }
  }

  /** The invariants that hold between any two steps. */
  function check(): void {
    lapseOverdue();
    collect();
    const holding = all.filter(({ phase, isForgotten }) => phase === "holding" && !isForgotten);
    const snapshot = admission.snapshot(now);
    expect(admission.takeWakeUps()).toEqual([]);
    const admitted = holding.filter(({ isAdopted }) => !isAdopted);
    if (limits.concurrency !== undefined) expect(admitted.length).toBeLessThanOrEqual(limits.concurrency);
    if (keyLimits.concurrency !== undefined)
      expect(admitted.filter(isOfSmallKey).length).toBeLessThanOrEqual(keyLimits.concurrency);
    const sleeping = holding.filter(({ goAt }) => goAt > now).length;
    const waiting = all.filter(({ phase }) => phase === "waiting");
    expect(waiting.length + sleeping).toBeLessThanOrEqual(limits.maxDepth);
    for (const { deadlineAt } of waiting) expect(deadlineAt).toBeGreaterThan(now);
    if (!hasCrashed) {
      expect(snapshot.leases).toBe(holding.length - sleeping);
      expect(snapshot.depth).toBe(waiting.length + sleeping);
      expect(snapshot.batched).toBe(holding.filter((known) => known.isBatched && !known.isStarted).length);
      expectLedger(limits, snapshot, spent + reserved(), uncertain);
    }
    if (waiting.some((known) => !isOfSmallKey(known))) expectNothingFree(limits, snapshot);
    if (waiting.length > 0) expect(admission.nextWakeAt()).toBeGreaterThan(now);
    else expect(admission.nextWakeAt()).toBe(Infinity);
  }

  /** At the end of all deadlines and lease times nothing is left, and no window ever had too many. */
  function finish(): void {
    pass(LEASE_TTL_MS * 2);
    expect(all.filter(({ phase }) => phase !== "over")).toEqual([]);
    const snapshot = admission.snapshot(now);
    expect(snapshot).toMatchObject({ depth: 0, leases: 0, batched: 0, waiting: [], holding: [] });
    // Invariants 6 and 7: nothing is outstanding, and no settlement was lost with a crash.
    expectLedger(limits, snapshot, spent + reserved(), uncertain);
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
