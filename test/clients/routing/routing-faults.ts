// The rows of src/routing/README.md's table of faults: what an upstream does, and what then happens. Read by
// routing-faults.test.ts, which runs each row with each strategy and compares the README's table with these rows.
import type { Reply } from "../../support/servers/upstream-replies.ts";

export interface FaultRow {
  /** As the README's table says it. */
  readonly fault: string;
  /** What the first target's upstream does; a scripted upstream, or a model of `sim`. */
  readonly reply: Reply | { readonly sim: string };
  readonly stream: boolean;
  /** Of the first target's attempts. */
  readonly outcome: string;
  /** Attempts at the first target, at most 2 by the route. */
  readonly attempts: 1 | 2;
  /** What the client gets where a second target is sound, and where there is none. */
  readonly withSecond: string;
  readonly alone: string;
  /** The second attempt succeeds. */
  readonly recovers?: boolean;
}

const ERROR = (status: number, headers: Record<string, string> = {}): Reply => ({
  kind: "error",
  status,
  headers,
});
const TEXT = { kind: "answer", text: "one two three four" } as const;

export const FAULTS: readonly FaultRow[] = [
  row("500, 502", ERROR(500), "upstream_error", 2, "200", "502 upstream_error"),
  row("503, 529", ERROR(503), "upstream_overloaded", 2, "200", "503 upstream_overloaded"),
  row(
    "429 without `retry-after`",
    ERROR(429),
    "upstream_rate_limited",
    2,
    "200",
    "429 upstream_rate_limited",
  ),
  row(
    "429 with a short `retry-after-ms`",
    ERROR(429, { "retry-after-ms": "30" }),
    "upstream_rate_limited",
    2,
    "200",
    "429 upstream_rate_limited",
  ),
  row(
    "429 with a `retry-after` of a minute",
    ERROR(429, { "retry-after": "60" }),
    "upstream_rate_limited",
    1,
    "200",
    "429 upstream_rate_limited",
  ),
  row("401, 403 (our credential)", ERROR(401), "upstream_auth", 1, "200", "502 upstream_auth"),
  row(
    "400, 404, 409, 413, 422 (the caller's fault)",
    ERROR(422),
    "upstream_rejected",
    1,
    "422 upstream_rejected",
    "422 upstream_rejected",
  ),
  row("no first byte", { kind: "hang" }, "upstream_timeout", 1, "200", "504 upstream_timeout"),
  row(
    "a body that is no answer",
    { kind: "raw", body: "<html>" },
    "upstream_malformed",
    2,
    "200",
    "502 upstream_malformed",
  ),
  row(
    "an error sent as a 200",
    { kind: "raw", body: '{"error":{"message":"x"}}' },
    "upstream_error",
    2,
    "200",
    "502 upstream_error",
  ),
  row(
    "a whole body that is cut",
    { kind: "raw", body: '{"choices":[', cut: true },
    "upstream_error",
    2,
    "200",
    "502 upstream_error",
  ),
  row(
    "a redirect",
    { kind: "redirect", location: "http://127.0.0.1:1/" },
    "upstream_error",
    2,
    "200",
    "502 upstream_error",
  ),
  row(
    "a stream without an event",
    { kind: "raw", body: "", contentType: "text/event-stream" },
    "upstream_malformed",
    2,
    "200",
    "502 upstream_malformed",
    true,
  ),
  row(
    "a stream that begins with an error",
    { ...TEXT, end: "error-event", endAfterChunks: 0 },
    "upstream_error",
    2,
    "200",
    "502 upstream_error",
    true,
  ),
  row(
    "a stream cut after its first event",
    { ...TEXT, end: "cut", endAfterChunks: 2 },
    "upstream_error",
    1,
    "200, then an error event",
    "200, then an error event",
    true,
  ),
  row(
    "a stream that falls silent",
    { ...TEXT, end: "stall", endAfterChunks: 2 },
    "upstream_timeout",
    1,
    "200, then an error event",
    "200, then an error event",
    true,
  ),
  row(
    "a stream with an error in its middle",
    { ...TEXT, end: "error-event", endAfterChunks: 2 },
    "upstream_error",
    1,
    "200, then an error event",
    "200, then an error event",
    true,
  ),
  row("`sim/overloaded`", { sim: "overloaded" }, "upstream_overloaded", 2, "200", "503 upstream_overloaded"),
  row(
    "`sim/rate-limited` (`retry-after: 1`)",
    { sim: "rate-limited" },
    "upstream_rate_limited",
    2,
    "200",
    "429 upstream_rate_limited",
  ),
  row("`sim/timeout`", { sim: "timeout" }, "upstream_timeout", 1, "200", "504 upstream_timeout"),
  row("`sim/malformed`", { sim: "malformed" }, "upstream_malformed", 2, "200", "502 upstream_malformed"),
  row("`sim/cut`", { sim: "cut" }, "upstream_error", 2, "200", "502 upstream_error"),
  row(
    "`sim/cut`",
    { sim: "cut" },
    "upstream_error",
    1,
    "200, then an error event",
    "200, then an error event",
    true,
  ),
  row("`sim/stall`", { sim: "stall" }, "upstream_timeout", 1, "200", "504 upstream_timeout"),
  row(
    "`sim/stall`",
    { sim: "stall" },
    "upstream_timeout",
    1,
    "200, then an error event",
    "200, then an error event",
    true,
  ),
  {
    ...row("`sim/flaky` (fails every other call)", { sim: "flaky" }, "upstream_error", 2, "200", "200"),
    recovers: true,
  },
];

function row(
  fault: string,
  reply: FaultRow["reply"],
  outcome: string,
  attempts: 1 | 2,
  withSecond: string,
  alone: string,
  stream = false,
): FaultRow {
  return { fault, reply, stream, outcome, attempts, withSecond, alone };
}

/** The README's table, as this file makes it. */
export function renderFaults(): string {
  const cells = FAULTS.map(({ fault, stream, outcome, attempts, withSecond, alone }) =>
    [fault, stream ? "yes" : "", outcome, String(attempts), withSecond, alone].join(" | "),
  );
  return [
    "| fault | stream | attempt's outcome | attempts (of 2) | client, with a sound second target | client, without one |",
    "| --- | --- | --- | ---: | --- | --- |",
    ...cells.map((cell) => `| ${cell} |`),
  ].join("\n");
}
