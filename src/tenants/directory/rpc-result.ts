/**
 * Refusals across RPC, where an error loses its class: the directory object answers with a result, from which its client
 * makes the same GatewayError again.
 */

import { type ErrorCode, GatewayError } from "../../errors.ts";

export type RpcResult<Value> = { readonly ok: true; readonly value: Value } | Refusal;

interface Refusal {
  readonly ok: false;
  readonly code: ErrorCode;
  readonly message: string;
  readonly param?: string;
}

/** The work's value, or its GatewayError as plain data; any other fault is rethrown. */
export function toResult<Value>(work: () => Value): RpcResult<Value> {
  try {
    return { ok: true, value: work() };
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown;
    const { code, message, details } = thrown;
    return { ok: false, code, message, ...(details.param !== undefined && { param: details.param }) };
  }
}

/** The value; throws the refusal. */
export function unwrap<Value>(result: RpcResult<Value>): Value {
  if (result.ok) return result.value;
  const { code, message, param } = result;
  throw new GatewayError(code, message, param === undefined ? {} : { param });
}
