import { describe, expect, test } from "vitest";
import { type CircuitBook, createCircuitBook, type Verdict } from "../../../src/routing/circuit.ts";

const NOW = 1_000_000;

function noteAll(book: CircuitBook, verdicts: readonly Verdict[], at = NOW): void {
  for (const verdict of verdicts) book.note("acme", "a/x", verdict, at);
}

const failures = (count: number): readonly Verdict[] => Array.from({ length: count }, () => "failed");
const stateOf = (book: CircuitBook, at: number) => book.of("acme", "a/x", at).state;

describe("a closed circuit", () => {
  test("opens at the fifth failure in a row, for ten seconds", () => {
    const book = createCircuitBook();
    noteAll(book, failures(4));
    expect(book.take("acme", "a/x", NOW)).toBe(true);
    noteAll(book, failures(1));
    expect(book.of("acme", "a/x", NOW)).toEqual({ state: "open", retryInMs: 10_000, failures: 5, calls: 5 });
    expect(book.take("acme", "a/x", NOW + 9_999)).toBe(false);
  });

  test("opens when half of the last twenty failed, though never five in a row", () => {
    const book = createCircuitBook();
    noteAll(
      book,
      Array.from({ length: 19 }, (_, at) => (at % 2 === 0 ? "alive" : "failed")),
    );
    expect(stateOf(book, NOW)).toBe("closed");
    noteAll(book, ["failed"]);
    expect(stateOf(book, NOW)).toBe("open");
  });

  test("forgets failures that lie more than twenty calls back", () => {
    const book = createCircuitBook();
    noteAll(book, ["failed", "failed", "failed", "failed", "alive"]);
    noteAll(
      book,
      Array.from({ length: 20 }, () => "alive"),
    );
    expect(book.of("acme", "a/x", NOW)).toMatchObject({ state: "closed", failures: 0 });
  });

  test("takes no notice of what says nothing about the target", () => {
    const book = createCircuitBook();
    noteAll(
      book,
      Array.from({ length: 50 }, () => "neutral"),
    );
    noteAll(book, ["failed", "neutral", "failed", "neutral", "failed", "neutral", "failed", "neutral"]);
    expect(stateOf(book, NOW)).toBe("closed");
    noteAll(book, failures(1));
    expect(stateOf(book, NOW)).toBe("open");
  });

  test("is one for each tenant and target", () => {
    const book = createCircuitBook();
    noteAll(book, failures(5));
    expect(book.take("other", "a/x", NOW)).toBe(true);
    expect(book.take("acme", "a/y", NOW)).toBe(true);
  });
});

describe("an open circuit", () => {
  test("lets one caller through when its pause is over, and the others wait for him", () => {
    const book = createCircuitBook();
    noteAll(book, failures(5));
    const later = NOW + 10_000;
    expect(stateOf(book, later)).toBe("half_open");
    expect(book.take("acme", "a/x", later)).toBe(true);
    expect(book.take("acme", "a/x", later)).toBe(false);
  });

  test("closes when the probe finds the target alive, with a clean record", () => {
    const book = createCircuitBook();
    noteAll(book, failures(5));
    book.take("acme", "a/x", NOW + 10_000);
    noteAll(book, ["alive"], NOW + 10_500);
    expect(book.of("acme", "a/x", NOW + 10_500)).toEqual({
      state: "closed",
      retryInMs: 0,
      failures: 0,
      calls: 0,
    });
  });

  test("costs a dead target one call per pause, and pauses twice as long each time, up to two minutes", () => {
    const book = createCircuitBook();
    noteAll(book, failures(5));
    const calledAt: number[] = [];
    for (let at = NOW; at < NOW + 400_000; at += 500) {
      if (!book.take("acme", "a/x", at)) continue;
      calledAt.push(at - NOW);
      noteAll(book, failures(1), at);
    }
    expect(calledAt).toEqual([10_000, 30_000, 70_000, 150_000, 270_000, 390_000]);
  });

  test("gives up a probe that nobody reports on after a minute", () => {
    const book = createCircuitBook();
    noteAll(book, failures(5));
    expect(book.take("acme", "a/x", NOW + 10_000)).toBe(true);
    expect(book.take("acme", "a/x", NOW + 69_999)).toBe(false);
    expect(book.take("acme", "a/x", NOW + 70_000)).toBe(true);
  });

  test("gives the probe to the next one when its caller left without learning anything", () => {
    const book = createCircuitBook();
    noteAll(book, failures(5));
    book.take("acme", "a/x", NOW + 10_000);
    noteAll(book, ["neutral"], NOW + 10_100);
    expect(book.take("acme", "a/x", NOW + 10_100)).toBe(true);
  });

  test("is neither closed nor prolonged by calls that were under way when it opened", () => {
    const book = createCircuitBook();
    noteAll(book, failures(5));
    noteAll(book, ["alive", "failed", "failed"], NOW + 1000);
    expect(book.of("acme", "a/x", NOW + 1000)).toMatchObject({ state: "open", retryInMs: 9_000 });
  });
});
