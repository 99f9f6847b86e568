// Vertex: addresses, the service account's token, Gemini's and Claude's wire under one account, embeddings.
import { createVerify, generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { ChatRequest } from "../../../src/schema/chat.ts";
import { anthropicMessages } from "../../../src/wires/anthropic/client-wire.ts";
import { geminiGenerateContent } from "../../../src/wires/gemini/client-wire.ts";
import { type SignPorts, upstreamWireFor } from "../../../src/providers/provider.ts";
import type { Target } from "../../../src/wires/upstream-wire.ts";
import { vertex } from "../../../src/providers/vertex.ts";
import { createTokenCache, parseServiceAccount } from "../../../src/providers/vertex-token.ts";
import { fixtureJson } from "../../support/builders/wire-fixtures.ts";

const GEMINI_CHAT = geminiGenerateContent.parseRequest('{"contents":[{"parts":[{"text":"Hi"}]}]}', {
  model: "v/m",
});
const CLAUDE_CHAT = anthropicMessages.parseRequest(
  '{"model":"v/claude","max_tokens":9,"messages":[{"role":"user","content":"Hi"}],"x":1}',
);

const KEYS = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  publicKeyEncoding: { type: "spki", format: "pem" },
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
});
const KEY_FILE = JSON.stringify({
  type: "service_account",
  project_id: "my-project",
  private_key_id: "kid-1",
  private_key: KEYS.privateKey,
  client_email: "bot@my-project.iam.gserviceaccount.com",
  token_uri: "https://evil.test/token",
});

function targetOf(model: string, fields: Partial<Target["account"]> = {}): Target {
  const account = {
    name: "v",
    kind: "vertex",
    baseUrl: "https://aiplatform.googleapis.com",
    headers: {},
    options: {},
  };
  return { model, account: { ...account, apiKey: KEY_FILE, propagateTrace: false, ...fields } };
}

const requestFor = (chat: ChatRequest, target: Target) =>
  upstreamWireFor(vertex, chat.wire.name, target).toRequest(chat, target);

/** Google's token endpoint, and what it was asked. */
function fakeGoogle(answer: Response | (() => Response)) {
  const asked: { readonly url: string; readonly body: string }[] = [];
  let now = 1_800_000_000_000;
  const ports: SignPorts = {
    now: () => now,
    fetch: (url, init) => {
      asked.push({ url: JSON.stringify(url), body: JSON.stringify(init?.body) });
      return Promise.resolve(typeof answer === "function" ? answer() : answer);
    },
  };
  return { asked, ports, pass: (ms: number) => void (now += ms) };
}

const tokenAnswer = () =>
  Response.json({ access_token: "ya29.token", expires_in: 3599, token_type: "Bearer" });

