// Joined sockets in workerd, with a pair in place of the upstream: what ends a session from the gateway's side.
import { expect, test } from "vitest";
import { GatewayError } from "../../../src/errors.ts";
import { joinSockets, type SessionReport } from "../../../src/upstream/socket-relay.ts";

type Seen = { readonly frames: unknown[]; readonly closed: Promise<readonly [number, string]> };

function watch(socket: WebSocket): Seen {
  const frames: unknown[] = [];
  const { promise: closed, resolve } = Promise.withResolvers<readonly [number, string]>();
  socket.addEventListener("message", ({ data }) => void frames.push(data));
  socket.addEventListener("close", ({ code, reason }) => resolve([code, reason]));
  socket.accept();
  return { frames, closed };
}

function open(stop: () => { error: GatewayError; code: number } | undefined, signal: AbortSignal) {
  const { 0: far, 1: upstream } = new WebSocketPair();
  const texts: string[] = [];
  const { client, done } = joinSockets(upstream, {
    now: () => 5,
    signal,
    stop,
    scrub: (text) => text.replaceAll("secret", "***"),
    onText: (text) => texts.push(text),
    lastEvent: ({ code }) => `last words: ${code}`,
    connectionError: () => new GatewayError("upstream_error", "It broke."),
    abandon: () => {},
  });
  return { client, far, texts, done, seenByClient: watch(client), seenByUpstream: watch(far) };
}

const gone = (): undefined => undefined;
const lost = () => ({ error: new GatewayError("unavailable", "The slot is lost."), code: 1013 });

test("a lease that is lost ends the session with an event and 1013, and its upstream with 1001", async () => {
  const controller = new AbortController();
  const { client, far, done, seenByClient, seenByUpstream } = open(lost, controller.signal);
  client.send("a");
  far.send("b");
  await expect.poll(() => seenByClient.frames).toEqual(["b"]);
  controller.abort();
  expect(await seenByClient.closed).toEqual([1013, "The slot is lost."]);
  expect(await seenByUpstream.closed).toEqual([1001, ""]);
  expect(seenByClient.frames).toEqual(["b", "last words: unavailable"]);
  expect(await done).toMatchObject({
    closedBy: "gateway",
    closeCode: 1013,
    upstreamFrames: 1,
    clientFrames: 1,
    firstFrameAt: 5,
  } satisfies Partial<SessionReport>);
});

test("what the upstream says is scrubbed, in frames and in the reason of its close; the client's words are not", async () => {
  const { client, far, done, seenByClient, seenByUpstream } = open(gone, new AbortController().signal);
  client.send("my secret");
  await expect.poll(() => seenByUpstream.frames).toEqual(["my secret"]);
  far.send("your secret");
  far.close(4000, "a secret failed");
  expect(await seenByClient.closed).toEqual([4000, "a *** failed"]);
  expect(seenByClient.frames).toEqual(["your ***"]);
  expect(await done).toMatchObject({ closedBy: "upstream", closeCode: 4000 });
});

test("a signal that has fired already opens no session that stays", async () => {
  const { seenByClient, done } = open(lost, AbortSignal.abort());
  expect(await seenByClient.closed).toEqual([1013, "The slot is lost."]);
  expect(await done).toMatchObject({ closedBy: "gateway" });
});

test("a client that only the platform reports gone has broken off", async () => {
  const controller = new AbortController();
  const { seenByUpstream, done } = open(gone, controller.signal);
  controller.abort();
  expect(await seenByUpstream.closed).toEqual([1001, "The client's connection failed."]);
  expect(await done).toMatchObject({ closedBy: "client", closeCode: 1006 });
});

test("a client who closes in order is believed, also when the platform's word comes first", async () => {
  const controller = new AbortController();
  const { client, seenByUpstream, done } = open(gone, controller.signal);
  controller.abort();
  client.close(1000, "bye");
  expect(await seenByUpstream.closed).toEqual([1000, "bye"]);
  expect(await done).toMatchObject({ closedBy: "client", closeCode: 1000 });
});

test("only text is looked at, and bytes pass", async () => {
  const { client, far, texts, seenByClient } = open(gone, new AbortController().signal);
  far.send(new Uint8Array([1, 2]));
  far.send("text");
  await expect.poll(() => seenByClient.frames.length).toBe(2);
  expect(texts).toEqual(["text"]);
  client.close();
});
