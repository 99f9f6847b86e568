// A model name that would leave the account's base path, the key's allow-list or a header: refused before any call.
import { describe, expect, test } from "vitest";
import { createGuardedFetch } from "../../../src/upstream/guarded-fetch.ts";
import { createFakeGateway } from "../../support/fakes/fake-gateway.ts";
import { fakeBundle } from "../../support/fakes/fake-tenant.ts";
import { completion } from "../../support/fakes/fake-upstream.ts";

const KINDS: readonly string[] = ["gemini", "vertex", "bedrock", "azure-openai", "openai", "anthropic"];

describe.each(KINDS)("an account of kind %s", (kind) => {
  test.each([
    "allowed/../models/forbidden",
    "allowed/../../../secret/api",
    "allowed/%2e%2e/forbidden",
    "allowed/..;/forbidden",
    "allowed\\..\\forbidden",
    "allowed\tx",
    "allowed\u202ex",
  ])("is never called for the model %j", async (model) => {
    const gateway = createFakeGateway({
      bundle: fakeBundle({ providers: { a: { kind } }, key: { allowedModels: ["a/allowed*"] } }),
      chat: { model: `a/${model}` },
      replies: [completion()],
    });
    expect(await gateway.refusal()).toMatchObject({ code: "invalid_request", details: { param: "model" } });
    expect(gateway.upstream.calls).toEqual([]);
  });
});

describe("the final URL of a call", () => {
  const refused = async (kind: string, options: Readonly<Record<string, string>>, baseUrl: string) => {
    const gateway = createFakeGateway({
      bundle: fakeBundle({ providers: { a: { kind, options, baseUrl } } }),
      chat: { model: "a/m" },
    });
    const fetch = createGuardedFetch(gateway.upstream.fetch, { allowPrivate: false });
    const guarded = createFakeGateway({
      bundle: gateway.call.bundle,
      chat: { model: "a/m" },
      deps: { fetch },
    });
    return { error: await guarded.refusal(), calls: gateway.upstream.calls };
  };

  test.each<[string, Record<string, string>, string]>([
    ["bedrock", { region: "x@127.0.0.1:25320/" }, "https://bedrock-runtime.us-east-1.amazonaws.com"],
    ["bedrock", { region: "127.0.0.1/" }, "https://bedrock-runtime.us-east-1.amazonaws.com"],
    ["ollama", {}, "http://localhost:11434/v1"],
    ["openai", {}, "https://127.0.0.1/v1"],
    ["gemini", { apiVersion: "../../secret" }, "https://gemini.example"],
    ["vertex", { apiVersion: "%2e%2e/x", project: "p" }, "https://vertex.example"],
  ])("of kind %s with %j is checked before it is sent", async (kind, options, baseUrl) => {
    const { error, calls } = await refused(kind, options, baseUrl);
    expect(error).toMatchObject({ code: "upstream_error" });
    expect(String(error)).toContain("may not call");
    expect(calls).toEqual([]);
  });
});
