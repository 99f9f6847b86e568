// Strict check of an OTLP/HTTP JSON body, of traces or of metrics, against the protocol's .proto files in proto/.
// Stricter than a collector, which tolerates much: what we send must be right in every field. It knows nothing of our own span
// names or tree rules (that is trace-invariants.ts).
import { join } from "node:path";
import protobuf from "protobufjs";
import { checkDataPoints, isObject, type JsonObject, type Report } from "./otlp-data-points.ts";

const PROTO_ROOT = join(import.meta.dirname, "proto");
const DECIMAL = /^-?\d{1,20}$/;
const HEX_ID = /^[0-9a-f]+$/i;
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

/** Hex digits each id field must have in OTLP/JSON (specification, "JSON Protobuf Encoding"). */
const HEX_ID_LENGTH: ReadonlyMap<string, number> = new Map([
  ["traceId", 32],
  ["spanId", 16],
  ["parentSpanId", 16],
]);

/** Fields that must be present, non-empty and non-zero, by message name. */
const REQUIRED: ReadonlyMap<string, readonly string[]> = new Map([
  ["ExportTraceServiceRequest", ["resourceSpans"]],
  ["ResourceSpans", ["resource", "scopeSpans"]],
  ["ScopeSpans", ["spans"]],
  ["Span", ["traceId", "spanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano"]],
  ["Event", ["timeUnixNano", "name"]],
  ["Link", ["traceId", "spanId"]],
  ["KeyValue", ["key", "value"]],
  ["ExportMetricsServiceRequest", ["resourceMetrics"]],
  ["ResourceMetrics", ["resource", "scopeMetrics"]],
  ["ScopeMetrics", ["metrics"]],
  ["Metric", ["name", "description", "unit"]],
  ["Gauge", ["dataPoints"]],
  ["Sum", ["dataPoints", "aggregationTemporality"]],
  ["Histogram", ["dataPoints", "aggregationTemporality"]],
  ["NumberDataPoint", ["timeUnixNano"]],
  ["HistogramDataPoint", ["startTimeUnixNano", "timeUnixNano", "explicitBounds", "bucketCounts"]],
]);

const traceRequest = loadRequestType("trace", "ExportTraceServiceRequest");
const metricsRequest = loadRequestType("metrics", "ExportMetricsServiceRequest");

/** Violations of the OTLP/JSON trace encoding in a parsed request body, each `path: problem`; empty when it is valid. */
export function checkOtlp(body: unknown): string[] {
  return check(traceRequest, body);
}

/** The same for a metrics request; and that its histograms add up and no series comes twice. */
export function checkOtlpMetrics(body: unknown): string[] {
  return check(metricsRequest, body);
}

/** The OTLP/JSON of a Protobuf body of traces, read by the protocol's own definitions; throws where it can't be read. */
export function protobufToJson(bytes: Uint8Array): string {
  const message = traceRequest.toObject(traceRequest.decode(bytes), { longs: String, bytes: Array });
  return JSON.stringify(message, (name, value: unknown) =>
    HEX_ID_LENGTH.has(name) && Array.isArray(value) ? Buffer.from(value).toString("hex") : value,
  );
}

function check(type: protobuf.Type, body: unknown): string[] {
  const violations: string[] = [];
  checkMessage(type, body, "$", (path, problem) => violations.push(`${path}: ${problem}`));
  return violations;
}

function loadRequestType(signal: "trace" | "metrics", name: string): protobuf.Type {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => join(PROTO_ROOT, target);
  root.loadSync(`opentelemetry/proto/collector/${signal}/v1/${signal}_service.proto`);
  root.resolveAll();
  return root.lookupType(`opentelemetry.proto.collector.${signal}.v1.${name}`);
}

function checkMessage(type: protobuf.Type, value: unknown, path: string, report: Report): void {
  if (!isObject(value)) return report(path, `expected ${type.name}, got ${describe(value)}`);
  for (const [key, member] of Object.entries(value)) {
    const field = type.fields[key];
    if (field === undefined) report(`${path}.${key}`, `not a field of ${type.name}`);
    else checkField(field, member, `${path}.${key}`, report);
  }
  for (const key of REQUIRED.get(type.name) ?? []) {
    if (isAbsent(value[key])) report(`${path}.${key}`, `required in ${type.name}`);
  }
  if (type.name === "AnyValue" && Object.keys(value).length !== 1) {
    report(path, `an AnyValue has exactly one member, this one has ${Object.keys(value).length}`);
  }
  if (type.name === "Span") checkSpanTimes(value, path, report);
  if (type.name === "Metric") checkDataPoints(value, path, report);
  checkUniqueKeys(value["attributes"], `${path}.attributes`, report);
}

