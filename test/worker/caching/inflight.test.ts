// The object in which equal requests meet, in workerd: who leads, who waits, what each gets, and what is kept.
import { env } from "cloudflare:workers";
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, test, vi } from "vitest";
import { createAnswerKeeper } from "../../../src/coalescing/answer-keeper.ts";
import type { Inflight } from "../../../src/coalescing/inflight.ts";
import { encodeLine, endProgress } from "../../../src/coalescing/progress.ts";
import {
  type FlightFault,
  type FlightHead,
  type InflightRpc,
  type JoinRequest,
  type Joined,
} from "../../../src/coalescing/protocol.ts";

const HEAD: FlightHead = {
  contentType: "text/event-stream",
  form: "sse",
  target: "a/m",
  trace: { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" },
};
const WHOLE: FlightHead = { ...HEAD, contentType: "application/json", form: "json" };
const UPSTREAM_FAULT: FlightFault = { code: "upstream_error", message: "it broke", concerns: "upstream" };

let objects = 0;

function board() {
  objects += 1;
  const stub = env.INFLIGHT.getByName(`inflight-test-${objects}`);
  // The stub has the class's methods; its generated type is too deep to be compared with the port.
  return { stub, rpc: stub as unknown as InflightRpc };
}

let requests = 0;

function askFor(fields: Partial<JoinRequest> = {}): JoinRequest {
  requests += 1;
  return {
    key: "k",
    fingerprint: "f",
    requestId: `r${requests}`,
    keeps: false,
    failureText: "data: broke\n\n",
    ...fields,
  };
}

interface Leader {
  readonly writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly own: ReadableStream<Uint8Array> | null;
  say(text: string): Promise<void>;
  line(line: Parameters<typeof encodeLine>[0]): Promise<void>;
}

/** Calls of one stub arrive in order: when this is answered, the object has taken in all that were made before. */
async function arrived(rpc: InflightRpc): Promise<void> {
  await rpc.leave("unknown", "none");
}

function leadingOf(joined: Joined): string {
  if (joined.kind !== "lead") throw new Error(`it is ${joined.kind}, not the leader`);
  return joined.flightId;
}

async function leadWith(
  rpc: InflightRpc,
  joined: Joined,
  { key = "k", wantsBody = true } = {},
): Promise<Leader> {
  const { readable, writable } = new IdentityTransformStream();
  const me = { requestId: "leader", failureText: "data: broke\n\n" };
  const leading = rpc.lead(key, leadingOf(joined), readable, ...(wantsBody ? [me] : []));
  // Without a stream of its own it is answered when all was read.
  const own = wantsBody ? await leading : null;
  const writer = writable.getWriter();
  const encoder = new TextEncoder();
  return {
    writer,
    own,
    say: (text) => writer.write(encoder.encode(text)),
    line: (line) => writer.write(encodeLine(line)),
  };
}

function bodyOf(joined: Joined): ReadableStream<Uint8Array> {
  if (joined.kind !== "stream") throw new Error(`it is ${joined.kind}, not a stream`);
  return joined.body;
}

function flightOf(joined: Joined): string {
  return joined.kind === "stream" ? joined.flightId : "none";
}

/** All bytes up to the end, and the message of the error it ended with. */
async function readAll(body: ReadableStream<Uint8Array> | null): Promise<{ text: string; error?: string }> {
  if (body === null) throw new Error("no body");
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return { text };
      text += decoder.decode(value, { stream: true });
    }
  } catch (thrown) {
    return { text, error: String(thrown) };
  }
}

async function readSome(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  const { value } = await reader.read();
  return new TextDecoder().decode(value);
}

