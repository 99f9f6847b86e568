// What an OpenAI-compatible upstream receives: the client's bytes with as few edits as possible.
import { describe, expect, test } from "vitest";
import { openAiChat } from "../../../src/wires/openai-chat/client-wire.ts";
import { createOpenAiCompatible } from "../../../src/providers/openai-compatible.ts";
import type { ProviderAccount, Target } from "../../../src/wires/upstream-wire.ts";

const provider = createOpenAiCompatible({ kind: "x", vendor: "x", takesStreamOptions: true });

const ACCOUNT: ProviderAccount = {
  name: "main",
  kind: "x",
  baseUrl: "https://api.example.com/v1",
  apiKey: "sk-test",
  headers: {},
  options: {},
  propagateTrace: false,
};

const requestFor = (
  bodyText: string,
  target: Partial<Target> = {},
  account: Partial<ProviderAccount> = {},
  of = provider,
) =>
  of.wires[0].toRequest(openAiChat.parseRequest(bodyText, { defaultModel: "default" }), {
    account: { ...ACCOUNT, ...account },
    model: "gpt-4o-mini",
    ...target,
  });

const PLAIN = '{ "model" : "fast", "messages":[{"role":"user","content":"Hi \\u00e9"}],"brand_new":1.0 }';
const STREAM = '{"model":"fast","messages":[{"role":"user"}],"stream":true}';

describe("the body", () => {
  test("differs in the model only", () => {
    expect(requestFor(PLAIN).body).toBe(PLAIN.replace('"fast"', '"gpt-4o-mini"'));
  });

  test("is the client's very string where the model is already right", () => {
    expect(requestFor(PLAIN, { model: "fast" }).body).toBe(PLAIN);
  });

  test("gets the model where the client named none", () => {
    expect(requestFor('{"messages":[{"role":"user"}]}').body).toBe(
      '{"messages":[{"role":"user"}],"model":"gpt-4o-mini"}',
    );
  });

  test("takes the target's parameters before the client's", () => {
    const body = '{"model":"fast","temperature":1,"messages":[{"role":"user"}]}';
    expect(requestFor(body, { params: { temperature: 0.2, top_k: 5 } }).body).toBe(
      '{"model":"gpt-4o-mini","temperature":0.2,"messages":[{"role":"user"}],"top_k":5}',
    );
  });

  test("never takes model, messages or stream from the target's parameters", () => {
    const params = { model: "evil", messages: [], stream: true };
    expect(requestFor(PLAIN, { params }).body).toBe(PLAIN.replace('"fast"', '"gpt-4o-mini"'));
  });
});

describe("usage of streams", () => {
  const streamOptions = (bodyText: string, target: Partial<Target> = {}, of = provider): unknown =>
    JSON.parse(requestFor(bodyText, target, {}, of).body ?? "").stream_options;
  const withOptions = (options: string): string => STREAM.replace("{", `{"stream_options":${options},`);

  test("is asked for where the client did not", () => {
    expect(streamOptions(STREAM)).toEqual({ include_usage: true });
    expect(streamOptions(withOptions("null"))).toEqual({ include_usage: true });
    expect(streamOptions(withOptions('{"include_usage":false}'))).toEqual({ include_usage: true });
  });

  test("is asked for beside the client's other options", () => {
    expect(streamOptions(withOptions('{"include_obfuscation":false}'))).toEqual({
      include_obfuscation: false,
      include_usage: true,
    });
  });

  test("is left as it is where the client did", () => {
    const text = withOptions('{ "include_usage" : true }');
    expect(requestFor(text, { model: "fast" }).body).toBe(text);
  });

  test("is asked for beside the target's options", () => {
    const params = { stream_options: { a: 1 } };
    expect(streamOptions(STREAM, { params })).toEqual({ a: 1, include_usage: true });
  });

  test("is not asked for without a stream, or of a vendor that refuses the option", () => {
    const row = { kind: "y", vendor: "y", takesStreamOptions: false };
    expect(streamOptions(PLAIN)).toBeUndefined();
    expect(streamOptions(STREAM, {}, createOpenAiCompatible(row))).toBeUndefined();
  });
});

describe("the URL", () => {
  test.each([
    ["https://api.example.com/v1", "https://api.example.com/v1/chat/completions"],
    ["https://api.example.com/v1/", "https://api.example.com/v1/chat/completions"],
    ["https://api.example.com", "https://api.example.com/chat/completions"],
    ["http://127.0.0.1:11434/v1//", "http://127.0.0.1:11434/v1/chat/completions"],
    ["https://x.example.com/d?api-version=1", "https://x.example.com/d/chat/completions?api-version=1"],
  ])("of %s", (baseUrl, url) => {
    expect(requestFor(PLAIN, {}, { baseUrl })).toMatchObject({ method: "POST", url });
  });
});

describe("the headers", () => {
  test("carry the account's key", () => {
    expect(requestFor(PLAIN).headers).toEqual({
      "content-type": "application/json",
      authorization: "Bearer sk-test",
    });
  });

  test("carry no authorization where the account has no key", () => {
    const { apiKey: _, ...keyless } = ACCOUNT;
    const chat = openAiChat.parseRequest(PLAIN);
    expect(provider.wires[0].toRequest(chat, { account: keyless, model: "m" }).headers).toEqual({
      "content-type": "application/json",
    });
  });

  test("give way to the account's own, however these are written", () => {
    const headers = { Authorization: "Basic abc", "X-Team": "a" };
    expect(requestFor(PLAIN, {}, { headers }).headers).toEqual({
      "content-type": "application/json",
      authorization: "Basic abc",
      "x-team": "a",
    });
  });

  test("carry a bare key where the vendor's row says so", () => {
    const row = { kind: "y", vendor: "y", takesStreamOptions: true, keyHeader: "api-key" };
    expect(requestFor(PLAIN, {}, {}, createOpenAiCompatible(row)).headers).toEqual({
      "content-type": "application/json",
      "api-key": "sk-test",
    });
  });
});
