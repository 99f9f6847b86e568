// Which vendor's form an error has: by the path, and where several vendors share one, by how the client sends its key.
import { expect, test } from "vitest";
import { errorForm, PROBLEM_ERRORS } from "../../../src/middleware/error-form.ts";
import { anthropicErrors } from "../../../src/wires/anthropic/client-errors.ts";
import { geminiErrors } from "../../../src/wires/gemini/client-errors.ts";
import { openAiErrors } from "../../../src/wires/openai-chat/client-errors.ts";

const FORMS = {
  openai: openAiErrors,
  anthropic: anthropicErrors,
  gemini: geminiErrors,
  problem: PROBLEM_ERRORS,
};

test.each<[string, Record<string, string>, keyof typeof FORMS]>([
  ["/v1/chat/completions", {}, "openai"],
  ["/v1/chat/completions", { "anthropic-version": "2023-06-01" }, "openai"],
  ["/v1/responses", {}, "openai"],
  ["/v1/messages", {}, "anthropic"],
  ["/v1/messages/count_tokens", {}, "anthropic"],
  ["/v1/messagesx", {}, "openai"],
  ["/v1beta/models/x:generateContent", {}, "gemini"],
  ["/v1/models", {}, "openai"],
  ["/v1/models/a/b", { "anthropic-version": "2023-06-01" }, "anthropic"],
  ["/proxy/up/v1/messages", { "anthropic-version": "2023-06-01" }, "anthropic"],
  ["/proxy/up/x", { "x-goog-api-key": "hg_" }, "gemini"],
  ["/proxy/up/x", {}, "openai"],
  ["/admin/tenants", {}, "problem"],
  ["/nowhere", {}, "openai"],
])("%s with %j: %s", (path, headers, form) => {
  expect(errorForm(path, new Headers(headers))).toBe(FORMS[form]);
});
