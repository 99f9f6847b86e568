// One call to a model API, in the runtime that makes it: its time limits, its abort, and what of the client's request goes along.
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { GatewayError } from "../../../src/errors.ts";
import { createOpenAiCompatible } from "../../../src/providers/openai-compatible.ts";
import { type LocalUpstream, upstreamWireFor } from "../../../src/providers/provider.ts";
import type { ProviderAccount } from "../../../src/wires/upstream-wire.ts";
import { providerOf } from "../../../src/providers/registry.ts";
import type { UpstreamCall } from "../../../src/upstream/call.ts";
import { SharedTimer } from "../../../src/runtime/shared-timer.ts";
import { readBody } from "../../../src/upstream/read-body.ts";
import { type CallLimits, sendUpstream } from "../../../src/upstream/send.ts";
import { faultOf } from "../../support/fakes/fake-stream.ts";
import { fakeChat } from "../../support/fakes/fake-tenant.ts";
import {
  completion,
  createFakeUpstream,
  failure,
  type FakeReply,
  hang,
} from "../../support/fakes/fake-upstream.ts";

const NOW = Date.UTC(2026, 10, 25);
const IDLE_MS = 2000;
const HOUR_MS = 3_600_000;

const ACCOUNT: ProviderAccount = {
  name: "up",
  kind: "openai",
  baseUrl: "https://up.example/v1",
  apiKey: "plain-words-no-pattern-knows",
  headers: {},
  options: {},
  propagateTrace: false,
};

interface Setting {
  readonly limits?: Partial<CallLimits>;
  readonly account?: Partial<ProviderAccount>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly local?: LocalUpstream;
}

function start(reply: FakeReply, setting: Setting = {}) {
  const upstream = createFakeUpstream(reply);
  const row = { kind: "x", vendor: "x", takesStreamOptions: true };
  const provider = setting.local
    ? createOpenAiCompatible({ ...row, local: setting.local })
    : providerOf("openai");
  const target = { account: { ...ACCOUNT, ...setting.account }, model: "m-1" };
  const calling = sendUpstream(
    {
      request: upstreamWireFor(provider, "openai-chat", target).toRequest(fakeChat(), target),
      provider,
      target,
      limits: { firstByteMs: 1000, idleMs: IDLE_MS, deadlineAt: NOW + 5000, ...setting.limits },
      client: {
        signal: setting.signal ?? new AbortController().signal,
        headers: new Headers(setting.headers),
        passed: fakeChat().wire.passedHeaders,
        traceparent: "00-trace-span-01",
      },
      throwOnStatus: true,
    },
    {
      fetch: upstream.fetch,
      sleep: async () => {},
      now: () => NOW,
      timer: new SharedTimer(() => performance.now()),
    },
  );
  return { calling, upstream };
}

function withLength(response: Response, bytes: number): Response {
  return new Response(response.body, { headers: { "content-length": String(bytes) } });
}

/** A body that is never finished, and breaks when the signal fires. */
const endless: FakeReply = ({ signal }) =>
  new Response(
    new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('{"cho'));
        signal.addEventListener("abort", () => controller.error(signal.reason));
      },
    }),
  );

afterEach(() => {
  vi.useRealTimers();
});

/** Runs `work` on a clock that only the test moves. */
async function onTestClock<T>(ms: number, work: () => Promise<T>): Promise<T> {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  const working = work();
  working.catch(() => {});
  await vi.advanceTimersByTimeAsync(ms);
  return working;
}

describe("what goes out", () => {
  test("is the account's credential and the headers made for it; of the client's only those that are passed on", async () => {
    const { calling, upstream } = start(completion(), {
      headers: {
        authorization: "Bearer hg_client",
        "x-api-key": "hg_client",
        cookie: "a=b",
        "openai-beta": "x=1",
        "openai-organization": "org",
        "x-forwarded-for": "10.0.0.1",
        traceparent: "00-client-client-01",
      },
    });
    (await calling).release();
    expect(Object.fromEntries(upstream.calls[0]?.headers ?? [])).toEqual({
      authorization: `Bearer ${ACCOUNT.apiKey}`,
      "content-type": "application/json",
      "openai-beta": "x=1",
    });
    expect(upstream.calls[0]?.redirect).toBe("manual");
  });

  test("has the account's own header where the client sends the same", async () => {
    const { calling, upstream } = start(completion(), {
      account: { headers: { "OpenAI-Beta": "ours" } },
      headers: { "openai-beta": "theirs" },
    });
    (await calling).release();
    expect(upstream.calls[0]?.headers.get("openai-beta")).toBe("ours");
  });

  test("has the trace where the account wants it", async () => {
    const { calling, upstream } = start(completion(), { account: { propagateTrace: true } });
    (await calling).release();
    expect(upstream.calls[0]?.headers.get("traceparent")).toBe("00-trace-span-01");
  });
});

