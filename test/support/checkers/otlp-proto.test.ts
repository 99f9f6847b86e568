// The OTLP checker must refuse what it is there to refuse: one fault at a time in an otherwise valid body.
import { expect, test } from "vitest";
import { checkOtlp, checkOtlpMetrics } from "./otlp-proto.ts";

const SPAN = {
  traceId: "5b8efff798038103d269b633813fc60c",
  spanId: "eee19b7ec3c1b174",
  name: "POST /v1/chat/completions",
  kind: 2,
  startTimeUnixNano: "1544712660000000000",
  endTimeUnixNano: "1544712661000000000",
  attributes: [
    { key: "gateway.stream", value: { boolValue: true } },
    { key: "gen_ai.usage.input_tokens", value: { intValue: "12" } },
    { key: "gen_ai.response.finish_reasons", value: { arrayValue: { values: [{ stringValue: "stop" }] } } },
  ],
  events: [{ timeUnixNano: "1544712660500000000", name: "gateway.retry" }],
  links: [{ traceId: "5b8efff798038103d269b633813fc60c", spanId: "eee19b7ec3c1b175" }],
  status: { code: 1 },
  flags: 257,
};

function bodyWith(change: object): unknown {
  const scopeSpans = [{ scope: { name: "headgate" }, spans: [{ ...SPAN, ...change }] }];
  return { resourceSpans: [{ resource: { attributes: [] }, scopeSpans }] };
}

const attribute = (value: object): object => ({ attributes: [{ key: "a", value }] });

test("a body that keeps to the protocol has no violations", () => {
  expect(checkOtlp(bodyWith({}))).toEqual([]);
  expect(checkOtlp(bodyWith({ parentSpanId: "eee19b7ec3c1b173" }))).toEqual([]);
});

test.for([
  ["an unknown key", { traceID: SPAN.traceId }, "not a field of Span"],
  ["a snake_case key", { trace_state: "" }, "not a field of Span"],
  ["an enum by name", { kind: "SPAN_KIND_SERVER" }, "enum SpanKind"],
  ["an enum number that does not exist", { kind: 9 }, "enum SpanKind"],
  ["a trace id in base64", { traceId: "W47/95gDgQPSabYzgT/GDA==" }, "32 hex digits"],
  ["a span id of all zeroes", { spanId: "0".repeat(16) }, "all zeroes"],
  ["a short parent id", { parentSpanId: "eee1" }, "16 hex digits"],
  ["a time as a number", { startTimeUnixNano: 1_544_712_660 }, "decimal string"],
  ["a negative time", { startTimeUnixNano: "-1" }, "decimal string"],
  ["an end before the start", { endTimeUnixNano: "1" }, "ends before it starts"],
  ["a missing end", { endTimeUnixNano: "0" }, "required in Span"],
  ["an empty name", { name: "" }, "required in Span"],
  ["an integer attribute as a number", attribute({ intValue: 12 }), "decimal string"],
  ["an integer attribute beyond 64 bits", attribute({ intValue: "9223372036854775808" }), "decimal string"],
  ["an empty attribute value", attribute({}), "exactly one member"],
  ["two values in one attribute", attribute({ stringValue: "x", boolValue: true }), "exactly one member"],
  ["a null value", { attributes: [{ key: "a", value: null }] }, "expected AnyValue"],
  ["one key twice", { attributes: [SPAN.attributes[0], SPAN.attributes[0]] }, "occurs twice"],
  ["a list that is none", { events: {} }, "expected an array"],
  ["an event without a name", { events: [{ timeUnixNano: "1" }] }, "required in Event"],
  ["a status that is a string", { status: "ok" }, "expected Status"],
] as const)("%s is a violation", ([, change, problem]) => {
  expect(checkOtlp(bodyWith(change)).join("\n")).toContain(problem);
});

test("an envelope without spans is a violation", () => {
  expect(checkOtlp({ resourceSpans: [] })).toHaveLength(1);
  expect(checkOtlp(undefined)).toHaveLength(1);
});

const COUNTER_POINT = { startTimeUnixNano: "1", timeUnixNano: "2", asInt: "3" };
const HISTOGRAM_POINT = {
  startTimeUnixNano: "1",
  timeUnixNano: "2",
  count: "3",
  sum: 1.5,
  bucketCounts: ["1", "2", "0"],
  explicitBounds: [0.1, 1],
};

function metricsWith(metric: object): unknown {
  const scopeMetrics = [{ metrics: [{ name: "m", description: "d", unit: "s", ...metric }] }];
  return { resourceMetrics: [{ resource: { attributes: [] }, scopeMetrics }] };
}

const counter = (point: object, aggregationTemporality: unknown = 2): object => ({
  sum: { dataPoints: [{ ...COUNTER_POINT, ...point }], aggregationTemporality, isMonotonic: true },
});
const histogram = (point: object): object => ({
  histogram: { dataPoints: [{ ...HISTOGRAM_POINT, ...point }], aggregationTemporality: 2 },
});

test("metrics that keep to the protocol have no violations", () => {
  expect(checkOtlpMetrics(metricsWith(counter({})))).toEqual([]);
  expect(checkOtlpMetrics(metricsWith(histogram({})))).toEqual([]);
  const gauge = { gauge: { dataPoints: [{ timeUnixNano: "2", asDouble: 0.5 }] } };
  expect(checkOtlpMetrics(metricsWith(gauge))).toEqual([]);
});

test.for([
  ["a metric without data", {}, "exactly one kind of data"],
  ["a metric of two kinds", { ...counter({}), ...histogram({}) }, "exactly one kind of data"],
  ["a kind we never send", { summary: {} }, "not a field of Metric"],
  ["an integer as a number", counter({ asInt: 3 }), "decimal string"],
  ["a point without a value", counter({ asInt: undefined }), "exactly one value"],
  ["a point with two values", counter({ asDouble: 3 }), "exactly one value"],
  ["a temporality by name", counter({}, "CUMULATIVE"), "enum AggregationTemporality"],
  ["no temporality", counter({}, 0), "required in Sum"],
  ["a sum without a start", counter({ startTimeUnixNano: undefined }), "startTimeUnixNano"],
  ["an end before the start", counter({ startTimeUnixNano: "3" }), "before it was begun"],
  ["a bucket too few", histogram({ bucketCounts: ["1", "2"] }), "make 3 buckets"],
  ["buckets that do not add up", histogram({ count: "4" }), "the buckets hold 3"],
  ["bounds out of order", histogram({ explicitBounds: [1, 0.1] }), "must ascend"],
  ["one series twice", { gauge: { dataPoints: [COUNTER_POINT, COUNTER_POINT] } }, "those of another point"],
] as const)("in metrics, %s is a violation", ([, metric, problem]) => {
  // What is undefined is not in the JSON.
  const body: unknown = JSON.parse(JSON.stringify(metricsWith(metric)));
  expect(checkOtlpMetrics(body).join("\n")).toContain(problem);
});

test("an envelope without metrics is a violation", () => {
  expect(checkOtlpMetrics({ resourceMetrics: [] })).toHaveLength(1);
});
