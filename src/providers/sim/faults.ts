/**
 * The faults the simulated server can be asked for by model name, as data (src/docs/http-api.md, Local development).
 * What each does to an answer is done in server.ts.
 */

/** How a model misbehaves. */
export type SimFault =
  /** Answers rightly, this many times slower. */
  | { readonly type: "slow"; readonly factor: number }
  /** Refuses each attempt, or every other one of the same request: the first fails, its retry succeeds. */
  | {
      readonly type: "refuse";
      readonly status: number;
      readonly errorType: string;
      readonly message: string;
      readonly retryAfterSeconds?: number;
      readonly everyOther?: boolean;
    }
  /** Never answers, not even with headers. */
  | { readonly type: "timeout" }
  /** Loses the connection half-way through the body. */
  | { readonly type: "cut" }
  /** Sends JSON that breaks off in mid-string. */
  | { readonly type: "malformed" }
  /** Falls silent half-way through the body and keeps the connection open. */
  | { readonly type: "stall" };

/** With the default pace: 2.4 s to the first chunk, 0.4 s between chunks. */
const SLOW_FACTOR = 20;

const FAULTS: ReadonlyMap<string, SimFault> = new Map<string, SimFault>([
  ["slow", { type: "slow", factor: SLOW_FACTOR }],
  [
    "flaky",
    {
      type: "refuse",
      status: 500,
      errorType: "server_error",
      message: "The simulated server failed; the same request will succeed next time.",
      everyOther: true,
    },
  ],
  [
    "rate-limited",
    {
      type: "refuse",
      status: 429,
      errorType: "rate_limit_error",
      message: "The simulated server limits its rate.",
      retryAfterSeconds: 1,
    },
  ],
  [
    "overloaded",
    {
      type: "refuse",
      status: 503,
      errorType: "overloaded_error",
      message: "The simulated server is overloaded.",
    },
  ],
  ["timeout", { type: "timeout" }],
  ["cut", { type: "cut" }],
  ["malformed", { type: "malformed" }],
  ["stall", { type: "stall" }],
]);

/** The fault a model's name asks for; undefined for a model that answers as it should. */
export function faultOf(model: string): SimFault | undefined {
  return FAULTS.get(model);
}
