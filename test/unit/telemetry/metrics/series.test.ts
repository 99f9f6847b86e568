// Measurements added up: nothing lost, nothing counted twice, boundedly many series.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { GEN_AI_METRICS, INSTRUMENTS, type Labels } from "../../../../src/telemetry/metrics/instruments.ts";
import {
  countOf,
  createSeriesTable,
  MAX_SERIES,
  type Series,
} from "../../../../src/telemetry/metrics/series.ts";
import { NOON } from "../../../support/fakes/fake-trace.ts";

const DAY_MS = 86_400_000;

const durations = fc.array(fc.nat({ max: 200_000 }), { maxLength: 50 });

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function only(series: readonly Series[]): Series {
  const [first] = series;
  if (first === undefined || series.length > 1)
    throw new Error(`${series.length} series where one was meant`);
  return first;
}

describe("a histogram", () => {
  test("counts each measurement in one bucket, and its sum is exact", () => {
    fc.assert(
      fc.property(durations, (values) => {
        fc.pre(values.length > 0);
        const table = createSeriesTable();
        for (const value of values) table.record("gateway.queue.wait", {}, value, NOON);
        const series = only(table.list());
        expect(countOf(series)).toBe(values.length);
        expect(series.sum).toBe(sumOf(values));
        const { bounds, rawPerUnit } = INSTRUMENTS["gateway.queue.wait"];
        for (const [index, bound] of bounds.entries()) {
          const below = sumOf(series.buckets.slice(0, index + 1));
          expect(below).toBe(values.filter((value) => value / rawPerUnit <= bound).length);
        }
      }),
    );
  });

  test("has a bound in the bucket below it, and what is above all bounds in the last", () => {
    const table = createSeriesTable();
    for (const ms of [10, 11, 81_920, 81_921]) table.record("gateway.queue.wait", {}, ms, NOON);
    const { buckets } = only(table.list());
    expect([buckets[0], buckets[1], buckets[13], buckets[14]]).toEqual([1, 1, 1, 1]);
  });
});

describe("a merged table", () => {
  test("is what one table would have been, however the measurements were shared out", () => {
    const measurement = fc.record({
      at: fc.nat({ max: 3 }),
      ms: fc.nat({ max: 100_000 }),
      limit: fc.constantFrom("concurrency", "requests_per_minute", undefined),
    });
    fc.assert(
      fc.property(fc.array(measurement, { maxLength: 60 }), (measurements) => {
        const whole = createSeriesTable();
        const parts = [0, 1, 2, 3].map(() => createSeriesTable());
        for (const { at, ms, limit } of measurements) {
          const labels: Labels = limit === undefined ? {} : { "gateway.queue.limit": limit };
          whole.record("gateway.queue.wait", labels, ms, NOON);
          parts[at]?.record("gateway.queue.wait", labels, ms, NOON);
        }
        const merged = createSeriesTable();
        for (const part of parts) for (const series of part.list()) merged.merge(series, NOON);
        expect(sorted(merged.list())).toEqual(sorted(whole.list()));
      }),
    );
  });

  test("is the same after it was saved and opened", () => {
    const table = createSeriesTable();
    table.record("gateway.cost", { "gen_ai.provider.name": "openai" }, 1102, NOON);
    table.record("gateway.queue.wait", {}, 400, NOON + 5);
    const saved: readonly Series[] = structuredClone(table.list());
    expect(createSeriesTable(saved).list()).toEqual(table.list());
  });

  test("begins with the earliest of its parts", () => {
    const table = createSeriesTable();
    table.record("gateway.attempts", {}, 1, NOON);
    const earlier = { ...only(table.list()), startAt: NOON - 4000 };
    table.merge(earlier, NOON + 1);
    expect(only(table.list())).toMatchObject({ sum: 2, startAt: NOON - 4000, touchedAt: NOON + 1 });
  });

  test("leaves out what another version of the Worker called otherwise or divided otherwise", () => {
    const table = createSeriesTable();
    const strange = { labels: {}, sum: 1, startAt: NOON, touchedAt: NOON };
    table.merge({ ...strange, instrument: "gateway.of.old", buckets: [] }, NOON);
    table.merge({ ...strange, instrument: "gateway.queue.wait", buckets: [1] }, NOON);
    expect(table.list()).toEqual([]);
  });
});

