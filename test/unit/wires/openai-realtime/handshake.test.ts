/** What OpenAI's SDKs and browsers say in subprotocols and query of a Realtime handshake. */
import { describe, expect, it } from "vitest";
import { keyInSubprotocols, readRealtimeAsk } from "../../../../src/wires/openai-realtime/handshake.ts";

const asking = (protocols: string, more: Readonly<Record<string, string>> = {}) =>
  new Headers({ upgrade: "websocket", "sec-websocket-protocol": protocols, ...more });

const read = (headers: Headers, query = "") => {
  const { query: params, ...rest } = readRealtimeAsk(headers, new URLSearchParams(query));
  return { ...rest, query: params.toString() };
};

describe("the key among the subprotocols", () => {
  it.each([
    ["realtime, openai-insecure-api-key.hg_abc, openai-beta.realtime-v1", "hg_abc"],
    ["openai-insecure-api-key.hg_a.b,realtime", "hg_a.b"],
    ["openai-insecure-api-key.", ""],
    ["realtime", null],
    ["", null],
  ])("of '%s' is %j", (protocols, key) => {
    expect(keyInSubprotocols(asking(protocols))).toBe(key);
  });

  it("is none where no WebSocket is asked for", () => {
    expect(
      keyInSubprotocols(new Headers({ "sec-websocket-protocol": "openai-insecure-api-key.k" })),
    ).toBeNull();
    expect(keyInSubprotocols(asking("openai-insecure-api-key.k", { upgrade: "h2c" }))).toBeNull();
    expect(keyInSubprotocols(asking("openai-insecure-api-key.k", { upgrade: "WebSocket" }))).toBe("k");
  });
});

describe("what is asked", () => {
  it("answers only the subprotocol that holds nothing", () => {
    expect(read(asking("openai-insecure-api-key.k, realtime"))).toMatchObject({ protocol: "realtime" });
    expect(read(asking("openai-insecure-api-key.k"))).not.toHaveProperty("protocol");
  });

  it("takes the beta mark of a browser for a header, unless there is one", () => {
    expect(read(asking("realtime, openai-beta.realtime-v1"))).toMatchObject({ beta: "realtime=v1" });
    const both = asking("openai-beta.realtime-v1", { "openai-beta": "realtime=v2" });
    expect(read(both)).not.toHaveProperty("beta");
    expect(read(asking("realtime"))).not.toHaveProperty("beta");
  });

  it("passes other parameters on, but neither the model nor anything that may be a key", () => {
    const query = "model=up/m&a=1&key=k&API-KEY=k&authorization=k&b=%20x";
    expect(read(asking("realtime"), query).query).toBe("a=1&b=+x");
  });

  it.each([
    ["model=m", false],
    ["model=m&intent=transcription", true],
    ["call_id=rtc_1", true],
  ])("of '%s' has no model of its own: %s", (query, isModelless) => {
    expect(read(asking("realtime"), query)).toMatchObject({ isModelless });
  });
});
