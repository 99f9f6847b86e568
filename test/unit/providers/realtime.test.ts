/** Where a Realtime session goes at each provider that has one, and with which credential. */
import { describe, expect, it } from "vitest";
import type { ProviderAccount } from "../../../src/wires/upstream-wire.ts";
import { providerOf, REGISTERED_KINDS } from "../../../src/providers/registry.ts";

const account = (about: Partial<ProviderAccount>): ProviderAccount => ({
  name: "up",
  kind: "openai",
  baseUrl: "https://api.openai.com/v1",
  apiKey: "sk-secret",
  headers: {},
  options: {},
  propagateTrace: false,
  ...about,
});

function handshake(about: Partial<ProviderAccount>, query = "", isModelless = false) {
  const target = { account: account(about), model: "gpt-realtime" };
  return providerOf(target.account.kind).toRealtime?.(target, new URLSearchParams(query), isModelless);
}

const AZURE = "https://acme.openai.azure.com";

describe("a session's address", () => {
  it("is /realtime behind the base URL, with the target's model last", () => {
    expect(handshake({}, "a=1")).toEqual({
      method: "GET",
      url: "https://api.openai.com/v1/realtime?a=1&model=gpt-realtime",
      headers: { authorization: "Bearer sk-secret" },
    });
  });

  it("keeps the base URL's own query, and the account's own headers", () => {
    const about = {
      kind: "openai-compatible",
      baseUrl: "https://x.example/v1?tenant=a",
      headers: { "X-Org": "o" },
    };
    expect(handshake(about)).toMatchObject({
      url: "https://x.example/v1/realtime?tenant=a&model=gpt-realtime",
      headers: { "x-org": "o" },
    });
  });

  it("names no model where the session has none", () => {
    expect(handshake({}, "intent=transcription", true)?.url).toBe(
      "https://api.openai.com/v1/realtime?intent=transcription",
    );
  });

  it.each([
    [`${AZURE}/openai/v1`, {}, "/openai/v1/realtime?model=gpt-realtime"],
    [`${AZURE}/openai/v1/`, { deployment: "voice" }, "/openai/v1/realtime?model=voice"],
    [AZURE, {}, "/openai/realtime?api-version=2025-04-01-preview&deployment=gpt-realtime"],
    [
      `${AZURE}/openai/`,
      { apiVersion: "2024-10-01-preview", deployment: "a b" },
      "/openai/realtime?api-version=2024-10-01-preview&deployment=a+b",
    ],
  ])("at Azure's %s with %j is %s", (baseUrl, options, address) => {
    expect(handshake({ kind: "azure-openai", baseUrl, options })).toEqual({
      method: "GET",
      url: AZURE + address,
      headers: { "api-key": "sk-secret" },
    });
  });
});

it("only these kinds have one", () => {
  const speaking = REGISTERED_KINDS.filter((kind) => providerOf(kind).toRealtime !== undefined);
  expect(speaking).toEqual(["openai", "openai-compatible", "litellm", "azure-openai"]);
});
