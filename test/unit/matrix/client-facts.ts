// What an SDK of each wireName reads out of a whole answer's body. Read off the vendors' formats by hand and not with our own
// readers, so that a fault which both sides share can't hide.
import type { FinishReason } from "../../../src/schema/chat.ts";
import type { Facts } from "./clients.ts";

// Answers are JSON whose form the test asserts by reading it.
type Json = ReturnType<typeof JSON.parse>;
type Reader = (body: Json) => Facts;
type Reasons = Readonly<Record<string, FinishReason>>;

const join = (texts: readonly unknown[]): string => texts.filter((text) => typeof text === "string").join("");
const list = (value: Json): Json[] => (Array.isArray(value) ? value : []);
const unique = (texts: readonly string[]): readonly string[] => [...new Set(texts)];

const CHAT_REASONS: Reasons = {
  stop: "stop",
  length: "length",
  tool_calls: "tool_calls",
  content_filter: "content_filter",
};

const readChat: Reader = (body) => {
  const [{ message, finish_reason, logprobs }] = body.choices;
  return {
    text: message.content ?? "",
    reasoning: message.reasoning_content ?? "",
    calls: list(message.tool_calls).map((call) => ({
      name: call.function.name,
      args: JSON.parse(call.function.arguments),
    })),
    finishReason: CHAT_REASONS[finish_reason],
    inputTokens: body.usage.prompt_tokens,
    outputTokens: body.usage.completion_tokens,
    sources: list(message.annotations).map((annotation) => annotation.url_citation.url),
    likely: list(logprobs?.content).map(({ token }) => token),
  };
};

const readResponses: Reader = (body) => {
  const items = list(body.output);
  const contents = items.filter(({ type }) => type === "message").flatMap(({ content }) => list(content));
  const calls = items.filter(({ type }) => type === "function_call");
  const thoughts = items.filter(({ type }) => type === "reasoning");
  const reason = body.incomplete_details?.reason;
  const incomplete = reason === "max_output_tokens" ? "length" : "content_filter";
  return {
    text: join(contents.map(({ text }) => text)),
    reasoning: join(
      thoughts.flatMap((item) => [...list(item.summary), ...list(item.content)]).map(({ text }) => text),
    ),
    calls: calls.map((call) => ({ name: call.name, args: JSON.parse(call.arguments) })),
    finishReason: body.status === "incomplete" ? incomplete : calls.length > 0 ? "tool_calls" : "stop",
    inputTokens: body.usage.input_tokens,
    outputTokens: body.usage.output_tokens,
    sources: contents.flatMap(({ annotations }) => list(annotations)).map(({ url }) => url),
    likely: contents.flatMap(({ logprobs }) => list(logprobs)).map(({ token }) => token),
  };
};

const CLAUDE_REASONS: Reasons = {
  end_turn: "stop",
  stop_sequence: "stop",
  max_tokens: "length",
  tool_use: "tool_calls",
  refusal: "content_filter",
};

const readMessage: Reader = (body) => {
  const ofType = (type: string): Json[] => list(body.content).filter((block) => block.type === type);
  const { usage } = body;
  const cached = (usage.cache_read_input_tokens ?? 0) + (usage.cache_creation_input_tokens ?? 0);
  return {
    text: join(ofType("text").map(({ text }) => text)),
    reasoning: join(ofType("thinking").map(({ thinking }) => thinking)),
    calls: ofType("tool_use").map(({ name, input }) => ({ name, args: input })),
    finishReason: CLAUDE_REASONS[body.stop_reason],
    inputTokens: usage.input_tokens + cached,
    outputTokens: usage.output_tokens,
    sources: ofType("text").flatMap(({ citations }) =>
      list(citations).flatMap(({ url, source }) => url ?? source ?? []),
    ),
    // The wire has none.
    likely: [],
  };
};

const GEMINI_REASONS: Reasons = { STOP: "stop", MAX_TOKENS: "length", SAFETY: "content_filter" };

const readGemini: Reader = (body) => {
  const [candidate] = body.candidates;
  const parts = list(candidate.content.parts);
  const calls = parts.filter(({ functionCall }) => functionCall !== undefined);
  const reason = GEMINI_REASONS[candidate.finishReason];
  const { usageMetadata: usage } = body;
  return {
    text: join(parts.filter(({ thought }) => thought !== true).map(({ text }) => text)),
    reasoning: join(parts.filter(({ thought }) => thought === true).map(({ text }) => text)),
    calls: calls.map(({ functionCall }) => ({ name: functionCall.name, args: functionCall.args })),
    finishReason: reason === "stop" && calls.length > 0 ? "tool_calls" : reason,
    inputTokens: usage.promptTokenCount,
    outputTokens: usage.candidatesTokenCount + (usage.thoughtsTokenCount ?? 0),
    sources: list(candidate.groundingMetadata?.groundingChunks).flatMap((chunk) => chunk.web?.uri ?? []),
    likely: list(candidate.logprobsResult?.chosenCandidates).map(({ token }) => token),
  };
};

const READERS = {
  "openai-chat": readChat,
  "openai-responses": readResponses,
  "anthropic-messages": readMessage,
  gemini: readGemini,
} as const;

export function readFacts(wireName: keyof typeof READERS, body: string): Facts {
  const facts = READERS[wireName](JSON.parse(body));
  return { ...facts, sources: unique(facts.sources) };
}
