import { describe, expect, test } from "vitest";
import { labelsOf, readRequestOptions } from "../../../src/pipeline/request-options.ts";

const read = (headers: Readonly<Record<string, string>> = {}) => readRequestOptions(new Headers(headers));

describe("the request's own headers", () => {
  test("are all optional", () => {
    expect(read()).toEqual({ lane: "interactive", metadata: {}, isLenient: false });
  });

  test("are read together", () => {
    expect(
      read({
        "x-headgate-priority": "batch",
        "x-headgate-max-wait-ms": "0",
        "x-headgate-timeout-ms": "1500",
        "x-headgate-metadata": '{"team":"search","run-1.b_2":""}',
        "x-headgate-session": "conversation-1",
        "x-headgate-target": "openai/gpt-4o",
        "x-headgate-lenient": "1",
      }),
    ).toEqual({
      lane: "batch",
      isLenient: true,
      maxWaitMs: 0,
      firstByteMs: 1500,
      metadata: { team: "search", "run-1.b_2": "" },
      session: "conversation-1",
      pin: "openai/gpt-4o",
    });
  });

  test("labels are the client's, and over them those of the key's record", () => {
    const { metadata } = read({ "x-headgate-metadata": '{"tier":"gold","job":"j"}' });
    expect(labelsOf({ metadata: { tier: "free", team: "blue" } }, { metadata })).toEqual({
      tier: "free",
      team: "blue",
      job: "j",
    });
    expect(labelsOf({}, { metadata })).toEqual(metadata);
  });

  test("x-headgate-first-byte-timeout-ms is the newer name of x-headgate-timeout-ms", () => {
    expect(read({ "x-headgate-first-byte-timeout-ms": "900" }).firstByteMs).toBe(900);
    const both = { "x-headgate-timeout-ms": "1500", "x-headgate-first-byte-timeout-ms": "900" };
    expect(read(both).firstByteMs).toBe(900);
  });

  test.each([
    ["x-headgate-priority", "urgent"],
    ["x-headgate-priority", ""],
    ["x-headgate-max-wait-ms", "-1"],
    ["x-headgate-max-wait-ms", "1.5"],
    ["x-headgate-max-wait-ms", "1e3"],
    ["x-headgate-max-wait-ms", ""],
    ["x-headgate-max-wait-ms", "3600001"],
    ["x-headgate-max-wait-ms", "99999999999999999999"],
    ["x-headgate-timeout-ms", "0"],
    ["x-headgate-timeout-ms", "soon"],
    ["x-headgate-timeout-ms", "3600001"],
    ["x-headgate-session", ""],
    ["x-headgate-session", "s".repeat(257)],
    ["x-headgate-session", "s\u0085x"],
    ["x-headgate-metadata", '{"team":"a\\u001b[31m"}'],
    ["x-headgate-metadata", '{"team":"\\u202etxt"}'],
    ["x-headgate-first-byte-timeout-ms", "0"],
    ["x-headgate-metadata", "team=search"],
    ["x-headgate-metadata", "null"],
    ["x-headgate-metadata", '["team"]'],
    ["x-headgate-metadata", '"team"'],
    ["x-headgate-metadata", '{"team":1}'],
    ["x-headgate-metadata", '{"team":{"a":"b"}}'],
    ["x-headgate-metadata", '{"":"x"}'],
    ["x-headgate-metadata", '{"two words":"x"}'],
    ["x-headgate-metadata", `{"${"k".repeat(65)}":"x"}`],
    ["x-headgate-metadata", `{"k":"${"v".repeat(257)}"}`],
    ["x-headgate-metadata", JSON.stringify(Object.fromEntries([..."123456789"].map((key) => [key, "x"])))],
  ])("%s: %s is a 400 that names the header", (header, value) => {
    expect(() => read({ [header]: value })).toThrow(
      expect.objectContaining({
        code: "invalid_request",
        status: 400,
        details: expect.objectContaining({ param: header }),
        message: expect.stringMatching(new RegExp(`^${header} `)),
      }),
    );
  });

  test.each([
    ["x-headgate-max-wait-ms", "3600000"],
    ["x-headgate-timeout-ms", "1"],
    ["x-headgate-session", "s".repeat(256)],
    ["x-headgate-metadata", `{"${"k".repeat(64)}":"${"v".repeat(256)}"}`],
    ["x-headgate-metadata", JSON.stringify(Object.fromEntries([..."12345678"].map((key) => [key, "x"])))],
  ])("%s is taken at its very limit", (header, value) => {
    expect(() => read({ [header]: value })).not.toThrow();
  });

  test("a bad metadata value is named by its key and not quoted", () => {
    expect(() => read({ "x-headgate-metadata": '{"team":["secret"]}' })).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/^(?!.*secret).*'team'/) }),
    );
  });

  test("a metadata key like __proto__ is a key like any other", () => {
    const { metadata } = read({ "x-headgate-metadata": '{"__proto__":"x"}' });
    expect(Object.entries(metadata)).toEqual([["__proto__", "x"]]);
    expect(Object.getPrototypeOf(metadata)).toBe(Object.prototype);
  });
});
