/**
 * Every metric of the gateway: its name, unit, labels and buckets, each with its meaning. SPANS.md lists them, the
 * Grafana pack is checked against them. Data only; what is recorded when is sample-trace.ts.
 * Sources: GenAI semantic conventions v1.41, "Metrics"; `gateway.*` is ours.
 */

/**
 * The labels a metric may carry, and no others: each multiplies the number of series. No key, no request, no metadata, nothing
 * that grows with traffic.
 */
export const METRIC_LABELS = {
  "gateway.tenant.id":
    "The tenant; `-` for requests without a known one. Absent on the operator's own numbers.",
  "gen_ai.operation.name": "As on the inference span.",
  "gen_ai.provider.name": "As on the inference span; of a request, the provider that was asked last.",
  "gen_ai.request.model":
    "The model asked of the upstream; on `gateway.requests`, as the client named it, once it was found.",
  "gen_ai.token.type": "input or output.",
  "error.type": "A row of the error table or the upstream's status; absent where nothing failed.",
  "gateway.outcome": "How the request ended, as on the root span.",
  "gateway.decision": "The error table's row that refused the request.",
  "gateway.limit.name": "The limit that refused it.",
  "gateway.queue.limit": "The limit that held it; absent where it did not wait.",
  "gateway.cache.status": "hit, miss or bypass.",
  "gateway.cache.kind": "Of a hit: exact or semantic.",
  "gateway.attempt.outcome": "ok, client_disconnected, or the error table's row.",
  "gateway.attempt.reason": "initial, retry, fallback, hedge or cache.",
  "gateway.export.destination": "Name of the trace destination.",
  "gateway.export.reason": "Why traces were dropped.",
  "otel.metric.overflow": "`true` on the one series that takes what is beyond the limit of series.",
} as const;

export type MetricLabel = keyof typeof METRIC_LABELS;

/** A series' labels besides the tenant's, which whoever holds the series knows. */
export type Labels = { readonly [name in MetricLabel]?: string };

interface Described {
  readonly unit: "s" | "USD" | "{token}" | "{request}" | "{attempt}" | "{lookup}" | "{trace}" | "{send}";
  readonly meaning: string;
  readonly labels: readonly MetricLabel[];
  /** Values are kept in whole raw units (ms, micro-dollars), so that sums are exact; so many make one `unit`. */
  readonly rawPerUnit: number;
}

export type Instrument = Described &
  (
    | { readonly kind: "counter" | "gauge" }
    /** Upper bounds of the buckets, inclusive, in `unit`; one more bucket follows the last. */
    | { readonly kind: "histogram"; readonly bounds: readonly number[] }
  );

const MS_PER_SECOND = 1000;
export const MICRO_USD_PER_USD = 1_000_000;

/** The conventions' buckets for durations and for the time to the first chunk, in seconds. */
const SECONDS = [
  0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
] as const;
/** The conventions' buckets for tokens: powers of four. */
const TOKENS = [
  1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864,
] as const;

const duration = { kind: "histogram", unit: "s", rawPerUnit: MS_PER_SECOND, bounds: SECONDS } as const;
const count = { kind: "counter", rawPerUnit: 1 } as const;
const money = { kind: "counter", unit: "USD", rawPerUnit: MICRO_USD_PER_USD } as const;

/** Which names of the conventions leave the gateway: THE switch, to be turned when the back ends have followed. */
const GEN_AI_CONVENTIONS = "1.41";

const GEN_AI_NAMES = {
  "1.41": {
    duration: "gen_ai.client.operation.duration",
    firstChunk: "gen_ai.client.operation.time_to_first_chunk",
    inputTokens: "gen_ai.client.token.usage",
    outputTokens: "gen_ai.client.token.usage",
  },
  /** semantic-conventions-genai, as of 2026-11: no release yet. */
  next: {
    duration: "gen_ai.client.inference.duration",
    firstChunk: "gen_ai.client.inference.time_to_first_chunk",
    inputTokens: "gen_ai.client.inference.operation.input_tokens",
    outputTokens: "gen_ai.client.inference.operation.output_tokens",
  },
} as const;

/** The conventions' metrics by what they measure, under the names that are in force. */
export const GEN_AI_METRICS = GEN_AI_NAMES[GEN_AI_CONVENTIONS];

const INFERENCE_LABELS = ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model"] as const;

const tokens = {
  kind: "histogram",
  unit: "{token}",
  rawPerUnit: 1,
  bounds: TOKENS,
  labels: [...INFERENCE_LABELS, "gen_ai.token.type"],
  meaning: "Tokens of a generation, as billed or, where the provider did not say, estimated.",
} as const;

