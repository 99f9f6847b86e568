// Azure OpenAI: both of its addresses, its key's header, and its errors.
import { describe, expect, test } from "vitest";
import { openAiChat } from "../../../src/wires/openai-chat/client-wire.ts";
import { azureOpenAi } from "../../../src/providers/azure-openai.ts";
import type { ProviderAccount } from "../../../src/wires/upstream-wire.ts";
import { fixtureJson } from "../../support/builders/wire-fixtures.ts";

const CHAT = openAiChat.parseRequest(
  '{"model":"az/gpt","messages":[{"role":"user","content":"Hi"}],"stream":true}',
);

function requestFor(baseUrl: string, options: ProviderAccount["options"] = {}) {
  const account = {
    name: "az",
    kind: "azure-openai",
    baseUrl,
    apiKey: "k",
    headers: {},
    options,
    propagateTrace: false,
  };
  return azureOpenAi.wires[0].toRequest(CHAT, { account, model: "gpt-4o" });
}

describe("the address", () => {
  const RESOURCE = "https://mine.openai.azure.com";
  const OLD = `${RESOURCE}/openai/deployments`;
  test.each([
    [`${RESOURCE}/openai/v1`, {}, `${RESOURCE}/openai/v1/chat/completions`],
    [
      `${RESOURCE}/openai/v1/`,
      { apiVersion: "preview" },
      `${RESOURCE}/openai/v1/chat/completions?api-version=preview`,
    ],
    [RESOURCE, {}, `${OLD}/gpt-4o/chat/completions?api-version=2024-10-21`],
    [
      `${RESOURCE}/`,
      { deployment: "my dep", apiVersion: "2025-04-01-preview" },
      `${OLD}/my%20dep/chat/completions?api-version=2025-04-01-preview`,
    ],
    [`${RESOURCE}/openai`, {}, `${OLD}/gpt-4o/chat/completions?api-version=2024-10-21`],
  ])("%s with %j is %s", (baseUrl, options, url) => {
    expect(requestFor(baseUrl, options).url).toBe(url);
  });

  test("of embeddings has the same form", () => {
    const [wire] = azureOpenAi.embeddings ?? [];
    const account = {
      name: "az",
      kind: "azure-openai",
      baseUrl: RESOURCE,
      headers: {},
      options: {},
      propagateTrace: false,
    };
    expect(wire?.toRequest({ ...CHAT, stream: false }, { account, model: "emb" }).url).toBe(
      `${OLD}/emb/embeddings?api-version=2024-10-21`,
    );
  });
});

test("the key has a header of its own, and usage is asked for", () => {
  const { headers, body } = requestFor("https://mine.openai.azure.com");
  expect(headers).toEqual({ "content-type": "application/json", "api-key": "k" });
  expect(JSON.parse(body ?? "")).toMatchObject({ model: "gpt-4o", stream_options: { include_usage: true } });
});

test("a prompt that its filter stopped is the caller's fault", () => {
  expect(
    azureOpenAi.toError(400, new Headers(), fixtureJson("azure/errors/content-filter.json")),
  ).toMatchObject({
    code: "upstream_rejected",
    message: expect.stringContaining("content management policy"),
    details: { param: "prompt" },
  });
});
