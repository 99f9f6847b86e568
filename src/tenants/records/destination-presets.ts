/**
 * The back ends that a trace destination may name: their endpoint, the headers they require, the sizes they accept.
 * Data and its checks only, so that a wrong header is reported when the record is written, not by a silent back end.
 * How spans are sent is src/telemetry/export.
 */

export const PRESET_NAMES = [
  "otlp",
  "grafana-cloud",
  "honeycomb",
  "datadog",
  "new-relic",
  "langfuse",
  "jaeger",
  "phoenix",
  "mlflow",
] as const;
export type PresetName = (typeof PRESET_NAMES)[number];

/** OTLP's two encodings over HTTP. */
export const ENCODINGS = ["json", "protobuf"] as const;
export type Encoding = (typeof ENCODINGS)[number];

interface HeaderRule {
  /** In lower case. */
  readonly name: string;
  /** What is wrong with a value, as the end of a sentence; undefined when nothing is. */
  readonly faultOf: (value: string) => string | undefined;
}

interface Preset {
  /** Used where the record names none; absent where it differs by customer. */
  readonly endpoint?: string;
  /** What the endpoint looks like, for the message that asks for one. */
  readonly endpointForm: string;
  readonly headers: readonly HeaderRule[];
  /** Sent besides the record's own; the record's win. */
  readonly extraHeaders: Readonly<Record<string, string>>;
  /** A body above this is refused by the back end, or by whatever stands before it. */
  readonly maxBodyBytes: number;
  /** Beyond this the back end cuts an attribute, which would leave broken JSON of a captured message. */
  readonly maxContentChars: number;
  /** Adds the attributes that the back end's own views need (telemetry/export/preset-attributes.ts). */
  readonly attributeSet?: "langfuse" | "phoenix" | "mlflow";
  /** Used where the record names none: JSON, unless the back end takes nothing but the other. */
  readonly encoding?: Encoding;
}

const KB = 1024;
/** What a collector, Jaeger and the vendors without a stated limit take at least: gRPC's and nginx's are in this range. */
const COMMON_BODY_BYTES = 4_000_000;
const COMMON_CONTENT_CHARS = 16 * KB;

/** Sources: the vendors' documentation, seen 2026-11. */
export const PRESETS: Readonly<Record<PresetName, Preset>> = {
  otlp: {
    endpointForm: "https://collector.example",
    headers: [],
    extraHeaders: {},
    maxBodyBytes: COMMON_BODY_BYTES,
    maxContentChars: COMMON_CONTENT_CHARS,
  },
  "grafana-cloud": {
    endpointForm: "https://otlp-gateway-<region>.grafana.net/otlp",
    headers: [{ name: "authorization", faultOf: basicFault(/^\d+$/, "instance id", /^glc_|^ey/, "token") }],
    extraHeaders: {},
    maxBodyBytes: COMMON_BODY_BYTES,
    // Tempo cuts at 2,048 bytes.
    maxContentChars: 2000,
  },
  honeycomb: {
    endpoint: "https://api.honeycomb.io",
    endpointForm: "https://api.honeycomb.io",
    headers: [{ name: "x-honeycomb-team", faultOf: tokenFault }],
    extraHeaders: {},
    // 1 MB an event, and a span is one; a body of less can hold none that is too large.
    maxBodyBytes: 1_000_000,
    maxContentChars: COMMON_CONTENT_CHARS,
  },
  datadog: {
    // The intake Datadog keeps for Workers: its generic one expects each span to come from a host.
    endpoint: "https://cloudflare.integrations.otlp.datadoghq.com",
    endpointForm: "https://cloudflare.integrations.otlp.<site>",
    headers: [{ name: "dd-api-key", faultOf: tokenFault }],
    extraHeaders: { "dd-otlp-source": "llmobs" },
    maxBodyBytes: 3_200_000,
    maxContentChars: COMMON_CONTENT_CHARS,
  },
  "new-relic": {
    endpoint: "https://otlp.nr-data.net",
    endpointForm: "https://otlp.nr-data.net",
    headers: [{ name: "api-key", faultOf: tokenFault }],
    extraHeaders: {},
    maxBodyBytes: 1_000_000,
    maxContentChars: 4095,
  },
  langfuse: {
    endpoint: "https://cloud.langfuse.com/api/public/otel",
    endpointForm: "https://cloud.langfuse.com/api/public/otel",
    headers: [{ name: "authorization", faultOf: basicFault(/^pk-/, "public key", /^sk-/, "secret key") }],
    extraHeaders: { "x-langfuse-ingestion-version": "4" },
    maxBodyBytes: COMMON_BODY_BYTES,
    maxContentChars: COMMON_CONTENT_CHARS,
    attributeSet: "langfuse",
  },
  jaeger: {
    endpointForm: "http://jaeger.example:4318",
    headers: [],
    extraHeaders: {},
    maxBodyBytes: COMMON_BODY_BYTES,
    maxContentChars: COMMON_CONTENT_CHARS,
  },
  phoenix: {
    endpointForm: "https://phoenix.example",
    headers: [],
    extraHeaders: {},
    maxBodyBytes: COMMON_BODY_BYTES,
    maxContentChars: COMMON_CONTENT_CHARS,
    attributeSet: "phoenix",
    // Answers JSON with 415.
    encoding: "protobuf",
  },
  mlflow: {
    endpointForm: "https://mlflow.example",
    headers: [{ name: "x-mlflow-experiment-id", faultOf: experimentFault }],
    extraHeaders: {},
    maxBodyBytes: COMMON_BODY_BYTES,
    maxContentChars: COMMON_CONTENT_CHARS,
    attributeSet: "mlflow",
  },
};