describe("a stream that several want", () => {
  test("is led by the first and reaches the others live, from its beginning, byte for byte", async () => {
    const { rpc } = board();
    const leader = await leadWith(rpc, await rpc.join(askFor()));
    const early = rpc.join(askFor());
    await arrived(rpc);
    await leader.line({ head: HEAD });
    await leader.say("data: one\n\n");
    const reader = bodyOf(await early).getReader();
    expect(await readSome(reader)).toBe("data: one\n\n");
    const late = await rpc.join(askFor());
    expect(late).toMatchObject({ kind: "stream", head: HEAD });
    // Live: the second piece comes while the leader has not ended.
    await leader.say("data: zwei 🚀\n\n");
    expect(await readSome(reader)).toBe("data: zwei 🚀\n\n");
    await endProgress(leader.writer, true);
    expect(await reader.read()).toMatchObject({ done: true });
    expect(await readAll(bodyOf(late))).toEqual({ text: "data: one\n\ndata: zwei 🚀\n\n" });
    expect(await rpc.hasFailed("k", flightOf(late), "r3")).toBe(false);
    expect(await readAll(leader.own)).toEqual({ text: "data: one\n\ndata: zwei 🚀\n\n" });
  });

  test("that fails ends for each with what its leader said of it, and differs from a good one", async () => {
    const { rpc } = board();
    const leader = await leadWith(rpc, await rpc.join(askFor()));
    await leader.line({ head: HEAD });
    const ask = askFor();
    const joined = await rpc.join(ask);
    const follower = readAll(bodyOf(joined));
    await leader.say("data: one\n\n");
    await leader.say("data: {error}\n\n");
    await endProgress(leader.writer, false);
    expect(await follower).toEqual({ text: "data: one\n\ndata: {error}\n\n" });
    expect(await rpc.hasFailed("k", flightOf(joined), ask.requestId)).toBe(true);
  });

  test("whose leader vanishes in the middle ends with an error event in each follower's own words", async () => {
    const { rpc } = board();
    const leader = await leadWith(rpc, await rpc.join(askFor()));
    await leader.line({ head: HEAD });
    const ask = askFor({ failureText: "event: error\n\n" });
    const joined = await rpc.join(ask);
    const follower = readAll(bodyOf(joined));
    await leader.say("data: o");
    await leader.writer.abort(new Error("gone"));
    expect(await follower).toEqual({ text: "data: o\n\nevent: error\n\n" });
    expect(await rpc.hasFailed("k", flightOf(joined), ask.requestId)).toBe(true);
  });

  test("goes on when its leader's own client leaves, and ends when no client is left", async () => {
    const { rpc } = board();
    const leader = await leadWith(rpc, await rpc.join(askFor()));
    await leader.line({ head: HEAD });
    const follower = bodyOf(await rpc.join(askFor())).getReader();
    await leader.own?.cancel();
    await leader.say("data: one\n\n");
    expect(await readSome(follower)).toBe("data: one\n\n");
    await follower.cancel();
    await expect(
      (async () => {
        for (;;) await leader.say("data: more\n\n");
      })(),
    ).rejects.toThrow(/.*/);
  });

  test("is another one for another key", async () => {
    const { rpc } = board();
    expect((await rpc.join(askFor({ key: "x" }))).kind).toBe("lead");
    expect((await rpc.join(askFor({ key: "y" }))).kind).toBe("lead");
  });
});

describe("a whole answer that several want", () => {
  test("reaches all when it is whole", async () => {
    const { rpc } = board();
    const leader = await leadWith(rpc, await rpc.join(askFor()), { wantsBody: false });
    const others = [rpc.join(askFor()), rpc.join(askFor())];
    await arrived(rpc);
    await leader.line({ head: WHOLE });
    await leader.say('{"text":"Grüezi"}');
    await endProgress(leader.writer, true);
    for (const other of others) {
      expect(await other).toEqual({ kind: "whole", head: WHOLE, text: '{"text":"Grüezi"}' });
    }
    expect((await rpc.join(askFor())).kind).toBe("lead");
  });
});

