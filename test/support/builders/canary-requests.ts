// Requests of every wire with something to be found again in each place where a client can put words, and the upstreams'
// answers, refusals and faults that quote all of it. What must not be found is the test's business.
import { anthropicError, anthropicMessage } from "../servers/scripted-anthropic.ts";
import { candidate, type GeminiReply } from "../servers/scripted-gemini.ts";
import { responsesReply } from "../servers/scripted-responses.ts";
import type { UpstreamRequest } from "../servers/scripted-upstream.ts";
import type { Reply } from "../servers/upstream-replies.ts";

/** A text for each place; made up where it is first asked for, and remembered. */
export type Canaries = {
  say(place: string): string;
  /** Everything planted so far, by place. */
  readonly planted: ReadonlyMap<string, string>;
};

export type CanaryRequest = {
  readonly dialect: string;
  readonly path: string;
  readonly body: object;
};

/** `make` gives the text of a place. */
export function createCanaries(make: (place: string) => string): Canaries {
  const planted = new Map<string, string>();
  return {
    planted,
    say(place) {
      const known = planted.get(place) ?? make(place);
      planted.set(place, known);
      return known;
    },
  };
}

/** `what in where` for each secret that is in one of the places' texts. */
export function findSecrets(
  places: Readonly<Record<string, string>>,
  secrets: Readonly<Record<string, string>>,
): readonly string[] {
  return Object.entries(places).flatMap(([where, text]) =>
    Object.entries(secrets).flatMap(([what, secret]) =>
      text.includes(secret) ? [`${what} in ${where}`] : [],
    ),
  );
}

/** A request in each chat wire for `model`, every field that takes text filled. */
export function canaryRequests({ say }: Canaries, model: string, stream: boolean): readonly CanaryRequest[] {
  const image = Buffer.from(say("image")).toString("base64");
  const schema = {
    type: "object",
    description: say("schema"),
    properties: { [say("property")]: { type: "string" } },
  };
  const tool = { name: "look", description: say("tool-definition"), parameters: schema };
  const args = { where: say("tool-arguments") };
  return [
    {
      dialect: "chat",
      path: "/v1/chat/completions",
      body: {
        model,
        stream,
        messages: [
          { role: "system", content: say("system") },
          {
            role: "user",
            content: [
              { type: "text", text: say("prompt") },
              { type: "image_url", image_url: { url: `data:image/png;base64,${image}` } },
            ],
          },
          {
            role: "assistant",
            content: say("history"),
            tool_calls: [
              { id: "call_1", type: "function", function: { name: "look", arguments: JSON.stringify(args) } },
            ],
          },
          { role: "tool", tool_call_id: "call_1", content: say("tool-result") },
        ],
        tools: [{ type: "function", function: tool }],
        stop: [say("stop")],
        user: say("user"),
      },
    },
    {
      dialect: "responses",
      path: "/v1/responses",
      body: {
        model,
        stream,
        instructions: say("system"),
        input: [
          {
            role: "user",
            content: [
              { type: "input_text", text: say("prompt") },
              { type: "input_image", image_url: `data:image/png;base64,${image}` },
            ],
          },
          { type: "function_call", call_id: "call_1", name: "look", arguments: JSON.stringify(args) },
          { type: "function_call_output", call_id: "call_1", output: say("tool-result") },
        ],
        tools: [{ type: "function", ...tool }],
        user: say("user"),
      },
    },
    {
      dialect: "messages",
      path: "/v1/messages",
      body: {
        model,
        stream,
        max_tokens: 64,
        system: say("system"),
        messages: [
          {
            role: "user",
            content: [
              { type: "text", text: say("prompt") },
              { type: "image", source: { type: "base64", media_type: "image/png", data: image } },
            ],
          },
          {
            role: "assistant",
            content: [
              { type: "text", text: say("history") },
              { type: "tool_use", id: "call_1", name: "look", input: args },
            ],
          },
          {
            role: "user",
            content: [{ type: "tool_result", tool_use_id: "call_1", content: say("tool-result") }],
          },
        ],
        tools: [{ name: tool.name, description: tool.description, input_schema: schema }],
        stop_sequences: [say("stop")],
        metadata: { user_id: say("user") },
      },
    },
    {
      dialect: "gemini",
      path: `/v1beta/models/${encodeURIComponent(model)}:${stream ? "streamGenerateContent?alt=sse&" : "generateContent?"}note=${say("query")}`,
      body: {
        systemInstruction: { parts: [{ text: say("system") }] },
        contents: [
          {
            role: "user",
            parts: [{ text: say("prompt") }, { inlineData: { mimeType: "image/png", data: image } }],
          },
          { role: "model", parts: [{ functionCall: { name: "look", args } }] },
          {
            role: "user",
            parts: [{ functionResponse: { name: "look", response: { said: say("tool-result") } } }],
          },
        ],
        tools: [{ functionDeclarations: [tool] }],
        generationConfig: { stopSequences: [say("stop")] },
      },
    },
  ];
}