describe("addresses", () => {
  const ROOT = "projects/my-project/locations";
  test.each([
    [{}, `https://aiplatform.googleapis.com/v1/${ROOT}/global`],
    [{ location: "europe-west6" }, `https://europe-west6-aiplatform.googleapis.com/v1/${ROOT}/europe-west6`],
    [{ location: "eu" }, `https://aiplatform.eu.rep.googleapis.com/v1/${ROOT}/eu`],
    [
      { project: "other", apiVersion: "v1beta1" },
      "https://aiplatform.googleapis.com/v1beta1/projects/other/locations/global",
    ],
  ])("%j", (options, start) => {
    const { url } = requestFor(GEMINI_CHAT, targetOf("gemini-2.5-flash", { options }));
    expect(url).toBe(`${start}/publishers/google/models/gemini-2.5-flash:generateContent`);
  });

  test("an address of the record's own is called as it is", () => {
    const target = targetOf("gemini-2.5-flash", {
      baseUrl: "https://proxy.test/",
      options: { location: "europe-west6" },
    });
    expect(requestFor(GEMINI_CHAT, target).url).toMatch(/^https:\/\/proxy\.test\/v1\/projects\//);
  });

  test("a location can't name another host, and a project must be known", () => {
    const wrong = expect.objectContaining({ code: "upstream_error" });
    expect(() =>
      requestFor(GEMINI_CHAT, targetOf("gemini-2.5-flash", { options: { location: "evil.test/#" } })),
    ).toThrow(wrong);
    expect(() => requestFor(GEMINI_CHAT, targetOf("gemini-2.5-flash", { apiKey: "ya29.ready" }))).toThrow(
      wrong,
    );
  });
});

describe("the token", () => {
  test("is Google's answer to a claim that the account's key signed", async () => {
    const { asked, ports } = fakeGoogle(tokenAnswer());
    const signed = await vertex.sign?.(
      requestFor(GEMINI_CHAT, targetOf("gemini-2.5-flash")),
      targetOf("gemini-2.5-flash"),
      ports,
    );
    expect(signed?.headers["authorization"]).toBe("Bearer ya29.token");
    const [{ url, body } = { url: "", body: "" }] = asked;
    expect(JSON.parse(url)).toBe("https://oauth2.googleapis.com/token");
    const form = new URLSearchParams(JSON.parse(body));
    expect(form.get("grant_type")).toBe("urn:ietf:params:oauth:grant-type:jwt-bearer");
    const [header = "", claims = "", signature = ""] = (form.get("assertion") ?? "").split(".");
    const read = (part: string): unknown => JSON.parse(Buffer.from(part, "base64url").toString());
    expect(read(header)).toEqual({ alg: "RS256", typ: "JWT", kid: "kid-1" });
    expect(read(claims)).toEqual({
      iss: "bot@my-project.iam.gserviceaccount.com",
      scope: "https://www.googleapis.com/auth/cloud-platform",
      aud: "https://oauth2.googleapis.com/token",
      iat: 1_800_000_000,
      exp: 1_800_003_600,
    });
    const verifier = createVerify("RSA-SHA256").update(`${header}.${claims}`);
    expect(verifier.verify(KEYS.publicKey, signature, "base64url")).toBe(true);
  });

  test("is kept until a minute before its end, for this key only", async () => {
    const account = parseServiceAccount(KEY_FILE);
    if (account === undefined) throw new Error("no account");
    const tokenOf = createTokenCache();
    const { asked, ports, pass } = fakeGoogle(tokenAnswer);
    await tokenOf(account, ports);
    pass(3_500_000);
    await tokenOf(account, ports);
    expect(asked).toHaveLength(1);
    pass(60_000);
    await tokenOf(account, ports);
    expect(asked).toHaveLength(2);
    await expect(tokenOf({ ...account, privateKey: "no key" }, ports)).rejects.toMatchObject({
      code: "upstream_auth",
    });
  });

  test.each([
    [
      "a refusal",
      () => Response.json({ error: "invalid_grant", error_description: "secret words" }, { status: 400 }),
    ],
    ["no JSON", () => new Response("<html>")],
  ])("%s is our credential's fault, without Google's words", async (_, answer) => {
    const account = parseServiceAccount(KEY_FILE);
    if (account === undefined) throw new Error("no account");
    await expect(createTokenCache()(account, fakeGoogle(answer).ports)).rejects.toMatchObject({
      code: "upstream_auth",
      message: expect.not.stringContaining("secret"),
    });
  });

  test("may be given ready, as the account's key or as a header of its own", async () => {
    const { asked, ports } = fakeGoogle(tokenAnswer());
    const options = { project: "p" };
    const ready = targetOf("gemini-2.5-flash", { apiKey: "ya29.ready", options });
    const signed = await vertex.sign?.(requestFor(GEMINI_CHAT, ready), ready, ports);
    expect(signed?.headers["authorization"]).toBe("Bearer ya29.ready");
    const own = targetOf("gemini-2.5-flash", { headers: { Authorization: "Bearer own" } });
    const kept = await vertex.sign?.(requestFor(GEMINI_CHAT, own), own, ports);
    expect(kept?.headers["authorization"]).toBe("Bearer own");
    expect(asked).toEqual([]);
  });

  test.each(["", "{}", "[]", '"x"', '{"client_email":"a"}'])("%j is no key file", (text) => {
    expect(parseServiceAccount(text)).toBeUndefined();
  });
});

describe("the wire is the model's", () => {
  const CLAUDE = "claude-sonnet-4-5@20250929";
  test("Claude gets an Anthropic client's bytes, with a version in the model's place", () => {
    const { url, body } = requestFor(CLAUDE_CHAT, targetOf(CLAUDE));
    expect(url).toMatch(/\/publishers\/anthropic\/models\/claude-sonnet-4-5@20250929:rawPredict$/);
    expect(body).toBe(
      '{"anthropic_version":"vertex-2023-10-16","max_tokens":9,"messages":[{"role":"user","content":"Hi"}],"x":1}',
    );
    const streamed = requestFor({ ...CLAUDE_CHAT, stream: true }, targetOf(`anthropic/${CLAUDE}`));
    expect(streamed.url).toMatch(/models\/claude-sonnet-4-5@20250929:streamRawPredict$/);
  });

  test("Claude gets a Gemini client's conversation in Anthropic's words", () => {
    const target = targetOf(CLAUDE);
    const wire = upstreamWireFor(vertex, "gemini", target);
    expect(wire.clientWireName).toBe("anthropic-messages");
    const conversation = geminiGenerateContent.toConversation(GEMINI_CHAT, () => {});
    const json = JSON.parse(wire.toRequest(GEMINI_CHAT, target, { conversation, drop: () => {} }).body ?? "");
    expect(json).toMatchObject({ anthropic_version: "vertex-2023-10-16", messages: [{ role: "user" }] });
    expect(json).not.toHaveProperty("model");
    expect(wire.toResponse(fixtureJson("anthropic/text.json")).choices).toHaveLength(1);
  });

  test("Gemini gets an Anthropic client's conversation in Gemini's words", () => {
    expect(upstreamWireFor(vertex, "anthropic-messages", targetOf("gemini-2.5-flash")).clientWireName).toBe(
      "gemini",
    );
    expect(upstreamWireFor(vertex, "gemini", targetOf("google/gemini-2.5-flash")).clientWireName).toBe(
      "gemini",
    );
  });
});

describe("embeddings", () => {
  const [wire] = vertex.embeddings ?? [];
  const target = () => targetOf("gemini-embedding-001");

  test("go to predict, with what they are for", () => {
    const ask = { inputs: ["a"], dimensions: 64, task: "CLUSTERING", title: "T" };
    const request = wire?.toRequest(GEMINI_CHAT, target(), { ask, drop: () => {} });
    expect(request?.url).toMatch(/\/publishers\/google\/models\/gemini-embedding-001:predict$/);
    expect(JSON.parse(request?.body ?? "")).toEqual({
      instances: [{ content: "a", task_type: "CLUSTERING", title: "T" }],
      parameters: { outputDimensionality: 64 },
    });
  });

  test("come back as predictions, with the tokens of each", () => {
    const response = wire?.toResponse(fixtureJson("vertex/predict.json"));
    expect(response?.vectors()).toEqual([
      [0.0125, -0.25],
      [0.5, 1],
    ]);
    expect(response?.usage).toEqual({ inputTokens: 7, outputTokens: 0 });
    for (const body of [null, {}, { predictions: [{}] }]) {
      expect(() => wire?.toResponse(body)).toThrow(expect.objectContaining({ code: "upstream_malformed" }));
    }
  });
});
