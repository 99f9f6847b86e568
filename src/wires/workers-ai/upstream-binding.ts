/**
 * Workers AI as the Worker's binding speaks it, which no client does: requests in the chat wire's words, and answers
 * in one of two forms by model, the chat wire's (`choices`) or the platform's older one (`response`).
 * https://developers.cloudflare.com/workers-ai/configuration/bindings/ (seen 2026-11)
 */

import type { ChatResponse } from "../../schema/chat.ts";
import { GatewayError } from "../../errors.ts";
import { isPresent, isRecord, listOf, recordOf, type JsonRecord } from "../../json/fields.ts";
import { type RequestForm, writeChatRequest } from "../openai-chat/upstream-request.ts";
import { readCompletion, readChatUsage } from "../openai-chat/upstream-answer.ts";
import type { UpstreamEmbeddingWire, Target, UpstreamRequest, UpstreamWire } from "../upstream-wire.ts";
import { createBoundDecoder, INDEX, readBindingCall, readResponseText } from "./upstream-stream.ts";
import { malformed } from "../read-upstream.ts";
import { toJson } from "../../json/exact.ts";
import { readFinish } from "../finish-words.ts";
import type { UpstreamReport } from "../../schema/upstream-report.ts";

/** The body of a request to a binding, as JSON. */
export interface ModelCall {
  readonly model: string;
  readonly inputs: object;
  /** Cloudflare's AI Gateway that such a call may go through. */
  readonly gateway?: { readonly id: string };
}

/** Usage comes unasked with a stream's last event. */
const FORM: RequestForm = { maxTokensField: "max_tokens", takesTopK: true, takesStreamOptions: false };

export const boundChatWire: UpstreamWire = {
  clientWireName: undefined,
  toRequest(chat, target, translation) {
    if (translation === undefined)
      throw new GatewayError("internal_error", "The AI binding is an upstream-only wire.");
    const { model: _, ...inputs } = writeChatRequest(chat, target, translation, FORM);
    return toCall(target, {
      ...inputs,
      messages: listOf(inputs["messages"]).map(withContent),
      ...(isPresent(inputs["response_format"]) && { response_format: bareSchema(inputs["response_format"]) }),
    });
  },
  toResponse: readBoundAnswer,
  decoder: createBoundDecoder,
};

export const boundEmbeddingWire: UpstreamEmbeddingWire = {
  clientWireName: undefined,
  toRequest(chat, target, translation) {
    if (translation === undefined)
      throw new GatewayError("internal_error", "The AI binding is an upstream-only wire.");
    const { ask, drop } = translation;
    if (ask.dimensions !== undefined) drop(chat.wire.fieldNames.dimensions);
    if (ask.task !== undefined) drop("taskType");
    if (ask.title !== undefined) drop("title");
    if (ask.inputs.some((input) => typeof input !== "string")) {
      const message = "This model doesn't accept token ids: send `input` as text.";
      throw new GatewayError("invalid_request", message, { param: "input" });
    }
    return toCall(target, { text: ask.inputs });
  },
  toResponse(body) {
    const data = listOf(recordOf(body)["data"]);
    if (data.length === 0) throw malformed("a response without embeddings");
    const vectors = data.map((vector) => {
      if (Array.isArray(vector) && vector.every((value) => typeof value === "number")) return vector;
      throw malformed("an embedding that is not a list of numbers");
    });
    const usage = readChatUsage(recordOf(body)["usage"]);
    return {
      vectors: () => vectors,
      ...(usage !== undefined && { usage }),
    };
  },
};

/** There is no address: the binding is one. An account's headers go along, its key is not needed. */
function toCall({ account, model }: Target, inputs: object): UpstreamRequest {
  const { gateway } = account.options;
  const call: ModelCall = {
    model,
    inputs,
    ...(gateway !== undefined && { gateway: { id: String(gateway) } }),
  };
  const headers = Object.entries(account.headers).map(([name, value]) => [name.toLowerCase(), value]);
  return { method: "POST", url: "", headers: Object.fromEntries(headers), body: toJson(call) };
}

/** A turn that only calls tools has no content on the chat wire; models here want a text. */
function withContent(message: unknown): JsonRecord {
  const fields = recordOf(message);
  return isPresent(fields["content"]) ? fields : { ...fields, content: "" };
}

/** The schema itself stands where the chat wire has its name and strictness around it: …/features/json-mode/ (seen 2026-11). */
function bareSchema(format: unknown): unknown {
  const { type, json_schema: named } = recordOf(format);
  return type === "json_schema" ? { type, json_schema: recordOf(named)["schema"] } : format;
}

/** A whole answer; throws `upstream_malformed`. */
function readBoundAnswer(body: unknown, report?: UpstreamReport): ChatResponse {
  if (!isRecord(body) || Array.isArray(body["choices"])) return readCompletion(body, report);
  const calls = listOf(body["tool_calls"]).map((call, at) => readBindingCall(recordOf(call), at));
  if (!("response" in body) && calls.length === 0) throw malformed("a response without a response");
  const usage = readChatUsage(body["usage"]);
  return {
    choices: [
      {
        index: INDEX,
        text: readResponseText(body["response"]),
        toolCalls: calls,
        finishReason: readFinish(body["finish_reason"]) ?? (calls.length > 0 ? "tool_calls" : "stop"),
      },
    ],
    ...(usage !== undefined && { usage }),
  };
}
