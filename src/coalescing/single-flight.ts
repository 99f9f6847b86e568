/**
 * Single-flight: the first request per key leads, followers share its bytes, a leader that fails is replaced once. The rules
 * of one object for all its flights. Knows no platform: timers, ids and the kept answers are passed in.
 */

import { createBoundedMap } from "../runtime/bounded-map.ts";
import { createFlight, type Flight } from "./flight.ts";
import { readProgress } from "./progress.ts";
import type { FlightFault, FlightHead, InflightRpc, JoinRequest, Joined } from "./protocol.ts";

/** A leader calls `lead` right after `join`: one that takes longer has died. */
const LEADER_SHOWS_UP_MS = 5_000;
/** An object has 128 MB; requests beyond that are not coalesced. */
const MAX_BYTES = 48 * 1024 * 1024;

/** What is known of a key from before. */
export type KeptRequest = { readonly fingerprint: string } & (
  | { readonly kind: "answer"; readonly head: FlightHead; readonly text: string }
  /** Begun without a known end, or answered with what is no longer kept. */
  | { readonly kind: "begun" | "dropped" }
);

/** Requests that are remembered for a repeated key. Each method may throw where the store is full. */
export interface AnswerKeeper {
  find(key: string): KeptRequest | undefined;
  /** Noted before the request is made, and durable before its leader learns that it leads. */
  begin(key: string, fingerprint: string): void;
  keep(key: string, fingerprint: string, head: FlightHead, text: string): void;
  /** It was answered, with more than is kept. */
  drop(key: string, fingerprint: string): void;
  /** It has failed, and its leader has said so: the key is free again. */
  free(key: string): void;
}

export interface SingleFlightPorts {
  readonly keeper: AnswerKeeper;
  /** Runs `run` after `ms`; the returned function stops it. */
  readonly startTimer: (ms: number, run: () => void) => () => void;
  readonly newId: () => string;
}

/** Some 100 bytes each. */
const MAX_FAILED = 10_000;

type OwnAsk = Pick<JoinRequest, "requestId" | "failureText">;

interface Waiter {
  readonly ask: JoinRequest;
  readonly answer: (joined: Joined) => void;
}

interface Entry {
  readonly key: string;
  readonly fingerprint: string;
  readonly keeps: boolean;
  flightId: string;
  leaderId: string;
  /** Its client has left; it goes on for the followers. */
  hasLeaderLeft: boolean;
  failures: number;
  waiters: Waiter[];
  /** From the head of a streamed answer on. */
  head?: FlightHead;
  flight?: Flight;
  stopTimer: () => void;
  /** Stops the leader: no client wants its answer any more. */
  stopLeader: () => void;
}

const LOST: FlightFault = {
  code: "upstream_error",
  message: "The request that this one was coalesced with was lost. Retry.",
  concerns: "leader",
};

/** Whether a generation goes on when its leader's client has left: a stream ends by its readers. */
function isWanted({ keeps, waiters, head }: Entry): boolean {
  return keeps || waiters.length > 0 || head !== undefined;
}

