// The list of vendors: each kind that a record may name, and what it is called.
import { describe, expect, test } from "vitest";
import { providerOf, REGISTERED_KINDS } from "../../../src/providers/registry.ts";

describe("kinds", () => {
  test.each(REGISTERED_KINDS)("%s is found under its own name", (kind) => {
    expect(providerOf(kind)).toMatchObject({ kind });
  });

  test("an unknown kind lets the next target be asked", () => {
    expect(() => providerOf("constructor")).toThrow(
      expect.objectContaining({ code: "upstream_error", canFallBack: true }),
    );
  });

  test("only what stands at each operator's own address has no base URL, and only sim answers by itself", () => {
    const kinds = (has: (kind: string) => boolean): readonly string[] => REGISTERED_KINDS.filter(has);
    expect(kinds((kind) => providerOf(kind).defaultBaseUrl === undefined)).toEqual([
      "openai-compatible",
      "databricks",
      "mlflow",
      "azure-openai",
    ]);
    expect(kinds((kind) => providerOf(kind).local !== undefined)).toEqual(["sim"]);
  });
});