describe("a leader that fails before its answer begins", () => {
  test("is replaced once by a follower; the second failure is for all", async () => {
    const { rpc } = board();
    const first = await leadWith(rpc, await rpc.join(askFor()));
    const waiting = [rpc.join(askFor()), rpc.join(askFor()), rpc.join(askFor())];
    await arrived(rpc);
    await first.line({ fault: UPSTREAM_FAULT, leader: HEAD.trace });
    const second = await Promise.race(waiting);
    expect(second).toMatchObject({ kind: "lead", isReplacement: true });
    const replacement = await leadWith(rpc, second);
    await replacement.line({ fault: UPSTREAM_FAULT, leader: HEAD.trace });
    const rest = await Promise.all(waiting.slice(1));
    for (const joined of rest) expect(joined).toMatchObject({ kind: "failed", fault: UPSTREAM_FAULT });
  });

  test("by the request's own fault is not replaced: equal requests fail alike", async () => {
    const { rpc } = board();
    const leader = await leadWith(rpc, await rpc.join(askFor()));
    const waiting = [rpc.join(askFor()), rpc.join(askFor())];
    await arrived(rpc);
    const fault: FlightFault = { code: "upstream_rejected", message: "no", status: 422, concerns: "request" };
    await leader.line({ fault, leader: HEAD.trace });
    for (const joined of await Promise.all(waiting)) expect(joined).toMatchObject({ kind: "failed", fault });
  });

  test("by what concerns it alone lets the others go their own ways once its replacement has failed so too", async () => {
    const { rpc } = board();
    const fault: FlightFault = { code: "rate_limited", message: "not you", concerns: "leader" };
    const leader = await leadWith(rpc, await rpc.join(askFor()));
    const waiting = [rpc.join(askFor()), rpc.join(askFor())];
    await arrived(rpc);
    await leader.line({ fault, leader: HEAD.trace });
    const replacement = await leadWith(rpc, (await waiting[0]) ?? { kind: "conflict" });
    await replacement.line({ fault, leader: HEAD.trace });
    expect(await waiting[1]).toEqual({ kind: "alone", reason: "leader_refused" });
  });

  test("by dying is replaced, be it before or after it has shown up", async () => {
    const { rpc } = board();
    const leader = await leadWith(rpc, await rpc.join(askFor()));
    const waiting = rpc.join(askFor());
    await arrived(rpc);
    await leader.writer.abort(new Error("died"));
    expect(await waiting).toMatchObject({ kind: "lead", isReplacement: true });
  });

  test("by its client's leaving goes on for those that wait, and ends where none does", async () => {
    const { rpc } = board();
    const ask = askFor();
    await leadWith(rpc, await rpc.join(ask));
    const waiting = rpc.join(askFor());
    await arrived(rpc);
    expect(await rpc.leave("k", ask.requestId)).toBe(true);
    void waiting;
    const alone = askFor({ key: "z" });
    await rpc.join(alone);
    expect(await rpc.leave("z", alone.requestId)).toBe(false);
    expect((await rpc.join(askFor({ key: "z" }))).kind).toBe("lead");
  });
});

