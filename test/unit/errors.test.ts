// The error table: what each row says to a client, and that nothing else gets out.
import { describe, expect, test } from "vitest";
import { errorHeaders, GatewayError, problemBody, toGatewayError } from "../../src/errors.ts";
import { anthropicErrorBody, anthropicStatus } from "../../src/wires/anthropic/client-errors.ts";
import { geminiErrorBody } from "../../src/wires/gemini/client-errors.ts";
import { openAiErrorBody } from "../../src/wires/openai-chat/client-errors.ts";

describe("status and fallback", () => {
  test.each([
    ["invalid_request", 400, false],
    ["invalid_api_key", 401, false],
    ["permission_denied", 403, false],
    ["model_not_found", 404, false],
    ["request_too_large", 413, false],
    ["rate_limited", 429, false],
    ["budget_exceeded", 429, false],
    ["cache_miss", 504, false],
    ["upstream_rejected", 400, false],
    ["upstream_auth", 502, true],
    ["upstream_rate_limited", 429, true],
    ["upstream_error", 502, true],
    ["upstream_malformed", 502, true],
    ["upstream_overloaded", 503, true],
    ["upstream_timeout", 504, true],
    ["internal_error", 500, false],
  ] as const)("%s answers %i", (code, status, canFallBack) => {
    const error = new GatewayError(code, "why");
    expect(error.status).toBe(status);
    expect(error.canFallBack).toBe(canFallBack);
  });

  test("a rejection by the upstream carries the upstream's own status", () => {
    expect(new GatewayError("upstream_rejected", "no", { status: 422 }).status).toBe(422);
  });
});

describe("bodies", () => {
  test("the OpenAI body has message, type, param and code", () => {
    const error = new GatewayError("invalid_request", "Bad `n`.", { param: "n" });
    expect(openAiErrorBody(error)).toEqual({
      error: { message: "Bad `n`.", type: "invalid_request_error", param: "n", code: "invalid_request" },
    });
  });

  test("a spent budget is of the type that OpenAI's clients know as one", () => {
    const { error } = openAiErrorBody(new GatewayError("budget_exceeded", "spent"));
    expect(error).toMatchObject({ type: "insufficient_quota", code: "budget_exceeded", param: null });
  });

  test.each([
    ["invalid_request", 400, "invalid_request_error"],
    ["invalid_api_key", 401, "authentication_error"],
    ["tenant_suspended", 403, "permission_error"],
    ["model_not_found", 404, "not_found_error"],
    ["method_not_allowed", 405, "invalid_request_error"],
    ["request_too_large", 413, "request_too_large"],
    ["budget_exceeded", 429, "rate_limit_error"],
    ["internal_error", 500, "api_error"],
    ["upstream_auth", 502, "api_error"],
    ["unavailable", 503, "api_error"],
    ["upstream_overloaded", 529, "overloaded_error"],
    ["upstream_timeout", 504, "timeout_error"],
  ] as const)("%s is Anthropic's %i, a %s", (code, status, type) => {
    const error = new GatewayError(code, "why");
    expect(anthropicStatus(error)).toBe(status);
    expect(anthropicErrorBody(error, "req_1")).toEqual({
      type: "error",
      error: { type, message: "why" },
      request_id: "req_1",
    });
  });

  test.each([
    ["invalid_request", 400, "INVALID_ARGUMENT"],
    ["invalid_api_key", 401, "UNAUTHENTICATED"],
    ["permission_denied", 403, "PERMISSION_DENIED"],
    ["model_not_found", 404, "NOT_FOUND"],
    ["rate_limited", 429, "RESOURCE_EXHAUSTED"],
    ["upstream_error", 502, "INTERNAL"],
    ["upstream_overloaded", 503, "UNAVAILABLE"],
    ["upstream_timeout", 504, "DEADLINE_EXCEEDED"],
  ] as const)("%s is Gemini's %i, %s", (code, status, name) => {
    const error = new GatewayError(code, "why");
    expect(geminiErrorBody(error)).toEqual({ error: { code: status, message: "why", status: name } });
  });

  test("problem details name the code, the field and the request", () => {
    const error = new GatewayError("conflict", "It exists.", { param: "name" });
    expect(problemBody(error, "req-1")).toEqual({
      type: "about:blank",
      title: "conflict",
      status: 409,
      detail: "It exists.",
      code: "conflict",
      param: "name",
      requestId: "req-1",
    });
  });
});

describe("unknown faults", () => {
  test("become internal_error with a fixed sentence that holds nothing of theirs", () => {
    const error = toGatewayError(new TypeError("secret sk-123 at line 4"));
    expect(error).toMatchObject({ code: "internal_error", status: 500 });
    expect(JSON.stringify(openAiErrorBody(error))).not.toContain("secret");
  });

  test("a GatewayError stays itself", () => {
    const error = new GatewayError("not_found", "no");
    expect(toGatewayError(error)).toBe(error);
  });
});

describe("headers", () => {
  test("a wait is given in whole seconds, rounded up, and in milliseconds", () => {
    const error = new GatewayError("rate_limited", "wait", { retryAfterMs: 1200.4 });
    expect(errorHeaders(error)).toEqual({ "retry-after": "2", "retry-after-ms": "1201" });
  });

  test("a wait below zero is none", () => {
    const error = new GatewayError("rate_limited", "wait", { retryAfterMs: -5 });
    expect(errorHeaders(error)).toEqual({ "retry-after": "0", "retry-after-ms": "0" });
  });

  test("a 429 or 503 always says when to come back, any other fault only when it knows", () => {
    expect(errorHeaders(new GatewayError("upstream_overloaded", "busy"))["retry-after"]).toBe("1");
    expect(errorHeaders(new GatewayError("upstream_rate_limited", "busy"))["retry-after-ms"]).toBe("1000");
    expect(errorHeaders(new GatewayError("upstream_error", "broken"))).toEqual({});
  });

  test("headers of the error's own are kept", () => {
    const error = new GatewayError("method_not_allowed", "no", { headers: { allow: "GET" } });
    expect(errorHeaders(error)).toEqual({ allow: "GET" });
  });
});
