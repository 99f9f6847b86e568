// Names of models: those that leave a vendor's path, and those that a key is not for.
import {
  asClient,
  type Attack,
  type AttackChapter,
  BAD_REQUEST,
  CHAT,
  DENIED,
  NO_PATH,
  refused,
} from "./attack.ts";

const SEGMENTS: readonly string[] = [
  "gem/small/../large",
  "gem/small/../../../secret/api",
  "gem/small/%2e%2e/large",
  "gem/small/%252e%252e/large",
  "gem/small/..;/large",
  "gem/small/./large",
  "gem/small\\..\\large",
  "gem/..",
  "gem/small\n",
  "gem/small\u0000",
  "gem/small\u001b[31m",
  "gem/small\u202e",
  "gem/small\u2028",
  "gem/small/..%00/large",
  "gem/small/..%20/large",
  "gem/small%0d%0ax-injected: 1",
  "gem/small%e2%80%ae",
];

const written = (text: string): string =>
  JSON.stringify(text)
    .slice(1, -1)
    .replaceAll(/[^\x20-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);

export const unsafeNames: AttackChapter = {
  file: "models.ts",
  title: "A model's name that is more than a name",
  attacks: SEGMENTS.flatMap((model): readonly Attack[] => [
    {
      attack: `\`${written(model)}\` in a body`,
      path: "/v1/chat/completions",
      method: "POST",
      headers: asClient,
      body: { ...CHAT, model },
      refusal: BAD_REQUEST,
    },
    {
      attack: `\`${written(model)}\` in Google's path`,
      path: `/v1beta/models/${encodeURIComponent(model).replaceAll("%2F", "/")}:generateContent`,
      method: "POST",
      headers: asClient,
      body: { contents: [{ parts: [{ text: "hi" }] }] },
      // A line break ends what a path may be.
      refusal: /[\n\u2028]/.test(model) ? NO_PATH : BAD_REQUEST,
    },
  ]),
};

const limited = { authorization: "Bearer {limited}" };
const post = (
  attack: string,
  path: string,
  body: object | string,
  headers: Readonly<Record<string, string>> = {},
  refusal = DENIED,
): Attack => ({
  attack,
  method: "POST",
  path,
  headers: { ...limited, ...headers },
  body,
  refusal,
});
const words = CHAT.messages;

/** The key is for `up/small*` alone. */
export const forbiddenModels: AttackChapter = {
  file: "models.ts",
  title: "A model that the key is not for",
  attacks: [
    post("in OpenAI's chat form", "/v1/chat/completions", { model: "up/large", messages: words }),
    post("in OpenAI's Responses form", "/v1/responses", { model: "up/large", input: "hi" }),
    post("in Anthropic's form", "/v1/messages", { model: "up/large", max_tokens: 5, messages: words }),
    post("in Anthropic's count", "/v1/messages/count_tokens", { model: "up/large", messages: words }),
    post("in Gemini's form", "/v1beta/models/up/large:generateContent", {
      contents: [{ parts: [{ text: "hi" }] }],
    }),
    post("in Gemini's stream", "/v1beta/models/up/large:streamGenerateContent?alt=sse", {
      contents: [{ parts: [{ text: "hi" }] }],
    }),
    post("in Gemini's count", "/v1beta/models/up/large:countTokens", {
      contents: [{ parts: [{ text: "hi" }] }],
    }),
    post("for embeddings", "/v1/embeddings", { model: "up/large", input: "hi" }),
    post("for images", "/v1/images/generations", { model: "up/large", prompt: "hi" }),
    post("for speech", "/v1/audio/speech", { model: "up/large", input: "hi", voice: "alloy" }),
    post("for moderation", "/v1/moderations", { model: "up/large", input: "hi" }),
    post("for reranking", "/v1/rerank", { model: "up/large", query: "hi", documents: ["a"] }),
    post(
      "by the header that names a target",
      "/v1/chat/completions",
      CHAT,
      {
        "x-headgate-target": "up/large",
      },
      BAD_REQUEST,
    ),
    post(
      "by a second `model` in the body",
      "/v1/chat/completions",
      '{"model":"up/small","model":"up/large","messages":[{"role":"user","content":"hi"}]}',
    ),
    post(
      "by an escaped `model` in the body",
      "/v1/chat/completions",
      '{"model":"up/small","\\u006dodel":"up/large","messages":[{"role":"user","content":"hi"}]}',
    ),
    post("in other letters", "/v1/chat/completions", { model: "UP/large", messages: words }),
    post("with a space before it", "/v1/chat/completions", { model: " up/large", messages: words }),
    post(
      "with the allowed name before it",
      "/v1/chat/completions",
      { model: "up/small/../large", messages: words },
      {},
      BAD_REQUEST,
    ),
    {
      attack: "by its key in `x-api-key` alone",
      method: "POST",
      path: "/v1/messages",
      headers: { "x-api-key": "{limited}" },
      body: { model: "up/large", max_tokens: 5, messages: words },
      refusal: DENIED,
    },
    {
      attack: "by its key in `x-goog-api-key`",
      method: "POST",
      path: "/v1beta/models/up/large:generateContent",
      headers: { "x-goog-api-key": "{limited}" },
      body: { contents: [{ parts: [{ text: "hi" }] }] },
      refusal: DENIED,
    },
    {
      attack: "by its key in Google's query",
      method: "POST",
      path: "/v1beta/models/up/large:generateContent?key={limited}",
      body: { contents: [{ parts: [{ text: "hi" }] }] },
      refusal: DENIED,
    },
    {
      attack: "the record of a model that the key is not for",
      path: "/v1/models/up/large",
      headers: limited,
      refusal: refused(404, "model_not_found"),
    },
  ],
};

const clientNames = (field: string, value: unknown): Attack => ({
  attack: `\`${field}\` in the body names the vendor's address`,
  method: "POST",
  path: "/v1/chat/completions",
  headers: asClient,
  body: { ...CHAT, [field]: value },
  refusal: { kind: "sent to the account" },
});
export const chosenAddresses: AttackChapter = {
  file: "models.ts",
  title: "An address that the client chooses",
  attacks: [
    clientNames("api_base", "http://evil.example"),
    clientNames("base_url", "http://evil.example"),
    ...["x-api-base", "x-portkey-custom-host", "x-base-url", "x-forwarded-host", "x-amz-security-token"].map(
      (header): Attack => ({
        attack: `\`${header}\` on a chat`,
        method: "POST",
        path: "/v1/chat/completions",
        headers: { ...asClient, [header]: "evil.example" },
        body: CHAT,
        refusal: { kind: "sent to the account" },
      }),
    ),
  ],
};