/** One histogram by v1.41, two by the newer names: turning the switch makes the compiler ask for the second. */
const TOKEN_INSTRUMENTS: Record<
  (typeof GEN_AI_METRICS)["inputTokens" | "outputTokens"],
  Instrument & typeof tokens
> = { [GEN_AI_METRICS.inputTokens]: tokens };

/** Every metric that is gathered from finished requests, except the depth, which is asked for when metrics are read. */
export const INSTRUMENTS = {
  [GEN_AI_METRICS.duration]: {
    ...duration,
    labels: [...INFERENCE_LABELS, "error.type"],
    meaning: "One upstream call, from sending it to the last byte of its answer.",
  },
  [GEN_AI_METRICS.firstChunk]: {
    ...duration,
    labels: INFERENCE_LABELS,
    meaning: "From sending a call to the first chunk of its stream.",
  },
  ...TOKEN_INSTRUMENTS,
  "gateway.requests": {
    ...count,
    unit: "{request}",
    labels: ["gateway.outcome", "gen_ai.request.model", "gen_ai.provider.name", "error.type"],
    meaning: "Requests of the data plane, refused ones included.",
  },
  "gateway.request.duration": {
    ...duration,
    labels: ["gateway.outcome"],
    meaning: "A request from its first byte to the last byte of its answer, waiting included.",
  },
  "gateway.queue.wait": {
    ...duration,
    labels: ["gateway.queue.limit"],
    meaning: "Wait in the tenant's queue, zeros included, by the queue object's clock.",
  },
  "gateway.queue.depth": {
    kind: "gauge",
    unit: "{request}",
    rawPerUnit: 1,
    labels: [],
    meaning: "Requests waiting when the metrics were read.",
  },
  "gateway.cache.lookups": {
    ...count,
    unit: "{lookup}",
    labels: ["gateway.cache.status", "gateway.cache.kind"],
    meaning: "What the response cache said, bypasses included.",
  },
  "gateway.cache.saved": { ...money, labels: [], meaning: "What the answers out of the cache had cost." },
  "gateway.refusals": {
    ...count,
    unit: "{request}",
    labels: ["gateway.decision", "gateway.limit.name"],
    meaning: "Requests the gateway refused, by the reason and the limit.",
  },
  "gateway.cost": {
    ...money,
    labels: ["gen_ai.provider.name", "gen_ai.request.model"],
    meaning: "Spend by the price table; models without a price are not in it.",
  },
  "gateway.attempts": {
    ...count,
    unit: "{attempt}",
    labels: [
      "gen_ai.provider.name",
      "gen_ai.request.model",
      "gateway.attempt.outcome",
      "gateway.attempt.reason",
    ],
    meaning: "Upstream calls.",
  },
} as const satisfies Record<string, Instrument>;

export type InstrumentName = keyof typeof INSTRUMENTS;

const destination = ["gateway.export.destination"] as const;
const exported = { ...count, unit: "{trace}", labels: destination } as const;

/** What became of the traces on their way out, per destination: enqueued = delivered + pending + dropped. */
export const EXPORT_INSTRUMENTS = {
  "gateway.export.enqueued": { ...exported, meaning: "Traces meant for the destination." },
  "gateway.export.delivered": { ...exported, meaning: "Traces it has accepted." },
  "gateway.export.dropped": {
    ...exported,
    labels: [...destination, "gateway.export.reason"],
    meaning: "Traces it will never get.",
  },
  "gateway.export.pending": { ...exported, kind: "gauge", meaning: "Traces on their way." },
  "gateway.export.retries": { ...exported, unit: "{send}", meaning: "Sends that had to be repeated." },
} as const satisfies Record<string, Instrument>;

type AnyInstrumentName = InstrumentName | keyof typeof EXPORT_INSTRUMENTS;

const ALL: Readonly<Record<string, Instrument>> = { ...INSTRUMENTS, ...EXPORT_INSTRUMENTS };

/** The instrument of a name; undefined for one that another version of the Worker knew. */
export function findInstrument(name: string): Instrument | undefined {
  return Object.hasOwn(ALL, name) ? ALL[name] : undefined;
}

/** All instruments, in the order in which they are listed. */
export function listInstruments(): readonly (readonly [AnyInstrumentName, Instrument])[] {
  // The keys of ALL are those of the two tables it is made of.
  return Object.entries(ALL) as [AnyInstrumentName, Instrument][];
}
