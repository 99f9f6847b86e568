import { describe, expect, test } from "vitest";
import {
  orTimeout,
  sleepUnlessAborted,
  type StartTimer,
  unlessAborted,
  withDeadline,
} from "../../../src/runtime/waits.ts";

/** Timers that run when the test says so. */
function manualTimers() {
  const running = new Set<() => void>();
  const startTimer: StartTimer = (_ms, run) => {
    running.add(run);
    return () => running.delete(run);
  };
  return {
    startTimer,
    running,
    fire: () => {
      for (const run of running) run();
    },
  };
}

const never = new Promise<never>(() => {});

describe("a deadline", () => {
  test("lets a value and a failure through, and leaves no timer behind", async () => {
    const { startTimer, running } = manualTimers();
    expect(await withDeadline(Promise.resolve(7), 10, "KV", startTimer)).toBe(7);
    await expect(withDeadline(Promise.reject(new Error("down")), 10, "KV", startTimer)).rejects.toThrow(
      "down",
    );
    expect(await orTimeout(Promise.resolve("x"), 10, startTimer)).toBe("x");
    expect(running.size).toBe(0);
  });

  test("rejects with what was late, or with the error that the caller makes", async () => {
    const { startTimer, fire } = manualTimers();
    const named = withDeadline(never, 250, "KV", startTimer);
    const made = withDeadline(never, 250, () => new RangeError("too late"), startTimer);
    fire();
    await expect(named).rejects.toThrow("KV did not answer within 250 ms");
    await expect(made).rejects.toThrow(RangeError);
  });

  test("resolves with undefined where the caller asks for that, and drops the late failure", async () => {
    const { startTimer, fire } = manualTimers();
    const { promise, reject } = Promise.withResolvers<string>();
    const waited = orTimeout(promise, 250, startTimer);
    fire();
    expect(await waited).toBeUndefined();
    reject(new Error("nobody catches this but the wait"));
    await expect(promise).rejects.toThrow("nobody catches");
  });

  test("by the real clock comes when it should", async () => {
    const startedAt = performance.now();
    expect(await orTimeout(never, 30)).toBeUndefined();
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(25);
  });
});

describe("an abort signal", () => {
  test("ends the wait for a call that goes on", async () => {
    const controller = new AbortController();
    const waited = unlessAborted(never, controller.signal);
    controller.abort();
    expect(await waited).toBeUndefined();
    expect(await unlessAborted(never, controller.signal)).toBeUndefined();
    expect(await unlessAborted(Promise.resolve(1), new AbortController().signal)).toBe(1);
  });

  test("ends a sleep and its timer", async () => {
    const { startTimer, running, fire } = manualTimers();
    const controller = new AbortController();
    const woken = sleepUnlessAborted(1000, controller.signal, startTimer);
    const whole = sleepUnlessAborted(1000, new AbortController().signal, startTimer);
    controller.abort();
    expect(await woken).toBe(false);
    expect(running.size).toBe(1);
    fire();
    expect(await whole).toBe(true);
    expect(await sleepUnlessAborted(1000, controller.signal, startTimer)).toBe(false);
  });
});
