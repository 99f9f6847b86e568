// Workers AI: the account in its address, and the errors that Cloudflare wraps in a list.
import { expect, test } from "vitest";
import { openAiChat } from "../../../src/wires/openai-chat/client-wire.ts";
import type { ProviderAccount } from "../../../src/wires/upstream-wire.ts";
import { workersAi } from "../../../src/providers/workers-ai.ts";
import { fixtureJson } from "../../support/builders/wire-fixtures.ts";

const CHAT = openAiChat.parseRequest(
  '{"model":"x","messages":[{"role":"user","content":"Hi"}],"max_completion_tokens":9}',
);

function requestFor(baseUrl: string, options: ProviderAccount["options"]) {
  const account = {
    name: "cf",
    kind: "workers-ai",
    baseUrl,
    apiKey: "t",
    headers: {},
    options,
    propagateTrace: false,
  };
  return workersAi.wires[0].toRequest(CHAT, { account, model: "@cf/meta/llama-3.1-8b-instruct" });
}

const ROOT = workersAi.defaultBaseUrl ?? "";

test.each([
  [ROOT, { accountId: "a1" }, `${ROOT}/accounts/a1/ai/v1/chat/completions`],
  [ROOT, { accountId: "a/../b" }, `${ROOT}/accounts/a%2F..%2Fb/ai/v1/chat/completions`],
  [`${ROOT}/accounts/a1/ai/v1`, {}, `${ROOT}/accounts/a1/ai/v1/chat/completions`],
])("%s with %j is %s", (baseUrl, options, url) => {
  expect(requestFor(baseUrl, options).url).toBe(url);
});

test("an account without its id lets the next target be asked", () => {
  expect(() => requestFor(ROOT, {})).toThrow(
    expect.objectContaining({ code: "upstream_error", canFallBack: true }),
  );
});

test("the model keeps its name, the key is a bearer token, the limit of tokens its old name", () => {
  const { headers, body } = requestFor(ROOT, { accountId: "a1" });
  expect(headers["authorization"]).toBe("Bearer t");
  expect(JSON.parse(body ?? "")).toMatchObject({ model: "@cf/meta/llama-3.1-8b-instruct", max_tokens: 9 });
});

test("errors", () => {
  const errorOf = (status: number) =>
    workersAi.toError(status, new Headers(), fixtureJson(`workers-ai/errors/${status}.json`));
  expect(errorOf(401)).toMatchObject({ code: "upstream_auth" });
  expect(errorOf(400)).toMatchObject({
    code: "upstream_rejected",
    message: expect.stringContaining("Bad input"),
  });
});
