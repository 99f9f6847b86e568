// In whose words a fault is told: by the path, and where several vendors share one, by how the client sends its key.
import { expect, test } from "vitest";
import { errorForm } from "../../../src/middleware/error-form.ts";

test.each<[string, Record<string, string>, string]>([
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
  expect(errorForm(path, new Headers(headers))).toBe(form);
});
