// Which calls of a vendor's own API are open: those of the record's list, never those that make credentials.
import { processorMs } from "../../../support/processor-time.ts";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkNativeAccess } from "../../../../src/pipeline/operations/native-access.ts";
import { ADMIN_PATHS, MODEL_PATHS } from "../../../support/builders/native-paths.ts";

const codeOf = (native: "all" | readonly string[] | undefined, method: string, path: string): string => {
  try {
    const record = native === undefined ? {} : { native: native === "all" ? native : [...native] };
    checkNativeAccess(record, { accountName: "up", method, path });
    return "open";
  } catch (thrown) {
    return String(Reflect.get(Object(thrown), "code"));
  }
};

describe("a record", () => {
  test.each(["v1/files", "v1/chat/completions", ""])("without a list opens nothing: %s", (path) => {
    expect(codeOf(undefined, "GET", path)).toBe("permission_denied");
    expect(codeOf([], "POST", path)).toBe("permission_denied");
  });

  test.each([
    [["POST v1/images/*"], "POST", "v1/images/generations", "open"],
    [["POST v1/images/*"], "POST", "/v1/images/generations", "open"],
    [["POST /v1/images/*"], "POST", "v1/images/edits/x", "open"],
    [["POST v1/images/*"], "GET", "v1/images/generations", "permission_denied"],
    [["POST v1/images/*"], "POST", "v1/images", "permission_denied"],
    [["POST v1/images/*"], "POST", "v1/imagesX/y", "permission_denied"],
    [["POST v1/images/*"], "POST", "v2/v1/images/y", "permission_denied"],
    [["GET v1/models"], "GET", "v1/models/x", "permission_denied"],
    [["GET v1/models"], "GET", "v1/models", "open"],
    [["* v1/files/*/content"], "GET", "v1/files/f1/content", "open"],
    [["* v1/files/*/content"], "DELETE", "v1/files/f1", "permission_denied"],
    [["* v1/*", "GET v2/x"], "GET", "v2/x", "open"],
    [["POST model/*/converse"], "POST", "model/arn%3Aaws%3Abedrock%2Fp/converse", "open"],
    // Each reading of the path must be open: a server decodes it, and the list is not about the encoded one alone.
    [["GET v1/models*"], "GET", "v1/models%2F..%2Ffiles", "invalid_request"],
    [["GET v1/mod%65ls"], "GET", "v1/models", "permission_denied"],
    [["GET v1/a"], "GET", "v1%2Fa", "permission_denied"],
    [["GET v1%2Fa"], "GET", "v1%2Fa", "permission_denied"],
    ["all", "PURGE", "anything/at/all", "open"],
    ["all", "GET", "v1/%zz", "invalid_request"],
    ["all", "GET", "v1/a%0d%0ab", "invalid_request"],
  ] as const)("%j answers %s %s: %s", (native, method, path, code) => {
    expect(codeOf(native, method, path)).toBe(code);
  });

  test.each(ADMIN_PATHS)("never opens %s", (path) => {
    for (const method of ["GET", "POST", "DELETE"]) {
      expect(codeOf("all", method, path)).toBe("permission_denied");
      expect(codeOf([`* ${path.replaceAll(/[%\\]/g, "*")}`, "* *"], method, path)).toBe("permission_denied");
    }
  });

  test.each(MODEL_PATHS)("may open %s", (path) => {
    expect(codeOf("all", "POST", path)).toBe("open");
  });

  test("is matched in linear time", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), (stars) => {
        const path = "a".repeat(200_000);
        expect(processorMs(() => codeOf([`GET ${"a*".repeat(stars)}b`], "GET", path))).toBeLessThan(250);
      }),
      { numRuns: 8 },
    );
  });
});