describe("labels", () => {
  test("are the instrument's own: others and empty ones are left out", () => {
    const table = createSeriesTable();
    table.record("gateway.queue.wait", { "gateway.queue.limit": "", "gateway.outcome": "ok" }, 1, NOON);
    table.record("gateway.queue.wait", {}, 1, NOON);
    expect(only(table.list()).labels).toEqual({});
  });

  test("do not run into each other", () => {
    const table = createSeriesTable();
    const record = (provider: string, model: string): void =>
      table.record(
        "gateway.cost",
        { "gen_ai.provider.name": provider, "gen_ai.request.model": model },
        1,
        NOON,
      );
    record("a", "bc");
    record("ab", "c");
    expect(table.list()).toHaveLength(2);
  });

  test("are cut where a value is longer than any name", () => {
    const table = createSeriesTable();
    table.record("gateway.cost", { "gen_ai.request.model": "m".repeat(5000) }, 1, NOON);
    expect(only(table.list()).labels["gen_ai.request.model"]).toHaveLength(128);
  });
});

describe("when there are too many series", () => {
  const costOf = (model: number): Labels => ({ "gen_ai.request.model": `model-${model}` });
  const fill = () => {
    const table = createSeriesTable();
    for (let model = 0; model < MAX_SERIES; model++) table.record("gateway.cost", costOf(model), 1, NOON);
    return table;
  };

  test("the rest is one series, and the sum over all of them stays right", () => {
    const table = fill();
    for (let model = MAX_SERIES; model < 3 * MAX_SERIES; model++)
      table.record("gateway.cost", costOf(model), 1, NOON);
    const series = table.list();
    expect(series).toHaveLength(MAX_SERIES + 1);
    expect(series.at(-1)).toMatchObject({ labels: { "otel.metric.overflow": "true" }, sum: 2 * MAX_SERIES });
    expect(sumOf(series.map(({ sum }) => sum))).toBe(3 * MAX_SERIES);
  });

  test("the rest of two tables comes together", () => {
    const [here, there] = [fill(), fill()];
    there.record("gateway.cost", costOf(-1), 7, NOON);
    here.record("gateway.cost", costOf(-2), 5, NOON);
    for (const series of there.list()) here.merge(series, NOON);
    expect(here.list().at(-1)).toMatchObject({ labels: { "otel.metric.overflow": "true" }, sum: 12 });
  });

  test("one that was idle for a day gives up its place, and begins again when it comes back", () => {
    const table = fill();
    const later = NOON + DAY_MS + 1000;
    for (let model = 1; model < MAX_SERIES; model++) table.record("gateway.cost", costOf(model), 1, later);
    table.record("gateway.cost", costOf(MAX_SERIES), 1, later);
    const models = new Set(table.list().map(({ labels }) => labels["gen_ai.request.model"]));
    expect([models.has("model-0"), models.has(`model-${MAX_SERIES}`), models.size]).toEqual([
      false,
      true,
      MAX_SERIES,
    ]);
    table.record("gateway.cost", costOf(0), 1, later);
    expect(table.list().at(-1)?.labels).toEqual({ "otel.metric.overflow": "true" });
  });

  test("another instrument has its own room", () => {
    const table = fill();
    table.record("gateway.attempts", costOf(-1), 1, NOON);
    expect(table.list().at(-1)?.labels).toEqual(costOf(-1));
  });
});

test("the conventions' buckets are those of v1.41", () => {
  expect(INSTRUMENTS[GEN_AI_METRICS.duration].bounds).toEqual(
    Array.from({ length: 14 }, (_, power) => 2 ** power / 100),
  );
  expect(INSTRUMENTS[GEN_AI_METRICS.inputTokens].bounds).toEqual(
    Array.from({ length: 14 }, (_, power) => 4 ** power),
  );
});

function sorted(series: readonly Series[]): readonly Series[] {
  return series.toSorted((a, b) => (JSON.stringify(a.labels) < JSON.stringify(b.labels) ? -1 : 1));
}