/** Set by the exporter or by the connection itself: one of the record's would break the request, or lie about it. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "cookie",
  "expect",
  "host",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

export interface DestinationFault {
  /** The field within the destination: `["headers", "dd-api-key"]`. */
  readonly path: readonly string[];
  readonly message: string;
}

/** What a back end would refuse of a destination. `isMask` tells values that stand for a stored secret. */
export function findDestinationFaults(
  destination: {
    readonly preset: PresetName;
    readonly endpoint?: string | undefined;
    readonly headers: Readonly<Record<string, string>>;
  },
  isMask: (value: string) => boolean,
): readonly DestinationFault[] {
  const { preset: name, endpoint, headers } = destination;
  const preset = PRESETS[name];
  const faults: DestinationFault[] = [];
  if (endpoint === undefined && preset.endpoint === undefined) {
    const message = `is required for the preset ${name}, in the form ${preset.endpointForm}`;
    faults.push({ path: ["endpoint"], message });
  }
  const given = new Map(Object.entries(headers).map(([header, value]) => [header.toLowerCase(), value]));
  for (const header of Object.keys(headers)) {
    if (!OWN_HEADERS.has(header.toLowerCase())) continue;
    faults.push({ path: ["headers", header], message: "is set by the gateway itself" });
  }
  for (const { name: header, faultOf } of preset.headers) {
    const value = given.get(header);
    const fault =
      value === undefined
        ? `is required for the preset ${name}`
        : isMask(value)
          ? undefined
          : faultOf(value.trim());
    if (fault !== undefined) faults.push({ path: ["headers", header], message: fault });
  }
  return faults;
}

function tokenFault(value: string): string | undefined {
  if (value === "") return "is empty";
  return /\s/.test(value) ? "must be the key alone, without a word before it" : undefined;
}

function experimentFault(value: string): string | undefined {
  return /^\d+$/.test(value) ? undefined : "must be the number of an experiment";
}

/** `Basic base64(user:password)`, each part of the vendor's own form. */
function basicFault(user: RegExp, userName: string, password: RegExp, passwordName: string) {
  const form = `must be "Basic " and the base64 of <${userName}>:<${passwordName}>`;
  return (value: string): string | undefined => {
    const encoded = /^Basic ([A-Za-z0-9+/]+={0,2})$/.exec(value)?.[1];
    const pair = encoded === undefined ? undefined : decode(encoded);
    const at = pair?.indexOf(":") ?? -1;
    if (pair === undefined || at < 0) return form;
    if (!user.test(pair.slice(0, at))) return `${form}: this is not a ${userName}`;
    return password.test(pair.slice(at + 1)) ? undefined : `${form}: this is not a ${passwordName}`;
  };
}

function decode(base64: string): string | undefined {
  try {
    return atob(base64);
  } catch {
    return undefined;
  }
}
