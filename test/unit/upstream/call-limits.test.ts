// Which of two time limits is named when both strike at once: an embedding for a look-up has the same for all.
import { expect, test } from "vitest";
import { SharedTimer } from "../../../src/runtime/shared-timer.ts";
import { createHandle } from "../../../src/upstream/call.ts";
import { createTestClock } from "../../support/fakes/fake-clock.ts";

test.each([
  [1000, "total"],
  [999, "first_byte"],
  [1001, "total"],
] as const)(
  "beside a total limit of 1,000 ms a first-byte limit of %d ms ends a call as %s",
  async (ms, cause) => {
    const clock = createTestClock();
    const timer = new SharedTimer(clock.now, clock.startTimer);
    const call = createHandle("up", new AbortController().signal, 1000, timer);
    call.arm("first_byte", ms);
    await clock.pass(2000);
    expect(call.abortedBy()).toBe(cause);
  },
);