describe("an answer's head", () => {
  test.each([301, 302, 307, 308])(
    "with a redirect (%i) is a fault of the upstream, and is not followed",
    async (status) => {
      const response = new Response(null, { status, headers: { location: "http://169.254.169.254/latest" } });
      const { calling, upstream } = start(response);
      expect(await faultOf(calling)).toMatchObject({
        code: "upstream_error",
        details: { upstreamStatus: status },
      });
      expect(upstream.calls).toHaveLength(1);
    },
  );

  test("with a refusal is read by the provider, without the account's credential", async () => {
    const { calling } = start(failure(400, `no such model for ${ACCOUNT.apiKey}`));
    expect(await faultOf(calling)).toMatchObject({
      code: "upstream_rejected",
      message: "no such model for [redacted]",
    });
  });

  test("with a Retry-After date is compared with our clock where the upstream tells no time", async () => {
    const { calling } = start(failure(429, "", { "retry-after": new Date(NOW + 7000).toUTCString() }));
    expect(await faultOf(calling)).toMatchObject({ details: { retryAfterMs: 7000 } });
  });

  test("with a refusal in plain text or with none at all is a refusal too", async () => {
    const text = start(new Response("<h1>nginx</h1>", { status: 502 })).calling;
    expect(await faultOf(text)).toMatchObject({ code: "upstream_error", details: { upstreamStatus: 502 } });
    const none = start(new Response(null, { status: 503 })).calling;
    expect(await faultOf(none)).toMatchObject({ code: "upstream_overloaded" });
  });

  test("that never comes because the network broke says nothing of the network", async () => {
    const { calling } = start(new TypeError("getaddrinfo ENOTFOUND internal.example"));
    const fault = await faultOf(calling);
    expect(fault).toMatchObject({ code: "upstream_error", message: "The connection to 'up' failed." });
  });
});

describe("time limits", () => {
  test("the first byte's ends a call without a head", async () => {
    const { calling, upstream } = await onTestClock(1000, async () => {
      const started = start(hang);
      await started.calling.catch(() => {});
      return started;
    });
    expect(await faultOf(calling)).toMatchObject({
      code: "upstream_timeout",
      message: expect.stringContaining("(first-byte timeout)"),
    });
    expect(upstream.calls[0]?.signal.aborted).toBe(true);
  });

  test("the first byte's is not over a moment before its time", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const { upstream, calling } = start(hang);
    calling.catch(() => {});
    await vi.advanceTimersByTimeAsync(999);
    expect(upstream.calls[0]?.signal.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(upstream.calls[0]?.signal.aborted).toBe(true);
  });

  test("the request's holds where it is the nearer one", async () => {
    const fault = await onTestClock(500, () =>
      faultOf(start(hang, { limits: { deadlineAt: NOW + 500 } }).calling),
    );
    expect(fault).toMatchObject({
      code: "upstream_timeout",
      message: expect.stringContaining("total time limit"),
    });
  });

  test("a request that is already over time is not given any", async () => {
    const fault = await onTestClock(0, () =>
      faultOf(start(hang, { limits: { deadlineAt: NOW - 1 } }).calling),
    );
    expect(fault).toMatchObject({ code: "upstream_timeout" });
  });

  test("a whole answer has the idle time from its head on, whatever the first byte took", async () => {
    const fault = await onTestClock(IDLE_MS, async () => {
      const attempt = await start(endless).calling;
      return faultOf(readBody(attempt, IDLE_MS, () => {}));
    });
    expect(fault).toMatchObject({
      code: "upstream_timeout",
      message: expect.stringContaining("(idle timeout)"),
    });
  });

  test("a body whose length the head names may take the idle time for each 64 KB", async () => {
    const silent: FakeReply = async (call) => withLength(await endless(call), 100_000);
    const { upstream, calling } = start(silent);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const reading = calling.then((attempt) => faultOf(readBody(attempt, IDLE_MS, () => {})));
    await vi.advanceTimersByTimeAsync(2 * IDLE_MS - 1);
    expect(upstream.calls[0]?.signal.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await reading).toMatchObject({
      code: "upstream_timeout",
      // It may have sent some of it.
      message: `'up' did not send its whole answer within ${(2 * IDLE_MS) / 1000} s (idle timeout).`,
    });
  });

  test("after release nothing is left that could abort", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const client = new AbortController();
    const attempt = await start(completion(), { signal: client.signal }).calling;
    attempt.release();
    client.abort();
    await vi.advanceTimersByTimeAsync(HOUR_MS);
    expect(vi.getTimerCount()).toBe(0);
    expect(attempt.abortedBy()).toBeUndefined();
  });

  test.each<[string, FakeReply]>([
    ["refused", failure(400)],
    ["broken", new TypeError("no")],
    ["answered and read", completion()],
  ])("a call that was %s leaves no time limit", async (_, reply) => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const work = async (): Promise<void> => {
      await readBody(await start(reply).calling, IDLE_MS, () => {});
    };
    await work().catch((thrown: unknown) => expect(thrown).toBeInstanceOf(GatewayError));
    // The request's timers may still run, and find nothing to do.
    await vi.advanceTimersByTimeAsync(HOUR_MS);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("the platform need not wait for a call that is over", async () => {
    const ctx = createExecutionContext();
    ctx.waitUntil(start(completion()).calling.then((attempt) => readBody(attempt, IDLE_MS, () => {})));
    const startedAt = Date.now();
    await waitOnExecutionContext(ctx);
    expect(Date.now() - startedAt).toBeLessThan(1000);
  });
});

