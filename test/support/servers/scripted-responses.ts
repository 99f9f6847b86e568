// Replies of a scripted upstream in OpenAI's Responses wire: whole or streamed as the request asks. Goes with
// scripted-upstream.ts, whose own answers are chat completions.
import type { Billing, Reply } from "./upstream-replies.ts";

const USAGE: Billing = { inputTokens: 5, outputTokens: 2, cachedTokens: 0, reasoningTokens: 0 };

export function responsesReply(
  json: Readonly<Record<string, unknown>>,
  { text, usage = USAGE }: { readonly text: string; readonly usage?: Billing },
): Reply {
  const content = [{ type: "output_text", text, annotations: [] }];
  const item = { type: "message", id: "msg_1", status: "completed", role: "assistant", content };
  const response = {
    id: "resp_1",
    object: "response",
    status: "completed",
    model: json["model"],
    output: [item],
    usage: {
      input_tokens: usage.inputTokens,
      input_tokens_details: { cached_tokens: usage.cachedTokens },
      output_tokens: usage.outputTokens,
      output_tokens_details: { reasoning_tokens: usage.reasoningTokens },
      total_tokens: usage.inputTokens + usage.outputTokens,
    },
  };
  if (json["stream"] !== true) return { kind: "raw", body: JSON.stringify(response) };
  const events = [
    { type: "response.created", response: { ...response, status: "in_progress", output: [], usage: null } },
    { type: "response.output_text.delta", item_id: "msg_1", output_index: 0, content_index: 0, delta: text },
    { type: "response.completed", response },
  ];
  return {
    kind: "pieces",
    pieces: events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`),
  };
}
