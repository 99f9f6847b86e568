/**
 * What vendors say of their own work in an answer's body and head: the one table of where each says it. Reads only what a codec has
 * parsed already. Pure. Each place was found in 2026-11 (docs) on the vendor's page, (code) in the server's or the vendor's own
 * client's source, or (seen) in recorded answers alone.
 */

import { recordOf, type JsonRecord } from "../../json/fields.ts";
import { ExactNumber } from "../../json/exact.ts";
import type { UpstreamReport } from "../../schema/upstream-report.ts";

const MS_PER_SECOND = 1000;
const NS_PER_MS = 1_000_000;
/** A longer time is not one. */
const MAX_MS = 86_400_000;
/** What served a call, as spans may carry it: a short word. */
const WORD = /^[\w.:/@ +-]{1,64}$/;

type Time = "queueMs" | "prefillMs" | "decodeMs" | "totalMs";
type Word = "region" | "colo" | "replica" | "systemFingerprint" | "serviceTier";

function takeTime(report: UpstreamReport, name: Time, value: unknown, unitMs: number): void {
  const said = value instanceof ExactNumber ? Number(value.digits) : value;
  const ms = typeof said === "number" ? said * unitMs : Number.NaN;
  if (ms >= 0 && ms <= MAX_MS) report[name] = ms;
}

function takeWord(report: UpstreamReport, name: Word, value: unknown): void {
  if (typeof value === "string" && WORD.test(value)) report[name] = value;
}

interface BodyTimes {
  /** The object that holds the times, from the top of the body; absent: the body itself. */
  readonly at?: string;
  readonly within?: string;
  readonly unitMs: number;
  readonly times: Readonly<Partial<Record<Time, string>>>;
}

/** Chat completions, whole or the event of a stream that ends it. */
const BODY_TIMES: readonly BodyTimes[] = [
  // Groq (code): https://github.com/groq/groq-typescript (usage; on streams also x_groq.usage). `total_time` leaves the queue out.
  ...["usage", "x_groq"].map((at) => ({
    at,
    ...(at === "x_groq" && { within: "usage" }),
    unitMs: MS_PER_SECOND,
    times: { queueMs: "queue_time", prefillMs: "prompt_time", decodeMs: "completion_time" },
  })),
  // Cerebras (docs): https://inference-docs.cerebras.ai/api-reference/chat-completions
  {
    at: "time_info",
    unitMs: MS_PER_SECOND,
    times: {
      queueMs: "queue_time",
      prefillMs: "prompt_time",
      decodeMs: "completion_time",
      totalMs: "total_time",
    },
  },
  // SambaNova (seen), in seconds.
  {
    at: "usage",
    unitMs: MS_PER_SECOND,
    times: { prefillMs: "time_to_first_token", totalMs: "total_latency" },
  },
  // llama.cpp (code) and servers on top of it: https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
  { at: "timings", unitMs: 1, times: { prefillMs: "prompt_ms", decodeMs: "predicted_ms" } },
  // LocalAI (code), with its header Extra-Usage: https://github.com/mudler/LocalAI
  {
    at: "usage",
    unitMs: 1,
    times: { prefillMs: "timing_prompt_processing", decodeMs: "timing_token_generation" },
  },
  // vLLM (docs) and NVIDIA NIM on top of it, with --enable-per-request-metrics:
  // https://docs.vllm.ai/en/latest/features/per_request_metrics/
  {
    at: "metrics",
    unitMs: 1,
    times: {
      queueMs: "queue_time_ms",
      prefillMs: "time_to_first_token_ms",
      decodeMs: "generation_time_ms",
    },
  },
  // NVIDIA Dynamo (code), with `nvext.extra_fields: ["timing"]`: https://github.com/ai-dynamo/dynamo
  {
    at: "nvext",
    within: "timing",
    unitMs: 1,
    times: { queueMs: "prefill_wait_time_ms", prefillMs: "prefill_time_ms", totalMs: "total_time_ms" },
  },
  // Fireworks (docs), with `perf_metrics_in_response`:
  // https://docs.fireworks.ai/faq-new/models-inference/how-to-get-performance-metrics-for-streaming-responses
  {
    at: "perf_metrics",
    unitMs: MS_PER_SECOND,
    times: {
      queueMs: "prefill-queue-duration",
      prefillMs: "prefill-duration",
      decodeMs: "generation-duration",
      totalMs: "server-processing-time",
    },
  },
  // Ollama's own API (docs), nanoseconds; loading the model counts as waiting: https://docs.ollama.com/api/usage
  ...["usage", undefined].map((at) => ({
    ...(at !== undefined && { at }),
    unitMs: 1 / NS_PER_MS,
    times: {
      queueMs: "load_duration",
      prefillMs: "prompt_eval_duration",
      decodeMs: "eval_duration",
      totalMs: "total_duration",
    },
  })),
];

