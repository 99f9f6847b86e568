import { describe, expect, test } from "vitest";
import { createLatencyStats } from "../../../src/targets/latency.ts";

const NOW = 1_000_000;

describe("latency statistics", () => {
  test("knows nothing of a target it has not seen", () => {
    expect(createLatencyStats().of("acme", "a/x", NOW)).toBeUndefined();
  });

  test("takes the first measurement as it is and lets later ones move it by a fifth", () => {
    const stats = createLatencyStats();
    stats.note("acme", "a/x", 100, NOW);
    expect(stats.of("acme", "a/x", NOW)).toBe(100);
    stats.note("acme", "a/x", 600, NOW + 1);
    expect(stats.of("acme", "a/x", NOW + 1)).toBe(200);
  });

  test("keeps tenants and targets apart", () => {
    const stats = createLatencyStats();
    stats.note("acme", "a/x", 100, NOW);
    expect(stats.of("other", "a/x", NOW)).toBeUndefined();
    expect(stats.of("acme", "a/y", NOW)).toBeUndefined();
  });

  test("forgets a measurement after a minute, so that a slow target is tried again", () => {
    const stats = createLatencyStats();
    stats.note("acme", "a/x", 9000, NOW);
    expect(stats.of("acme", "a/x", NOW + 60_000)).toBe(9000);
    expect(stats.of("acme", "a/x", NOW + 60_001)).toBeUndefined();
    stats.note("acme", "a/x", 100, NOW + 60_001);
    expect(stats.of("acme", "a/x", NOW + 60_001)).toBe(100);
  });

  test("holds 2000 targets and drops the one not measured for longest", () => {
    const stats = createLatencyStats();
    for (let at = 0; at < 2000; at += 1) stats.note("acme", `a/${at}`, at, NOW);
    stats.note("acme", "a/0", 0, NOW);
    stats.note("acme", "a/new", 1, NOW);
    expect(stats.of("acme", "a/0", NOW)).toBe(0);
    expect(stats.of("acme", "a/1", NOW)).toBeUndefined();
    expect(stats.of("acme", "a/2", NOW)).toBe(2);
    expect(stats.of("acme", "a/new", NOW)).toBe(1);
  });

  test("lets one request in ten seconds try a target that it knows nothing of", () => {
    const stats = createLatencyStats();
    expect(stats.claimTrial("acme", "a/x", NOW)).toBe(true);
    expect(stats.claimTrial("acme", "a/x", NOW + 9_999)).toBe(false);
    expect(stats.claimTrial("acme", "a/x", NOW + 10_000)).toBe(true);
    stats.note("acme", "a/x", 5, NOW + 10_001);
    expect(stats.claimTrial("acme", "a/x", NOW + 30_000)).toBe(false);
    expect(stats.claimTrial("acme", "a/x", NOW + 70_002)).toBe(true);
  });
});
