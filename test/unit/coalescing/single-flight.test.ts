// Single-flight's rules without a platform: what a repeated call, a client's leaving and a full store come to. How bytes
// reach the followers is test/worker/caching/inflight.test.ts.
import { expect, test } from "vitest";
import { encodeLine } from "../../../src/coalescing/progress.ts";
import { COMPLETE, type FlightHead, type JoinRequest } from "../../../src/coalescing/protocol.ts";
import { type AnswerKeeper, createSingleFlight } from "../../../src/coalescing/single-flight.ts";

const HEAD: FlightHead = {
  contentType: "application/json",
  form: "json",
  trace: { traceId: "t", spanId: "s" },
};
const nothing = (): void => {};
const KEEPS_NOTHING: AnswerKeeper = {
  find: () => undefined,
  begin: nothing,
  keep: nothing,
  drop: nothing,
  free: nothing,
};

const askFor = (requestId: string, keeps = false): JoinRequest => ({
  key: "k",
  fingerprint: "f",
  requestId,
  keeps,
  failureText: "broke",
});

function open(keeper: AnswerKeeper = KEEPS_NOTHING) {
  let ids = 0;
  const flights = createSingleFlight({ keeper, startTimer: () => () => {}, newId: () => `flight-${++ids}` });
  /** The leader's bytes, and whether it was stopped. */
  function startLeader(flightId: string) {
    let isStopped = false;
    const { promise: started, resolve: start } = Promise.withResolvers<ReadableStreamDefaultController>();
    const progress = new ReadableStream<Uint8Array>({
      start,
      cancel() {
        isStopped = true;
      },
    });
    const leading = flights.lead("k", flightId, progress);
    const say = async (bytes: Uint8Array): Promise<void> => {
      (await started).enqueue(bytes);
    };
    return { leading, say, isStopped: () => isStopped };
  }
  return { flights, startLeader };
}

test("a repeated join of the leader gets the same answer and does not wait for itself", async () => {
  const { flights } = open();
  const first = await flights.join(askFor("leader"));
  expect(first).toMatchObject({ kind: "lead", isReplacement: false });
  expect(await flights.join(askFor("leader"))).toEqual(first);
});

test("a leader is stopped when its client and all followers have left", async () => {
  const { flights, startLeader } = open();
  await flights.join(askFor("leader"));
  const leader = startLeader("flight-1");
  await leader.say(encodeLine({ head: HEAD }));
  void flights.join(askFor("one"));
  void flights.join(askFor("two"));
  expect(await flights.leave("k", "leader")).toBe(true);
  expect(await flights.leave("k", "one")).toBe(true);
  expect(leader.isStopped()).toBe(false);
  expect(await flights.leave("k", "two")).toBe(false);
  await leader.leading;
  expect(leader.isStopped()).toBe(true);
  expect(await flights.join(askFor("next"))).toMatchObject({ kind: "lead", flightId: "flight-2" });
});

test("a leader with an idempotency key goes on without any client", async () => {
  const { flights, startLeader } = open();
  await flights.join(askFor("leader", true));
  const leader = startLeader("flight-1");
  void flights.join(askFor("one", true));
  expect(await flights.leave("k", "leader")).toBe(true);
  expect(await flights.leave("k", "one")).toBe(true);
  expect(leader.isStopped()).toBe(false);
});

test("a store that is full keeps no answer, and those who wait get theirs", async () => {
  const { flights, startLeader } = open({
    ...KEEPS_NOTHING,
    keep() {
      throw new Error("database or disk is full");
    },
  });
  await flights.join(askFor("leader", true));
  const leader = startLeader("flight-1");
  const waiting = flights.join(askFor("one", true));
  await leader.say(encodeLine({ head: HEAD }));
  await leader.say(new TextEncoder().encode("{}"));
  await leader.say(new Uint8Array([COMPLETE]));
  expect(await waiting).toEqual({ kind: "whole", head: HEAD, text: "{}" });
  await leader.leading;
});
