/** How the Worker calls the directory object: bounded in time, repeated once where that is safe, refusals as GatewayErrors. */

import { GatewayError } from "../../errors.ts";
import { isRemote, isRetryable } from "../../runtime/durable-object-errors.ts";
import { withDeadline } from "../../runtime/waits.ts";
import type { DirectoryRpc } from "./directory-api.ts";
import { type RpcResult, unwrap } from "./rpc-result.ts";

/** Longer than a write's push to the queue object may take. */
const CALL_TIMEOUT_MS = 10_000;
const MAX_TRIES = 2;
const RETRY_AFTER_MS = 1000;

export interface DirectoryCalls {
  /** One call, repeated once where the runtime says that it may be: the object's methods are idempotent. */
  call<Value>(ask: (directory: DirectoryRpc) => Promise<Value>): Promise<Value>;
  /** The same; throws the object's refusal. */
  change<Value>(ask: (directory: DirectoryRpc) => Promise<RpcResult<Value>>): Promise<Value>;
}

/** `directory` makes a new stub for each call: one whose object was reset fails from then on. */
export function createDirectoryCalls(directory: () => DirectoryRpc): DirectoryCalls {
  async function call<Value>(ask: (directory: DirectoryRpc) => Promise<Value>): Promise<Value> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await withDeadline(ask(directory()), CALL_TIMEOUT_MS, "the directory");
      } catch (thrown) {
        if (tries === MAX_TRIES || !isRetryable(thrown)) throw unreachable(thrown);
      }
    }
  }

  return {
    call,
    async change(ask) {
      return unwrap(await call(ask));
    },
  };
}

/** A fault of the object's own code stays as it is and becomes an `internal_error`. */
function unreachable(cause: unknown): unknown {
  if (isRemote(cause) && !isRetryable(cause)) return cause;
  return new GatewayError("unavailable", "The directory of tenants is unavailable. Retry.", {
    retryAfterMs: RETRY_AFTER_MS,
    cause,
  });
}
