import { describe, expect, test } from "vitest";
import { SharedTimer } from "../../../src/runtime/shared-timer.ts";
import { createVirtualTime } from "../../support/fakes/virtual-time.ts";

const START = 1_000_000;

/** A shared timer on simulated time, what ran with its time since the start, and how often the platform's timer was set. */
function begin(clock?: () => number) {
  const time = createVirtualTime(START);
  const ran: string[] = [];
  const set: number[] = [];
  const timer = new SharedTimer(clock ?? time.now, (ms, run) => {
    set.push(ms);
    return time.startTimer(ms, run);
  });
  const note = (name: string) => (): void => void ran.push(`${name} ${time.now() - START}`);
  return { time, timer, ran, set, note, until: (ms: number) => time.runUntil(START + ms) };
}

describe("the limits of one request", () => {
  test("each run at their time, on one timer that is set for the earliest", async () => {
    const { timer, ran, set, note, until } = begin();
    timer.countdown(note("body")).set(10);
    timer.countdown(note("total")).set(500);
    timer.countdown(note("idle")).set(60);
    expect(set).toEqual([10]);
    await until(1000);
    expect(ran).toEqual(["body 10", "idle 60", "total 500"]);
    expect(set).toEqual([10, 50, 440]);
  });

  test("a nearer one starts a timer of its own, and the first is not set again", async () => {
    const { timer, ran, set, note, until } = begin();
    timer.countdown(note("total")).set(500);
    timer.countdown(note("first byte")).set(30);
    await until(1000);
    expect(ran).toEqual(["first byte 30", "total 500"]);
    expect(set).toEqual([500, 30]);
  });

  test("one that is set again runs once, at its new time, and moves no timer", async () => {
    const { timer, ran, set, note, until } = begin();
    const idle = timer.countdown(note("idle"));
    idle.set(100);
    await until(80);
    idle.set(100);
    await until(99);
    idle.set(100);
    await until(1000);
    expect(ran).toEqual(["idle 199"]);
    expect(set).toEqual([100, 99]);
  });

  test("one that was cleared does not run, also where another that is due at the same time clears it", async () => {
    const { timer, ran, note, until } = begin();
    const cleared = timer.countdown(note("cleared"));
    cleared.set(10);
    cleared.clear();
    const first = timer.countdown(() => second.clear());
    const second = timer.countdown(note("second"));
    first.set(20);
    second.set(20);
    await until(1000);
    expect(ran).toEqual([]);
  });

  test("one that sets itself again runs again", async () => {
    const { timer, ran, note, until } = begin();
    const say = note("beat");
    const beat = timer.countdown(() => {
      say();
      if (ran.length < 3) beat.set(15);
    });
    beat.set(15);
    await until(1000);
    expect(ran).toEqual(["beat 15", "beat 30", "beat 45"]);
  });

  test("as a StartTimer: runs once, and not after it was stopped", async () => {
    const { timer, ran, note, until } = begin();
    timer.start(10, note("kept"));
    timer.start(20, note("stopped"))();
    await until(1000);
    expect(ran).toEqual(["kept 10"]);
  });

  test("waits that follow each other before a far limit set one timer each, and leave none behind", async () => {
    const { timer, ran, set, note, until } = begin();
    timer.start(1000, note("total"));
    for (let at = 100; at <= 500; at += 100) {
      timer.start(100, note("poll"));
      await until(at);
    }
    await until(2000);
    expect(ran).toEqual(["poll 100", "poll 200", "poll 300", "poll 400", "poll 500", "total 1000"]);
    expect(set).toEqual([1000, 100, 100, 100, 100, 100]);
  });

  test("nothing runs once the request is over, and nothing can be set", async () => {
    const { timer, ran, set, note, until } = begin();
    const total = timer.countdown(note("total"));
    total.set(500);
    timer.end();
    total.set(100);
    timer.start(10, note("late"));
    await until(1000);
    expect(ran).toEqual([]);
    expect(set).toEqual([500]);
  });

  test("a time below zero is now", async () => {
    const { timer, ran, note, until } = begin();
    timer.countdown(note("over")).set(-5);
    await until(1);
    expect(ran).toEqual(["over 0"]);
  });
});

describe("a clock that the timers do not follow", () => {
  test("one that stands still: the timers' own time counts", async () => {
    const { timer, ran, note, until } = begin(() => START);
    timer.countdown(note("total")).set(500);
    timer.countdown(note("idle")).set(60);
    await until(1000);
    expect(ran).toEqual(["idle 60", "total 500"]);
  });

  test("one that is set back: a limit is not put off by as much", async () => {
    let offset = 0;
    const time = createVirtualTime(START);
    const ran: number[] = [];
    const timer = new SharedTimer(() => time.now() - offset, time.startTimer);
    timer.countdown(() => ran.push(time.now() - START)).set(100);
    await time.runUntil(START + 50);
    offset = 3_600_000;
    await time.runUntil(START + 1000);
    expect(ran).toEqual([100]);
  });
});
