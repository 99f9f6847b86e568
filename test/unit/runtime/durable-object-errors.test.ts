import { expect, test } from "vitest";
import { isOverloaded, isRemote, isRetryable } from "../../../src/runtime/durable-object-errors.ts";

const marked = (marks: Readonly<Record<string, unknown>>): Error => Object.assign(new Error("failed"), marks);

test.each([
  [marked({}), false],
  [marked({ retryable: true }), true],
  [marked({ durableObjectReset: true }), true],
  [marked({ retryable: true, overloaded: true }), false],
  [marked({ retryable: "true" }), false],
  ["retryable", false],
  [undefined, false],
  [null, false],
])("%o may be repeated: %s", (thrown, expected) => {
  expect(isRetryable(thrown)).toBe(expected);
});

test("overload and the object's own errors are kept apart", () => {
  expect([isOverloaded(marked({ overloaded: true })), isOverloaded(marked({ remote: true }))]).toEqual([
    true,
    false,
  ]);
  expect([isRemote(marked({ remote: true })), isRemote(marked({ overloaded: true }))]).toEqual([true, false]);
});