function checkField(field: protobuf.Field, value: unknown, path: string, report: Report): void {
  if (!field.repeated) return checkSingle(field, value, path, report);
  if (!Array.isArray(value)) return report(path, `expected an array, got ${describe(value)}`);
  value.forEach((item, index) => checkSingle(field, item, `${path}[${index}]`, report));
}

function checkSingle(field: protobuf.Field, value: unknown, path: string, report: Report): void {
  const type = field.resolvedType;
  if (type instanceof protobuf.Type) return checkMessage(type, value, path, report);
  if (type instanceof protobuf.Enum) {
    const known = typeof value === "number" && type.valuesById[value] !== undefined;
    if (!known) report(path, `expected a number of enum ${type.name}, got ${describe(value)}`);
    return;
  }
  const problem = scalarProblem(field, value);
  if (problem !== undefined) report(path, problem);
}

function scalarProblem(field: protobuf.Field, value: unknown): string | undefined {
  switch (field.type) {
    case "string":
      return typeof value === "string" ? undefined : `expected a string, got ${describe(value)}`;
    case "bool":
      return typeof value === "boolean" ? undefined : `expected a boolean, got ${describe(value)}`;
    case "double":
      return isDouble(value) ? undefined : `expected a double, got ${describe(value)}`;
    case "int64":
    case "sfixed64":
    case "fixed64":
      return isDecimal64(value, field.type) ? undefined : `expected a decimal string, got ${describe(value)}`;
    case "uint32":
    case "fixed32":
      return isUint32(value) ? undefined : `expected an unsigned 32-bit number, got ${describe(value)}`;
    case "bytes":
      return bytesProblem(field.name, value);
    default:
      return `the checker has no rule for ${field.type}`;
  }
}

function bytesProblem(name: string, value: unknown): string | undefined {
  if (typeof value !== "string") return `expected a string, got ${describe(value)}`;
  const length = HEX_ID_LENGTH.get(name);
  if (length === undefined) return BASE64.test(value) ? undefined : "expected base64";
  if (value === "" && name === "parentSpanId") return undefined;
  if (value.length !== length || !HEX_ID.test(value))
    return `expected ${length} hex digits, got ${describe(value)}`;
  return /^0+$/.test(value) ? "an id may not be all zeroes" : undefined;
}

function checkSpanTimes(span: JsonObject, path: string, report: Report): void {
  const start = span["startTimeUnixNano"];
  const end = span["endTimeUnixNano"];
  if (!isDecimal64(start, "fixed64") || !isDecimal64(end, "fixed64")) return;
  if (BigInt(end) < BigInt(start)) report(path, "ends before it starts");
}

function checkUniqueKeys(attributes: unknown, path: string, report: Report): void {
  if (!Array.isArray(attributes)) return;
  const seen = new Set<unknown>();
  for (const attribute of attributes) {
    const key = isObject(attribute) ? attribute["key"] : undefined;
    if (seen.has(key)) report(path, `the key ${describe(key)} occurs twice`);
    seen.add(key);
  }
}

function isDecimal64(value: unknown, type: "int64" | "sfixed64" | "fixed64"): value is string {
  if (typeof value !== "string" || !DECIMAL.test(value)) return false;
  const wrapped = type === "fixed64" ? BigInt.asUintN(64, BigInt(value)) : BigInt.asIntN(64, BigInt(value));
  return wrapped === BigInt(value);
}

function isDouble(value: unknown): boolean {
  return typeof value === "number" || value === "NaN" || value === "Infinity" || value === "-Infinity";
}

function isUint32(value: unknown): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;
}

function isAbsent(value: unknown): boolean {
  const isEmptyArray = Array.isArray(value) && value.length === 0;
  return (
    value === undefined || value === null || value === "" || value === 0 || value === "0" || isEmptyArray
  );
}

function describe(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