describe("an abort", () => {
  test("by the client reaches the upstream and is called what it is", async () => {
    const client = new AbortController();
    const { calling, upstream } = start(hang, { signal: client.signal });
    client.abort();
    expect(await faultOf(calling)).toMatchObject({ code: "client_disconnected", status: 499 });
    expect(upstream.calls[0]?.signal.aborted).toBe(true);
  });

  test("by the client in the middle of a whole answer too", async () => {
    const client = new AbortController();
    const attempt = await start(endless, { signal: client.signal }).calling;
    const reading = readBody(attempt, IDLE_MS, () => {});
    client.abort();
    expect(await faultOf(reading)).toMatchObject({ code: "client_disconnected" });
  });

  test("by a client who left before the call stops it at once", async () => {
    const { calling } = start(completion(), { signal: AbortSignal.abort() });
    expect(await faultOf(calling)).toMatchObject({ code: "client_disconnected" });
  });

  test.each([
    ["of known length", (answer: Response) => withLength(answer, 10)],
    ["that comes in pieces", (answer: Response) => answer],
  ])("for want of memory stops a body %s, and is not the client's", async (_, shape) => {
    const refusal = new GatewayError("overloaded", "full");
    const { calling, upstream } = start(async (call) => shape(await endless(call)));
    const attempt = await calling;
    const reading = readBody(attempt, IDLE_MS, () => {
      throw refusal;
    });
    expect(await faultOf(reading)).toBe(refusal);
    expect(attempt.abortedBy()).toBe("memory");
    expect(upstream.calls[0]?.signal.aborted).toBe(true);
  });

  test("is named by its first cause", async () => {
    const attempt: UpstreamCall = await start(endless).calling;
    attempt.abort("idle");
    attempt.abort("client");
    expect(attempt.abortedBy()).toBe("idle");
    expect(await faultOf(readBody(attempt, IDLE_MS, () => {}))).toMatchObject({ code: "upstream_timeout" });
  });

  test("arming a limit again leaves the one before without effect", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const attempt = await start(endless).calling;
    attempt.arm("idle", 100);
    await vi.advanceTimersByTimeAsync(99);
    attempt.arm("idle", 100);
    await vi.advanceTimersByTimeAsync(99);
    expect(attempt.abortedBy()).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    expect(attempt.abortedBy()).toBe("idle");
    attempt.release();
  });
});

describe("a provider inside the Worker", () => {
  test("is called in place of the network, with the account's options and a way to be stopped", async () => {
    const seen: Parameters<LocalUpstream>[] = [];
    const { calling, upstream } = start(failure(500), {
      account: { options: { paceMs: 5 } },
      local: async (...given) => {
        seen.push(given);
        return completion();
      },
    });
    const attempt = await calling;
    const { text } = await readBody(attempt, IDLE_MS, () => {});
    expect(text).toContain("Hello");
    expect(upstream.calls).toEqual([]);
    const [[request, context] = []] = seen;
    expect(request?.url).toBe("https://up.example/v1/chat/completions");
    expect(context?.options).toEqual({ paceMs: 5 });
    expect(context?.signal.aborted).toBe(false);
  });
});
