// What a receiver got, judged as a whole: every body by the protocol, every request's spans by trace-invariants.ts. Called when a
// receiver closes, so that no test that makes a request can leave a trace that is not as it must be.
import { checkOtlp, checkOtlpMetrics } from "./otlp-proto.ts";
import { flattenSpans, type ReceivedExport } from "./otlp-spans.ts";
import { checkTrace, splitRequests, type TraceCheck } from "./trace-invariants.ts";

/** Enough to see what is wrong; the rest is most often the same. */
const MAX_TOLD = 20;

/** Throws where anything is wrong. Links are only judged by their form: what they lead to may have gone elsewhere. */
export function checkExports(
  traces: readonly Pick<ReceivedExport, "text" | "json">[],
  metrics: readonly Pick<ReceivedExport, "json">[],
  { gets = [] }: Pick<TraceCheck, "gets"> = {},
): void {
  // A body may come several times, byte for byte.
  const bodies = new Map(traces.map(({ text, json }) => [text, json]));
  const faults = [...bodies.values()].flatMap((json) => [
    ...checkOtlp(json),
    // A request's spans leave together, so each body has whole ones.
    ...splitRequests(flattenSpans(json)).flatMap((spans) =>
      checkTrace(spans, { gets }).map((fault) => `${spans[0]?.traceId}: ${fault}`),
    ),
  ]);
  faults.push(...metrics.flatMap(({ json }) => checkOtlpMetrics(json)));
  if (faults.length === 0) return;
  throw new Error(`${faults.length} faults in what was exported:\n${faults.slice(0, MAX_TOLD).join("\n")}`);
}