/** What becomes of a request at its upstream. */
export const FATES = ["answered", "called", "refused", "faulty", "garbled", "cut"] as const;
export type Fate = (typeof FATES)[number];

/** An OpenAI-compatible upstream's reply of that fate; a refusal quotes `quoted`, as vendors do. */
export function openAiReply(
  { say }: Canaries,
  fate: Fate,
  quoted: string,
  { path, json }: UpstreamRequest,
): Reply {
  const isTold = fate === "answered" || fate === "called";
  if (path.endsWith("/responses") && isTold) return responsesReply(json, { text: say("answer") });
  const message = `${say("upstream-error")}: ${quoted}`;
  switch (fate) {
    case "answered":
      return {
        kind: "answer",
        text: `an ${say("answer")} of words`,
        headers: { "set-cookie": `a=${say("set-cookie")}` },
      };
    case "called": {
      const call = {
        id: "call_2",
        name: "look",
        arguments: JSON.stringify({ where: say("answer-arguments") }),
      };
      return { kind: "answer", toolCalls: [call] };
    }
    case "refused":
      return {
        kind: "error",
        status: 400,
        body: { error: { message, type: "invalid_request_error", code: say("code") } },
      };
    case "faulty":
      return { kind: "error", status: 500, body: { error: { message, type: "server_error" } } };
    case "garbled":
      return { kind: "raw", body: `<html>${message}</html>` };
    case "cut":
      return { kind: "answer", text: `an ${say("answer")} of words`, end: "cut", endAfterChunks: 2 };
  }
}

/** The same in Anthropic's wire. */
export function claudeReply({ say }: Canaries, fate: Fate, quoted: string, request: UpstreamRequest): Reply {
  const message = `${say("upstream-error")}: ${quoted}`;
  if (fate === "refused") return anthropicError(400, "invalid_request_error", message);
  if (fate === "faulty") return anthropicError(500, "api_error", message);
  if (fate === "garbled") return { kind: "raw", body: `<html>${message}</html>` };
  const content =
    fate === "called"
      ? [{ type: "tool_use", id: "call_2", name: "look", input: { where: say("answer-arguments") } }]
      : [
          { type: "thinking", thinking: say("thinking"), signature: say("signature") },
          { type: "text", text: `an ${say("answer")} of words` },
        ];
  return anthropicMessage({ content, ...(fate === "cut" && { end: "cut", endAfterEvents: 8 }) })(request);
}

/** The same in Gemini's. */
export function geminiReply({ say }: Canaries, fate: Fate, quoted: string): GeminiReply {
  const message = `${say("upstream-error")}: ${quoted}`;
  const error = (code: number, status: string): GeminiReply => ({
    kind: "json",
    status: code,
    body: { error: { code, message, status } },
  });
  if (fate === "refused") return error(400, "INVALID_ARGUMENT");
  if (fate === "faulty") return error(500, "INTERNAL");
  if (fate === "garbled") return { kind: "json", body: { said: message } };
  const part =
    fate === "called"
      ? { functionCall: { name: "look", args: { where: say("answer-arguments") } } }
      : { text: `an ${say("answer")} of words` };
  const events = [candidate([part]), candidate([{ text: say("answer") }], { finishReason: "STOP" })];
  return fate === "cut"
    ? { kind: "events", events: events.slice(0, 1), end: "cut" }
    : { kind: "events", events: [candidate([part], { finishReason: "STOP" })] };
}