/** Takes what a chat completion, or the event of a stream that begins or ends one, says of its making. */
export function takeChatReport(body: JsonRecord, report: UpstreamReport): void {
  takeWord(report, "systemFingerprint", body["system_fingerprint"]);
  takeWord(report, "serviceTier", body["service_tier"]);
  for (const { at, within, unitMs, times } of BODY_TIMES) {
    const outer = at === undefined ? body : body[at];
    if (outer === undefined || outer === null) continue;
    const holder = within === undefined ? recordOf(outer) : recordOf(recordOf(outer)[within]);
    takeTimes(report, holder, times, unitMs);
  }
}

function takeTimes(
  report: UpstreamReport,
  holder: JsonRecord,
  times: BodyTimes["times"],
  unitMs: number,
): void {
  takeTime(report, "queueMs", times.queueMs && holder[times.queueMs], unitMs);
  takeTime(report, "prefillMs", times.prefillMs && holder[times.prefillMs], unitMs);
  takeTime(report, "decodeMs", times.decodeMs && holder[times.decodeMs], unitMs);
  takeTime(report, "totalMs", times.totalMs && holder[times.totalMs], unitMs);
}

/** Anthropic's `usage`: https://platform.claude.com/docs/en/api/messages. Its head has the rest. */
export function takeAnthropicReport(usage: JsonRecord, report: UpstreamReport): void {
  takeWord(report, "serviceTier", usage["service_tier"]);
  takeWord(report, "region", usage["inference_geo"]);
}

/** `metrics` and `serviceTier`: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html */
export function takeConverseReport(body: JsonRecord, report: UpstreamReport): void {
  takeTime(report, "totalMs", recordOf(body["metrics"])["latencyMs"], 1);
  takeWord(report, "serviceTier", recordOf(body["serviceTier"])["type"]);
}

/** Vertex's way of serving: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/GenerateContentResponse */
export function takeGeminiReport(body: JsonRecord, report: UpstreamReport): void {
  takeWord(report, "serviceTier", recordOf(body["usageMetadata"])["trafficType"]);
}

type TakeHeader = (report: UpstreamReport, value: string) => void;

const ms =
  (name: Time, unitMs = 1): TakeHeader =>
  (report, value) => {
    // Of several proxies in a row each may add its own; one number is what can be read.
    if (/^\d{1,12}(?:\.\d{1,12})?$/.test(value)) takeTime(report, name, Number(value), unitMs);
  };

/** Only where nothing closer to the model has said it. */
const unless =
  (name: Time, take: TakeHeader): TakeHeader =>
  (report, value) => {
    if (report[name] === undefined) take(report, value);
  };

const word =
  (name: Word): TakeHeader =>
  (report, value) => {
    takeWord(report, name, value);
  };

/** By the header's name in lower case. Of a stream such a total ends with its head. */
export const REPORT_HEADERS: ReadonlyMap<string, TakeHeader> = new Map<string, TakeHeader>([
  // OpenAI (docs): https://developers.openai.com/api/reference/overview
  ["openai-processing-ms", ms("totalMs")],
  // Bedrock's InvokeModel (seen).
  ["x-amzn-bedrock-invocation-latency", ms("totalMs")],
  // Fireworks (docs, the page above), seconds; on streams those that are known before the first token.
  ["fireworks-prefill-queue-duration", ms("queueMs", MS_PER_SECOND)],
  ["fireworks-prefill-duration", ms("prefillMs", MS_PER_SECOND)],
  ["fireworks-generation-duration", ms("decodeMs", MS_PER_SECOND)],
  ["fireworks-server-processing-time", ms("totalMs", MS_PER_SECOND)],
  ["fireworks-backend-host", word("replica")],
  // Text Generation Inference (code): https://github.com/huggingface/text-generation-inference/blob/main/router/src/server.rs
  ["x-queue-time", ms("queueMs")],
  ["x-total-time", ms("totalMs")],
  // Proxies in front of many vendors (seen), Envoy at Azure and Anthropic, Kong at Mistral: the whole of what is behind them.
  ["x-envoy-upstream-service-time", unless("totalMs", ms("totalMs"))],
  ["x-kong-upstream-latency", unless("totalMs", ms("totalMs"))],
  // Google (seen): the time behind its front end.
  [
    "server-timing",
    (report, value) => {
      const durationMs = /(?:^|[ ,])gfet4t7; ?dur=(\d{1,9})\b/.exec(value)?.[1];
      if (durationMs !== undefined) takeTime(report, "totalMs", Number(durationMs), 1);
    },
  ],
  // Azure (seen).
  ["x-ms-region", word("region")],
  ["azureml-model-session", word("replica")],
  // Cloudflare (docs), in front of OpenAI, Anthropic and Groq: https://developers.cloudflare.com/fundamentals/reference/cloudflare-ray-id/
  [
    "cf-ray",
    (report, value) => {
      const colo = /-([A-Z]{3})$/.exec(value)?.[1];
      if (colo !== undefined) report.colo = colo;
    },
  ],
  // Groq (seen).
  ["x-groq-region", word("region")],
]);
