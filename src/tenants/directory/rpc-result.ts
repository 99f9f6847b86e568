/**
 * Refusals across RPC, where an error loses its class: the directory object answers with an outcome, its client makes
 * the same GatewayError of it again.
 */

import { type ErrorCode, GatewayError } from "../../errors.ts";

export type Outcome<Value> = { readonly ok: true; readonly value: Value } | Refusal;

interface Refusal {
  readonly ok: false;
  readonly code: ErrorCode;
  readonly message: string;
  readonly param?: string;
}

/** The work's result, or its refusal; any other fault is thrown on. */
export function attempt<Value>(work: () => Value): Outcome<Value> {
  try {
    return { ok: true, value: work() };
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown;
    const { code, message, details } = thrown;
    return { ok: false, code, message, ...(details.param === undefined ? {} : { param: details.param }) };
  }
}

/** The result; throws the refusal. */
export function unwrap<Value>(outcome: Outcome<Value>): Value {
  if (outcome.ok) return outcome.value;
  const { code, message, param } = outcome;
  throw new GatewayError(code, message, param === undefined ? {} : { param });
}