describe("an idempotency key", () => {
  const keeps = { keeps: true } as const;

  async function answered(rpc: InflightRpc, isComplete = true): Promise<void> {
    const leader = await leadWith(rpc, await rpc.join(askFor(keeps)));
    const own = readAll(leader.own);
    await leader.line({ head: HEAD });
    await leader.say("data: one\n\n");
    await endProgress(leader.writer, isComplete);
    await own;
  }

  test("gives the finished answer again, from storage too", async () => {
    const { rpc, stub } = board();
    await answered(rpc);
    const replayed = { kind: "replay", head: HEAD, text: "data: one\n\n" };
    expect(await rpc.join(askFor(keeps))).toEqual(replayed);
    await evictDurableObject(stub);
    expect(await rpc.join(askFor(keeps))).toEqual(replayed);
  });

  test("joins the generation that runs, and refuses another body, running or finished", async () => {
    const { rpc } = board();
    const leader = await leadWith(rpc, await rpc.join(askFor(keeps)));
    const own = readAll(leader.own);
    expect(await rpc.join(askFor({ ...keeps, fingerprint: "other" }))).toEqual({ kind: "conflict" });
    const attached = rpc.join(askFor(keeps));
    await arrived(rpc);
    await leader.line({ head: HEAD });
    expect((await attached).kind).toBe("stream");
    void readAll(bodyOf(await attached));
    await endProgress(leader.writer, true);
    await own;
    expect(await rpc.join(askFor({ ...keeps, fingerprint: "other" }))).toEqual({ kind: "conflict" });
  });

  test("is free again after an answer that was not complete, or a fault", async () => {
    const { rpc } = board();
    await answered(rpc, false);
    const leader = await leadWith(rpc, await rpc.join(askFor(keeps)));
    await leader.line({ fault: UPSTREAM_FAULT, leader: HEAD.trace });
    await endProgress(leader.writer, false);
    await vi.waitFor(async () => expect((await rpc.join(askFor(keeps))).kind).toBe("lead"));
  });

  test("whose request an object's death overtook is not made again: that it was begun is known", async () => {
    const { rpc: before, stub } = board();
    expect((await before.join(askFor(keeps))).kind).toBe("lead");
    await runInDurableObject(stub, (_: Inflight, state) => state.abort("killed by the test")).catch(() => {});
    // The stub has the class's methods, as in `board`; one whose object has died stays broken.
    const rpc = env.INFLIGHT.getByName(stub.name ?? "") as unknown as InflightRpc;
    const begun = { kind: "unanswered", why: "begun" };
    expect(await rpc.join(askFor(keeps))).toEqual(begun);
    expect(await rpc.join(askFor(keeps))).toEqual(begun);
    expect(await rpc.join(askFor({ ...keeps, fingerprint: "other" }))).toEqual({ kind: "conflict" });
    // Coalescing promises nothing of the kind.
    expect((await rpc.join(askFor())).kind).toBe("lead");
  });

  test("whose leader dies in the middle is not made again, by those who wait neither", async () => {
    const { rpc } = board();
    const leader = await leadWith(rpc, await rpc.join(askFor(keeps)));
    const waiting = rpc.join(askFor(keeps));
    await arrived(rpc);
    await leader.writer.abort(new Error("the Worker died")).catch(() => {});
    const begun = { kind: "unanswered", why: "begun" };
    expect(await waiting).toEqual(begun);
    expect(await rpc.join(askFor(keeps))).toEqual(begun);
  });

  test("has its oldest answers dropped above the object's share, and still knows that they were given", async () => {
    const { stub } = board();
    const found = await runInDurableObject(stub, (_: Inflight, { storage }) => {
      const keeper = createAnswerKeeper(
        storage.sql,
        () => Date.now(),
        () => {},
        100,
      );
      for (const key of ["a", "b", "c"]) {
        keeper.begin(key, "f");
        keeper.keep(key, "f", WHOLE, key.repeat(45));
      }
      keeper.begin("long", "f");
      keeper.keep("long", "f", WHOLE, "x".repeat(101));
      // Counted again by another life of the object.
      const next = createAnswerKeeper(
        storage.sql,
        () => Date.now(),
        () => {},
        100,
      );
      next.keep("d", "f", WHOLE, "d".repeat(60));
      return ["a", "b", "c", "long", "d"].map((key) => next.find(key)?.kind);
    });
    expect(found).toEqual(["dropped", "dropped", "dropped", "dropped", "answer"]);
  });

  test("goes on without any client, for the one who comes back", async () => {
    const { rpc } = board();
    const ask = askFor(keeps);
    const leader = await leadWith(rpc, await rpc.join(ask));
    expect(await rpc.leave("k", ask.requestId)).toBe(true);
    await leader.line({ head: HEAD });
    await leader.own?.cancel();
    await leader.say("data: one\n\n");
    const back = bodyOf(await rpc.join(askFor(keeps)));
    await endProgress(leader.writer, true);
    expect(await readAll(back)).toEqual({ text: "data: one\n\n" });
  });

  test("keeps a long answer in pieces and forgets it after a day, with its rows", async () => {
    const { rpc, stub } = board();
    const long = `data: ${"ä🚀".repeat(600_000)}\n\n`;
    const leader = await leadWith(rpc, await rpc.join(askFor(keeps)), { wantsBody: false });
    await leader.line({ head: WHOLE });
    await leader.say(long);
    await endProgress(leader.writer, true);
    await vi.waitFor(async () => expect((await rpc.join(askFor(keeps))).kind).toBe("replay"));
    const replayed = await rpc.join(askFor(keeps));
    expect(replayed.kind === "replay" && replayed.text === long).toBe(true);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 24 * 3_600_000 + 1 });
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    vi.useRealTimers();
    const rows = await runInDurableObject(stub, (_: Inflight, { storage }) =>
      storage.sql
        .exec("SELECT key FROM answers UNION SELECT key FROM pieces UNION SELECT key FROM unanswered")
        .toArray(),
    );
    expect(rows).toEqual([]);
    expect((await rpc.join(askFor(keeps))).kind).toBe("lead");
  });
});
