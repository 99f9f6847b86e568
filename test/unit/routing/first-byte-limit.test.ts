import { expect, test } from "vitest";
import { firstByteLimit } from "../../../src/routing/first-byte-limit.ts";

test("a stream has 30 s, a whole answer no limit, where neither route nor client sets one", () => {
  expect(firstByteLimit({}, undefined, true)).toEqual({ ms: 30_000, isClientsOwn: false });
  expect(firstByteLimit({}, undefined, false)).toEqual({ ms: undefined, isClientsOwn: false });
});

test("a route's limit holds for both", () => {
  for (const isStream of [true, false])
    expect(firstByteLimit({ firstByteMs: 500 }, undefined, isStream)).toEqual({
      ms: 500,
      isClientsOwn: false,
    });
});

test.each([
  // [route, client, stream, the limit is the client's own]
  [undefined, 1, false, true],
  [undefined, 29_999, true, true],
  [undefined, 30_000, true, false],
  [500, 499, false, true],
  [500, 500, false, false],
  [500, 60_000, true, false],
])(
  "route %s, client %i ms, stream %s: the client's holds, its own alone: %s",
  (route, client, isStream, own) => {
    const timeouts = route === undefined ? {} : { firstByteMs: route };
    expect(firstByteLimit(timeouts, client, isStream)).toEqual({ ms: client, isClientsOwn: own });
  },
);
