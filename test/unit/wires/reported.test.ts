// What vendors say of their own work, in the form that each documents: read from bodies, from the ends of streams and from heads.
import { describe, expect, test } from "vitest";
import { formatEvent } from "../../../src/bytes/sse.ts";
import { takeHead } from "../../../src/pipeline/attempts/upstream-report.ts";
import type { UpstreamReport } from "../../../src/schema/upstream-report.ts";
import { createOpenAiDecoder } from "../../../src/wires/openai-chat/upstream-stream.ts";
import { readCompletion } from "../../../src/wires/openai-chat/upstream-answer.ts";
import { createAnthropicDecoder } from "../../../src/wires/anthropic/upstream-stream.ts";
import { readConverse } from "../../../src/wires/converse/upstream-answer.ts";
import { streamOf } from "../../support/builders/wire-named.ts";

const USAGE = { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 };

/** Vendors by the fields they add to a completion's body, and what these mean. */
const BODIES: Readonly<Record<string, readonly [object, UpstreamReport]>> = {
  groq: [
    {
      usage: {
        ...USAGE,
        queue_time: 0.018,
        prompt_time: 0.25,
        completion_time: 0.5,
        total_time: 0.75,
      },
      system_fingerprint: "fp_1bb46167f9",
      service_tier: "on_demand",
    },
    {
      queueMs: 18,
      prefillMs: 250,
      decodeMs: 500,
      systemFingerprint: "fp_1bb46167f9",
      serviceTier: "on_demand",
    },
  ],
  "groq's streams": [
    { x_groq: { id: "r", usage: { ...USAGE, queue_time: 0.5, prompt_time: 1, completion_time: 2 } } },
    { queueMs: 500, prefillMs: 1000, decodeMs: 2000 },
  ],
  cerebras: [
    {
      usage: USAGE,
      time_info: { queue_time: 0.25, prompt_time: 0.0625, completion_time: 0.125, total_time: 0.5 },
    },
    { queueMs: 250, prefillMs: 62.5, decodeMs: 125, totalMs: 500 },
  ],
  sambanova: [
    { usage: { ...USAGE, time_to_first_token: 0.125, total_latency: 0.5, is_last_response: true } },
    { prefillMs: 125, totalMs: 500 },
  ],
  "llama.cpp": [
    { usage: USAGE, timings: { prompt_n: 10, prompt_ms: 30.5, predicted_n: 2, predicted_ms: 61 } },
    { prefillMs: 30.5, decodeMs: 61 },
  ],
  localai: [
    { usage: { ...USAGE, timing_prompt_processing: 12.5, timing_token_generation: 80 } },
    { prefillMs: 12.5, decodeMs: 80 },
  ],
  vllm: [
    {
      usage: USAGE,
      metrics: {
        time_to_first_token_ms: 85.2,
        generation_time_ms: 1240.5,
        queue_time_ms: 12.3,
        mean_itl_ms: 9.1,
      },
    },
    { queueMs: 12.3, prefillMs: 85.2, decodeMs: 1240.5 },
  ],
  "nvidia dynamo": [
    {
      usage: USAGE,
      nvext: { timing: { prefill_wait_time_ms: 12.5, prefill_time_ms: 70.5, total_time_ms: 1000 } },
    },
    { queueMs: 12.5, prefillMs: 70.5, totalMs: 1000 },
  ],
  fireworks: [
    { usage: USAGE, perf_metrics: { "prefill-queue-duration": 0.5, "server-processing-time": 1.5 } },
    { queueMs: 500, totalMs: 1500 },
  ],
  ollama: [
    {
      usage: USAGE,
      total_duration: 174_000_000,
      load_duration: 100_000_000,
      prompt_eval_duration: 13_000_000,
      eval_duration: 52_000_000,
    },
    { queueMs: 100, prefillMs: 13, decodeMs: 52, totalMs: 174 },
  ],
};

