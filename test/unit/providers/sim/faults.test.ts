// The simulated server's faults, its pace, and that an abort ends every one of its waits.
import { describe, expect, test } from "vitest";
import { createSimServer } from "../../../../src/providers/sim/server.ts";
import { sim } from "../../../../src/providers/sim/sim.ts";
import { parseText } from "../../../support/builders/wire-fixtures.ts";
import { callSim } from "./sim-call.ts";

const STREAM = { stream: true };
const REASON = new Error("The gateway has waited long enough.");

/** What came of a body before it ended or broke, and how. */
async function drain(response: Response): Promise<{ readonly text: string; readonly fault: unknown }> {
  let text = "";
  const decoder = new TextDecoder();
  try {
    for await (const bytes of response.body ?? []) text += decoder.decode(bytes, { stream: true });
    return { text, fault: undefined };
  } catch (fault) {
    return { text, fault };
  }
}

describe("pace", () => {
  test("a stream waits for its first chunk, then between chunks, and not for its end", async () => {
    const { response, waits } = await callSim("echo", {
      body: { ...STREAM, messages: [{ role: "user", content: "a b c" }] },
      options: { firstChunkMs: 500, paceMs: 50 },
    });
    await response.text();
    expect(waits).toEqual([500, 50, 50, 50]);
  });

  test("a whole answer takes as long as its stream would", async () => {
    const { waits } = await callSim("echo", {
      body: { messages: [{ role: "user", content: "a b c" }] },
      options: { firstChunkMs: 500, paceMs: 50 },
    });
    expect(waits).toEqual([650]);
  });

  test("the defaults are those of a demo, slow is twenty times slower", async () => {
    const first = async (model: string): Promise<readonly number[]> => {
      const { response, waits } = await callSim(model, { body: STREAM });
      await response.text();
      return waits.slice(0, 2);
    };
    expect(await first("echo")).toEqual([120, 20]);
    expect(await first("slow")).toEqual([2400, 400]);
  });

  test("the number of text chunks can be set", async () => {
    const { response } = await callSim("demo", { body: STREAM, options: { chunks: 3 } });
    const texts = parseText(await response.text())
      .flatMap(sim.wires[0].decoder())
      .filter(({ type }) => type === "text");
    expect(texts).toHaveLength(3);
  });

  test("nothing is made before it is read", async () => {
    const { waits } = await callSim("echo", { body: STREAM });
    expect(waits).toEqual([]);
  });
});

describe("refusals", () => {
  test("rate-limited says when to come back", async () => {
    const { response } = await callSim("rate-limited");
    expect(response.status).toBe(429);
    expect(sim.toError(429, response.headers, await response.json())).toMatchObject({
      code: "upstream_rate_limited",
      details: { retryAfterMs: 1000 },
    });
  });

  test("overloaded is a 503, or the status that the account wants", async () => {
    expect((await callSim("overloaded")).response.status).toBe(503);
    expect((await callSim("overloaded", { options: { refusalStatus: 529 } })).response.status).toBe(529);
  });

  test("flaky fails every other attempt at the same request, whatever comes between", async () => {
    const server = createSimServer();
    const statusOf = async (content: string): Promise<number> => {
      const body = { messages: [{ role: "user", content }] };
      return (await callSim("flaky", { server, body })).response.status;
    };
    expect(await statusOf("a")).toBe(500);
    expect(await statusOf("b")).toBe(500);
    expect(await statusOf("a")).toBe(200);
    expect(await statusOf("b")).toBe(200);
    expect(await statusOf("a")).toBe(500);
  });
});

describe("hurt bodies", () => {
  test("cut breaks a stream in its middle, without an end mark", async () => {
    const { text, fault } = await drain((await callSim("cut", { body: STREAM })).response);
    expect(fault).toBeInstanceOf(Error);
    const types = parseText(text)
      .flatMap(sim.wires[0].decoder())
      .map(({ type }) => type);
    expect(types).toContain("text");
    expect(types).not.toContain("finish");
    expect(types).not.toContain("done");
  });

  test("cut breaks a whole body half-way", async () => {
    const { text, fault } = await drain((await callSim("cut")).response);
    expect(fault).toBeInstanceOf(Error);
    expect(text).toMatch(/^\{"id":/);
    expect(() => JSON.parse(text)).toThrow(SyntaxError);
  });

  test("cut can also end as if nothing were missing", async () => {
    const call = { body: STREAM, options: { cut: "clean" } };
    const { text, fault } = await drain((await callSim("cut", call)).response);
    expect(fault).toBeUndefined();
    expect(text).not.toContain("[DONE]");
  });

  test("malformed breaks one event of a stream that goes on", async () => {
    const { text } = await drain((await callSim("malformed", { body: STREAM })).response);
    expect(text).toContain("[DONE]");
    const decode = sim.wires[0].decoder();
    expect(() => parseText(text).flatMap(decode)).toThrow(
      expect.objectContaining({ code: "upstream_malformed" }),
    );
  });

  test("malformed ends a whole body as if it were one", async () => {
    const { text, fault } = await drain((await callSim("malformed")).response);
    expect(fault).toBeUndefined();
    expect(() => JSON.parse(text)).toThrow(SyntaxError);
  });
});

describe("aborts", () => {
  test("timeout answers nothing until it is aborted", async () => {
    const abort = new AbortController();
    const call = callSim("timeout", { signal: abort.signal });
    abort.abort(REASON);
    await expect(call).rejects.toBe(REASON);
  });

  test.each([{ stream: true }, { stream: false }])(
    "stall (%j) sends a part and is silent until aborted",
    async (body) => {
      const abort = new AbortController();
      const { response } = await callSim("stall", { body, signal: abort.signal });
      const reader = response.body?.getReader();
      const first = await reader?.read();
      expect(first?.done).toBe(false);
      const rest = (async () => {
        while ((await reader?.read())?.done === false);
      })();
      abort.abort(REASON);
      await expect(rest).rejects.toBe(REASON);
    },
  );

  test("a call that is aborted already is not answered", async () => {
    await expect(callSim("echo", { signal: AbortSignal.abort(REASON) })).rejects.toBe(REASON);
    await expect(callSim("rate-limited", { signal: AbortSignal.abort(REASON) })).rejects.toBe(REASON);
  });

  test("an abort in mid-stream breaks the body with its reason", async () => {
    const abort = new AbortController();
    const { response } = await callSim("echo", { body: STREAM, signal: abort.signal });
    const reader = response.body?.getReader();
    await reader?.read();
    abort.abort(REASON);
    await expect(reader?.read()).rejects.toBe(REASON);
  });

  test("a reader that leaves a stalled body is let go", async () => {
    const { response } = await callSim("stall", { body: STREAM });
    const reader = response.body?.getReader();
    await reader?.read();
    await expect(reader?.cancel("gone")).resolves.toBeUndefined();
  });
});