export function createSingleFlight({ keeper, startTimer, newId }: SingleFlightPorts): InflightRpc {
  const entries = new Map<string, Entry>();
  /** Followers whose stream has failed, for `hasFailed`. */
  const failed = createBoundedMap<string, boolean>(MAX_FAILED);

  function lead(entry: Entry, ask: JoinRequest): Joined {
    entry.flightId = newId();
    entry.leaderId = ask.requestId;
    entry.hasLeaderLeft = false;
    // One that could not reach this object again may generate all the same.
    const giveUp = (): void => (entry.keeps ? lose(entry) : fail(entry, LOST));
    entry.stopTimer = startTimer(LEADER_SHOWS_UP_MS, giveUp);
    return leadAgain(entry);
  }

  function leadAgain({ flightId, failures }: Entry): Joined {
    return { kind: "lead", flightId, isReplacement: failures > 0 };
  }

  function remove(entry: Entry): void {
    entry.stopTimer();
    if (entries.get(entry.key) === entry) entries.delete(entry.key);
  }

  function answerAll(entry: Entry, answerFor: (ask: JoinRequest) => Joined): void {
    const { waiters } = entry;
    entry.waiters = [];
    for (const { ask, answer } of waiters) answer(answerFor(ask));
  }

  /** The leader has failed: a follower replaces it, or all get its failure. */
  function fail(entry: Entry, fault: FlightFault, leader?: FlightHead["trace"]): void {
    entry.stopTimer();
    const isForAll = fault.concerns === "request" || entry.failures > 0;
    const successor = isForAll ? undefined : entry.waiters.shift();
    if (successor !== undefined) {
      entry.failures++;
      delete entry.flight;
      successor.answer(lead(entry, successor.ask));
      return;
    }
    remove(entry);
    if (entry.keeps) keeper.free(entry.key);
    answerAll(entry, () =>
      fault.concerns === "leader"
        ? { kind: "alone", reason: "leader_refused" }
        : { kind: "failed", fault, ...(leader !== undefined && { leader }) },
    );
  }

  function follow(flightId: string, head: FlightHead, flight: Flight, ask: JoinRequest): Joined {
    if (!flight.isWhole) return { kind: "alone", reason: "too_late" };
    return { kind: "stream", head, flightId, body: followAs(flightId, flight, ask) };
  }

  function followAs(
    flightId: string,
    flight: Flight,
    { requestId, failureText }: OwnAsk,
  ): ReadableStream<Uint8Array> {
    return flight.follow(failureText, () => failed.set(`${flightId} ${requestId}`, true));
  }

  function finish(entry: Entry, head: FlightHead, flight: Flight): void {
    remove(entry);
    const text = flight.text();
    // Every follower of a stream has its beginning by now.
    answerAll(entry, () =>
      text === undefined ? { kind: "alone", reason: "too_much" } : { kind: "whole", head, text },
    );
    if (!entry.keeps) return;
    try {
      if (text === undefined) keeper.drop(entry.key, entry.fingerprint);
      else keeper.keep(entry.key, entry.fingerprint, head, text);
    } catch {
      // A full object keeps no answer; those who waited have theirs, and that it was begun is still known.
    }
  }

  /** The leader is gone in the middle: what it has bought is not bought again without the client's knowledge. */
  function lose(entry: Entry): void {
    remove(entry);
    answerAll(entry, () => ({ kind: "unanswered", why: "begun" }));
  }

  async function watch(entry: Entry, flight: Flight, progress: ReadableStream<Uint8Array>): Promise<void> {
    const reader = progress.getReader();
    entry.stopLeader = () => void reader.cancel().catch(() => {});
    const { flightId } = entry;
    const end = await readProgress(reader, flight, (head) => {
      if (entry.flightId !== flightId || head.form !== "sse") return;
      entry.head = head;
      answerAll(entry, (ask) => follow(flightId, head, flight, ask));
    });
    if (entry.flightId !== flightId) return;
    if (end.kind === "complete") return finish(entry, end.head, flight);
    if (end.kind === "fault") return fail(entry, end.fault, end.leader);
    if (entry.keeps && end.isLost) return lose(entry);
    // Once clients have its beginning, a stream can't be generated again.
    if (entry.head === undefined) return fail(entry, LOST);
    remove(entry);
    if (entry.keeps) keeper.free(entry.key);
  }

  function canBegin(key: string, fingerprint: string): boolean {
    try {
      keeper.begin(key, fingerprint);
      return true;
    } catch {
      return false;
    }
  }

  function bytesHeld(): number {
    let sum = 0;
    for (const { flight } of entries.values()) sum += flight?.bytes ?? 0;
    return sum;
  }

  return {
    async join(ask) {
      const kept = ask.keeps ? keeper.find(ask.key) : undefined;
      if (kept !== undefined) {
        if (kept.fingerprint !== ask.fingerprint) return { kind: "conflict" };
        if (kept.kind === "answer") return { kind: "replay", head: kept.head, text: kept.text };
      }
      const known = entries.get(ask.key);
      if (known === undefined) {
        // Its flight ended with an earlier life of this object, or with its leader.
        if (kept !== undefined) return { kind: "unanswered", why: kept.kind };
        if (bytesHeld() > MAX_BYTES) return { kind: "alone", reason: "too_much" };
        const { key, fingerprint, keeps } = ask;
        if (keeps && !canBegin(key, fingerprint)) return { kind: "alone", reason: "too_much" };
        const nothing = (): void => {};
        const entry: Entry = {
          key,
          fingerprint,
          keeps,
          flightId: "",
          leaderId: "",
          hasLeaderLeft: false,
          failures: 0,
          waiters: [],
          stopTimer: nothing,
          stopLeader: nothing,
        };
        entries.set(key, entry);
        return lead(entry, ask);
      }
      if (known.fingerprint !== ask.fingerprint) return { kind: "conflict" };
      // The runtime may repeat a call: the leader's own `join` gets the same answer, and does not wait for itself.
      if (known.leaderId === ask.requestId && known.flight === undefined) return leadAgain(known);
      const { head, flight } = known;
      if (head !== undefined && flight !== undefined) return follow(known.flightId, head, flight, ask);
      const { promise, resolve } = Promise.withResolvers<Joined>();
      known.waiters.push({ ask, answer: resolve });
      return promise;
    },

    async lead(key, flightId, progress, own) {
      const entry = entries.get(key);
      if (entry === undefined || entry.flightId !== flightId || entry.flight !== undefined) return null;
      entry.stopTimer();
      const flight = createFlight(() => {
        if (!entry.keeps && entry.waiters.length === 0) entry.stopLeader();
      });
      entry.flight = flight;
      const body = own === undefined ? null : followAs(flightId, flight, own);
      const watching = watch(entry, flight, progress);
      // A leader without a stream of its own must not end its request before all was read.
      if (body === null) await watching;
      return body;
    },

    async leave(key, requestId) {
      const entry = entries.get(key);
      if (entry === undefined) return false;
      if (entry.leaderId !== requestId) {
        entry.waiters = entry.waiters.filter(({ ask }) => ask.requestId !== requestId);
        if (!entry.hasLeaderLeft || isWanted(entry)) return true;
        remove(entry);
        entry.stopLeader();
        return false;
      }
      entry.hasLeaderLeft = true;
      if (isWanted(entry)) return true;
      remove(entry);
      return false;
    },

    async hasFailed(_key, flightId, requestId) {
      return failed.get(`${flightId} ${requestId}`) ?? false;
    },
  };
}