describe.each(Object.entries(BODIES))("%s", (_, [fields, said]) => {
  test("in a whole answer", () => {
    const report: UpstreamReport = {};
    readCompletion({ choices: [{ message: { content: "hi" }, finish_reason: "stop" }], ...fields }, report);
    expect(report).toEqual(said);
  });

  test.each([
    ["with the choice that ends", [{ index: 0, delta: {}, finish_reason: "stop" }]],
    ["with the usage", []],
  ])("in a stream, %s", (_where, choices) => {
    const report: UpstreamReport = {};
    const decode = createOpenAiDecoder(report);
    const text =
      formatEvent(JSON.stringify({ id: "c", choices: [{ index: 0, delta: { content: "hi" } }] })) +
      formatEvent(JSON.stringify({ id: "c", choices, usage: USAGE, ...fields })) +
      formatEvent("[DONE]");
    for (const event of streamOf(text)) decode(event);
    expect(report).toEqual(said);
  });
});

test.each([
  { timings: { prompt_ms: -1, predicted_ms: "12", extra: 1 } },
  { timings: { prompt_ms: Number.NaN, predicted_ms: 1e12 } },
  { timings: [], metrics: "x", nvext: 5, x_groq: null, time_info: {} },
  { system_fingerprint: "a\nb", service_tier: "<script>" },
  { system_fingerprint: "x".repeat(65) },
])("%j says nothing", (fields) => {
  const report: UpstreamReport = {};
  readCompletion({ choices: [{ message: {}, finish_reason: "stop" }], usage: USAGE, ...fields }, report);
  expect(report).toEqual({});
});

test("Anthropic's tier and place, and Bedrock's latency", () => {
  const anthropic: UpstreamReport = {};
  const usage = { input_tokens: 1, output_tokens: 1, service_tier: "standard", inference_geo: "eu" };
  createAnthropicDecoder(anthropic)({
    event: "message_start",
    data: JSON.stringify({ type: "message_start", message: { usage } }),
  });
  expect(anthropic).toEqual({ serviceTier: "standard", region: "eu" });
  const bedrock: UpstreamReport = {};
  readConverse(
    { output: { message: { content: [] } }, metrics: { latencyMs: 843 }, stopReason: "end_turn" },
    bedrock,
  );
  expect(bedrock).toEqual({ totalMs: 843 });
});

describe("a head", () => {
  const read = (headers: Readonly<Record<string, string>>): UpstreamReport => {
    const report: UpstreamReport = {};
    expect(takeHead(new Headers(headers), report, 0)).toBeUndefined();
    return report;
  };

  test.each<[Readonly<Record<string, string>>, UpstreamReport]>([
    [
      { "openai-processing-ms": "412", "cf-ray": "8f1-ZRH" },
      { totalMs: 412, colo: "ZRH" },
    ],
    [
      {
        "x-envoy-upstream-service-time": "98",
        "x-ms-region": "Sweden Central",
        "azureml-model-session": "d089-20240815073451",
      },
      { totalMs: 98, region: "Sweden Central", replica: "d089-20240815073451" },
    ],
    // The proxy's time includes the model's: the closer one counts, whatever their order.
    [{ "openai-processing-ms": "80", "x-envoy-upstream-service-time": "98" }, { totalMs: 80 }],
    [{ "x-kong-upstream-latency": "7" }, { totalMs: 7 }],
    [{ "x-amzn-bedrock-invocation-latency": "889" }, { totalMs: 889 }],
    [
      { "fireworks-prefill-queue-duration": "0.25", "fireworks-prefill-duration": "0.5" },
      { queueMs: 250, prefillMs: 500 },
    ],
    [
      { "x-queue-time": "3", "x-total-time": "40" },
      { queueMs: 3, totalMs: 40 },
    ],
    [{ "server-timing": "gfet4t7; dur=662" }, { totalMs: 662 }],
    [{ "x-groq-region": "us-west-1" }, { region: "us-west-1" }],
    [{ "openai-processing-ms": "12, 13", "cf-ray": "nothing", "x-ms-region": "a\tb" }, {}],
    [{ "content-type": "application/json", date: "now" }, {}],
  ])("%j", (headers, said) => {
    expect(read(headers)).toEqual(said);
  });
});
