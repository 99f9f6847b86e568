/** `if-match` against a record's revision. */
import { expect, it } from "vitest";
import { checkIfMatch, toEtag } from "../../../../src/tenants/directory/etag.ts";

it.each([
  [undefined, 3],
  [undefined, undefined],
  ["*", 3],
  ['"3"', 3],
  ['"1", "3"', 3],
])("lets a write under %j go on at revision %j", (ifMatch, revision) => {
  expect(() => checkIfMatch(ifMatch, revision)).not.toThrow();
});

it.each([
  ['"2"', 3],
  ['W/"3"', 3],
  ["3", 3],
  ["", 3],
  ["*", undefined],
  ['"3"', undefined],
])("refuses a write under %j at revision %j", (ifMatch, revision) => {
  expect(() => checkIfMatch(ifMatch, revision)).toThrow(
    expect.objectContaining({ code: "precondition_failed", status: 412 }),
  );
});

it("gives out tags that match again", () => {
  expect(() => checkIfMatch(toEtag(12), 12)).not.toThrow();
});
