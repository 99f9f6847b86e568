/** Names that would leave a URL's path, break a header or disguise a log line, and names that only look odd. */
import { describe, expect, it } from "vitest";
import { findNameFault, hasUnsafeCharacters } from "../../../src/runtime/safe-names.ts";

describe("a name", () => {
  it.each([
    "gpt-4o-mini",
    "openai/gpt-4o",
    "@cf/meta/llama-3.1-8b-instruct",
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4",
    "tunedModels/my-model",
    "ft:gpt-4o:acme::9f2c",
    "meta-llama/Llama-3.3-70B-Instruct-Turbo",
    "model..v2",
    "a/.hidden",
    "Qwen 2.5 (free)",
    "模型/千问",
    "a/...",
    "a/..v2",
    "a/.é",
    "Qwen%202.5",
  ])("%s is accepted", (name) => {
    expect(findNameFault(name)).toBeUndefined();
  });

  it.each([
    ["gemini-2.5-flash/../models/gemini-2.5-pro", "segments"],
    ["..", "segments"],
    ["./x", "segments"],
    ["a/..", "segments"],
    ["a/%2e%2e/b", "segments"],
    ["a/%2E./b", "segments"],
    ["a%2F..%2Fb", "segments"],
    ["a/%252e%252e/b", "segments"],
    ["a/..;/b", "segments"],
    ["a/%zz", "segments"],
    ["a/.. /b", "segments"],
    ["a/..%20/b", "segments"],
    ["a/..?/b", "segments"],
    ["a/%2e%2e%23/b", "segments"],
    ["a/%25252525252e", "segments"],
    ["a/..%00/b", "control"],
    ["gpt%0a", "control"],
    ["gpt%250d%250ax: 1", "control"],
    ["gpt%E2%80%AEo4", "control"],
    ["gpt%7f", "control"],
    ["a\\..\\b", "backslash"],
    ["a\\b", "backslash"],
    ["gpt-4o\na", "control"],
    ["gpt-4o\r\nx-evil: 1", "control"],
    ["gpt\t4o", "control"],
    ["gpt\u001b[31m", "control"],
    ["gpt\u007f", "control"],
    ["gpt\u0085", "control"],
    ["gpt\u202eo4", "control"],
    ["gpt\u2066o4", "control"],
    ["gpt\u200fo4", "control"],
    ["gpt\u2028", "control"],
    ["gpt\ud800", "control"],
  ])("%j is refused: %s", (name, reason) => {
    expect(findNameFault(name)).toContain(reason);
  });
});

it("labels may have what languages and emoji need", () => {
  for (const text of ["Zürich", "日本語", "👩‍💻", "می‌خواهم", "a b"])
    expect(hasUnsafeCharacters(text)).toBe(false);
});
