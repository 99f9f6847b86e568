/**
 * Every metric of the gateway: its name, unit, labels, buckets and meaning. SPANS.md lists them, and the
 * Grafana pack is checked against them. Data only; sample-trace.ts records. Sources: GenAI semantic conventions
 * v1.41, "Metrics"; `gateway.*` is ours.
 */

/**
 * The only labels a metric may have, since each multiplies the number of series: no key, no request, no
 * metadata, nothing that grows with traffic.
 */
export const METRIC_LABELS = {
  "gateway.tenant.id":
    "The tenant; `-` for requests without a known one. Absent on the operator's own numbers.",
  "gen_ai.operation.name": "As on the inference span.",
  "gen_ai.provider.name": "As on the inference span; of a request, the provider called last.",
  "gen_ai.request.model":
    "The model sent to the upstream; on `gateway.requests` and `gateway.prompt_cache.*`, the model the client named, once a route was found for it. `(unlisted)` for a model with neither a route nor a price.",
  "gen_ai.token.type": "input or output.",
  "error.type": "A code of the error table or the upstream's status; absent where nothing failed.",
  "gateway.outcome": "How the request ended, as on the root span.",
  "gateway.decision": "The error code the request was refused with.",
  "gateway.limit.name": "The limit that refused it.",
  "gateway.queue.limit": "The limit it waited for; absent where it did not wait.",
  "gateway.cache.status": "hit, miss or bypass.",
  "gateway.cache.kind": "For a hit: exact or semantic.",
  "gateway.prompt_cache.cause": "Why less came from the vendor's prompt cache than it had held.",
  "gateway.attempt.outcome": "ok, client_disconnected, or the error code.",
  "gateway.attempt.reason": "initial, retry, fallback, hedge or cache.",
  "gateway.budget.threshold": "The share of the budget that was reached: 0.5, 0.8 or 1.",
  "gateway.budget.holder": "Whose budget: tenant or key.",
  "gateway.export.destination": "Name of the trace destination.",
  "gateway.export.reason": "Why traces were dropped.",
  "otel.metric.overflow": "`true` on the one series that collects everything above the series limit.",
} as const;

export type MetricLabel = keyof typeof METRIC_LABELS;

/** A series' labels without the tenant's, which belongs to the whole list. */
export type Labels = { readonly [name in MetricLabel]?: string };

interface Described {
  readonly unit:
    | "s"
    | "USD"
    | "{token}"
    | "{alert}"
    | "{request}"
    | "{attempt}"
    | "{lookup}"
    | "{trace}"
    | "{send}";
  readonly meaning: string;
  readonly labels: readonly MetricLabel[];
  /** Raw units (ms, micro-dollars) in one `unit`: values are whole raw units, so that sums are exact. */
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

/** The version of the conventions whose names are exported: change it when back ends support the next. */
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

/** The conventions' metrics by what they measure, under the names in use. */
export const GEN_AI_METRICS = GEN_AI_NAMES[GEN_AI_CONVENTIONS];

const INFERENCE_LABELS = ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model"] as const;

const tokens = {
  kind: "histogram",
  unit: "{token}",
  rawPerUnit: 1,
  bounds: TOKENS,
  labels: [...INFERENCE_LABELS, "gen_ai.token.type"],
  meaning: "Tokens of a generation, as billed or, where the provider reports none, estimated.",
} as const;

/** One histogram by v1.41, two by the newer names: with those, the compiler requires the second. */
const TOKEN_INSTRUMENTS: Record<
  (typeof GEN_AI_METRICS)["inputTokens" | "outputTokens"],
  Instrument & typeof tokens
> = { [GEN_AI_METRICS.inputTokens]: tokens };

/** Every metric gathered from finished requests, and the queue depth, which is read when metrics are read. */
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
    meaning: "Wait in the tenant's queue by the queue object's clock, including requests that did not wait.",
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
    meaning: "Lookups in the response cache, bypasses included.",
  },
  "gateway.cache.saved": { ...money, labels: [], meaning: "Cost of the answers served from the cache." },
  "gateway.prompt_cache.input": {
    ...count,
    unit: "{token}",
    labels: ["gen_ai.request.model"],
    meaning: "Input tokens of answers that say what came from the vendor's prompt cache.",
  },
  "gateway.prompt_cache.read": {
    ...count,
    unit: "{token}",
    labels: ["gen_ai.request.model"],
    meaning: "Those of them that came from it: divided by the others, the cached share.",
  },
  "gateway.prompt_cache.wasted": {
    ...money,
    labels: ["gen_ai.request.model", "gateway.prompt_cache.cause"],
    meaning: "What input tokens cost more than from the vendor's prompt cache, which had held them.",
  },
  "gateway.refusals": {
    ...count,
    unit: "{request}",
    labels: ["gateway.decision", "gateway.limit.name"],
    meaning: "Requests the gateway refused, by reason and limit.",
  },
  "gateway.cost": {
    ...money,
    labels: ["gen_ai.provider.name", "gen_ai.request.model"],
    meaning: "Spend by the price table, without models that have no price.",
  },
  "gateway.budget.alerts": {
    ...count,
    unit: "{alert}",
    labels: ["gateway.budget.holder", "gateway.budget.threshold"],
    meaning: "Budgets that reached half, four fifths or all of their amount: each once a period.",
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

/** Exported traces per destination: enqueued = delivered + pending + dropped. */
export const EXPORT_INSTRUMENTS = {
  "gateway.export.enqueued": { ...exported, meaning: "Traces to be sent to the destination." },
  "gateway.export.delivered": { ...exported, meaning: "Traces the destination accepted." },
  "gateway.export.dropped": {
    ...exported,
    labels: [...destination, "gateway.export.reason"],
    meaning: "Traces that will not be delivered.",
  },
  "gateway.export.pending": { ...exported, kind: "gauge", meaning: "Traces not yet delivered or dropped." },
  "gateway.export.retries": { ...exported, unit: "{send}", meaning: "Sends that were retried." },
} as const satisfies Record<string, Instrument>;

type AnyInstrumentName = InstrumentName | keyof typeof EXPORT_INSTRUMENTS;

const ALL: Readonly<Record<string, Instrument>> = { ...INSTRUMENTS, ...EXPORT_INSTRUMENTS };

/** The instrument of a name; undefined for a name of another version of the Worker. */
export function findInstrument(name: string): Instrument | undefined {
  return Object.hasOwn(ALL, name) ? ALL[name] : undefined;
}

/** All instruments, in the order in which they are listed. */
export function listInstruments(): readonly (readonly [AnyInstrumentName, Instrument])[] {
  // The keys of ALL are those of the two tables it is made of.
  return Object.entries(ALL) as [AnyInstrumentName, Instrument][];
}
