// What an upstream's refusal becomes: the row of the table, the wait, and no word that is not for the client.
import { describe, expect, test } from "vitest";
import { readOpenAiError } from "../../../../src/wires/openai-chat/upstream-errors.ts";
import { fixtureJson } from "../../../support/builders/wire-fixtures.ts";

const NOW_MS = Date.UTC(2026, 10, 25, 10, 0, 0);
const read = (status: number, body?: unknown, headers: Record<string, string> = {}) =>
  readOpenAiError(status, new Headers(headers), body, { nowMs: NOW_MS });

describe("the row of the table", () => {
  test.each([
    [400, "upstream_rejected", 400],
    [404, "upstream_rejected", 404],
    [409, "upstream_rejected", 409],
    [413, "upstream_rejected", 413],
    [422, "upstream_rejected", 422],
    [401, "upstream_auth", 502],
    [403, "upstream_auth", 502],
    [429, "upstream_rate_limited", 429],
    [408, "upstream_timeout", 504],
    [504, "upstream_timeout", 504],
    [503, "upstream_overloaded", 503],
    [529, "upstream_overloaded", 503],
    [500, "upstream_error", 502],
    [502, "upstream_error", 502],
    [402, "upstream_error", 502],
    [405, "upstream_error", 502],
    [302, "upstream_error", 502],
    [307, "upstream_error", 502],
  ] as const)("%i is %s, and the client gets %i", (status, code, clientStatus) => {
    const error = read(status);
    expect(error).toMatchObject({ code, status: clientStatus, details: { upstreamStatus: status } });
    expect(error.canFallBack).toBe(code !== "upstream_rejected");
  });
});

describe("the wait", () => {
  test.each([429, 503, 529, 500])("of a %i is passed on", (status) => {
    expect(read(status, undefined, { "retry-after": "20" }).details.retryAfterMs).toBe(20_000);
    expect(read(status, undefined, { "retry-after-ms": "250" }).details.retryAfterMs).toBe(250);
    const date = { "retry-after": "Wed, 25 Nov 2026 10:00:30 GMT" };
    expect(read(status, undefined, date).details.retryAfterMs).toBe(30_000);
    expect(read(status).details.retryAfterMs).toBeUndefined();
  });
});

describe("the upstream's words", () => {
  test("are passed on where the fault is the caller's, with the field they name", () => {
    const error = read(400, fixtureJson("openai/errors/400.json"));
    expect(error.message).toContain("Supported values are: 'system'");
    expect(error.details.param).toBe("messages[0].role");
    expect(read(404, fixtureJson("openai/errors/404.json")).message).toContain("gpt-9");
  });

  test.each([
    [{ error: "plain" }, "plain"],
    [{ message: "plain" }, "plain"],
    [{ detail: "plain" }, "plain"],
    [{ detail: [{ msg: "x" }] }, "The upstream rejected the request with status 422."],
    ["<html>", "The upstream rejected the request with status 422."],
    [undefined, "The upstream rejected the request with status 422."],
  ])("are found in %j", (body, message) => {
    expect(read(422, body).message).toBe(message);
  });

  test.each([401, 403, 429, 500, 503, 504])("never reach the client of a %i", (status) => {
    const message = "secret words about org-f4nC1bQ";
    expect(read(status, { error: { message } }).message).not.toContain("secret");
    expect(read(status, fixtureJson("openai/errors/401.json")).message).not.toContain("sk-");
    expect(read(status, fixtureJson("openai/errors/429.json")).message).not.toContain("org-");
  });

  test("are cut where they are a page", () => {
    expect(read(400, { error: { message: "x".repeat(100_000) } }).message.length).toBe(2000);
  });
});

describe("credentials in the upstream's words", () => {
  const account = { apiKey: "plain-word-key", headers: { "x-secret": "another-secret", "x-env": "dev" } };
  const scrub = (message: string): string =>
    readOpenAiError(400, new Headers(), { error: { message } }, { account }).message;

  test("the account's own key and header values are cut out", () => {
    expect(scrub("key plain-word-key, header another-secret")).toBe("key [redacted], header [redacted]");
  });

  test("a header value too short for a secret is left", () => {
    expect(scrub("not in dev")).toBe("not in dev");
  });

  test.each([
    "sk-proj-abcDEF123456_-x",
    "sk-proj-********************3fAx",
    "Bearer abc.DEF-123456",
    "bearer sk-abcdefgh123",
    "Basic dXNlcjpwYXNzd29yZA==",
    "hg_0123456789abcdefABCDEF",
    "gsk_abcdefgh12345",
    "AIzaSyA1234567890abcdefghij",
    "AKIAIOSFODNN7EXAMPLE",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
  ])("%s is cut out", (secret) => {
    expect(scrub(`Wrong key: ${secret}.`)).toMatch(/^Wrong key: \[redacted\]\.?$/);
  });

  test("words that only look a little alike are left", () => {
    const message = "The task-force said: risk-free, basic authentication, 'hg' and sky-high limits.";
    expect(scrub(message)).toBe(message);
  });

  test("the field is scrubbed like the message", () => {
    const body = { error: { message: "m", param: "sk-abcdefgh12345" } };
    expect(readOpenAiError(400, new Headers(), body).details.param).toBe("[redacted]");
  });
});
