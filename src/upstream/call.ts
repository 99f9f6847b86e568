/**
 * An HTTP call to a model API that is under way: its abort, its time limits, and the errors that they and a failed
 * connection are. The call is made by send.ts; its body is read by stream.ts or read-body.ts.
 */

import { GatewayError } from "../errors.ts";
import type { SharedTimer } from "../runtime/shared-timer.ts";
import type { StartTimer } from "../runtime/waits.ts";

/** Why a call was aborted; also the reason that its signal carries. */
export type AbortCause = TimeLimit | "total" | "client" | "revoked" | "lease_lost" | "memory";

/** `slow_body`: the idle limit of a body whose length the head names, which is one for all of it. */
type TimeLimit = "first_byte" | "idle" | "slow_body";

/** A call under way: its response, and the handle that ends it. */
export interface UpstreamCall {
  /** The account's name, for messages. */
  readonly name: string;
  readonly response: Response;
  readonly hasFirstByteLimit: boolean;
  /** Stops the upstream; idempotent. The first cause given is the one that errors name. */
  abort(cause: AbortCause): void;
  abortedBy(): AbortCause | undefined;
  /** Fires with the abort, whatever its cause. */
  readonly signal: AbortSignal;
  /** Starts the given time limit afresh; only one is armed at a time. */
  arm(cause: TimeLimit, ms: number): void;
  disarm(): void;
  /** For other waits on the request's timer. */
  readonly startTimer: StartTimer;
  /** Clears the timers and the listener on the client's signal; call once the body has ended. */
  release(): void;
  /** What broke the call or its body, as an error for the client. */
  toError(thrown: unknown): GatewayError;
}

/**
 * An exception of `fetch` or of a body as an error for the client; its own message may hold addresses and is not passed
 * on. `limitMs` is the time limit that the call ran into.
 */
export function toUpstreamError(
  thrown: unknown,
  cause: AbortCause | undefined,
  name: string,
  limitMs?: number,
): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  switch (cause) {
    case "client":
      return new GatewayError(
        "client_disconnected",
        "The client disconnected before the response was complete.",
      );
    case "first_byte":
      return timeout(cause, `'${name}' sent no data ${formatLimit(limitMs)}(first-byte timeout).`);
    case "idle":
      return timeout(cause, `'${name}' sent no data ${formatLimit(limitMs)}(idle timeout).`);
    case "slow_body":
      return timeout(
        "idle",
        `'${name}' did not send its whole answer within ${(limitMs ?? 0) / MS_PER_SECOND} s (idle timeout).`,
      );
    case "total":
      return timeout(cause, `'${name}' did not finish within the request's total time limit.`);
    case "revoked":
      return new GatewayError(
        "permission_denied",
        "The key was revoked or paused, or the tenant suspended, while the request was running.",
      );
    case "lease_lost":
      return new GatewayError("unavailable", "The request lost its concurrency slot. Send it again.");
    case "memory":
      return new GatewayError(
        "overloaded",
        "The gateway had no room for the answer. Send the request again.",
      );
    case undefined:
      return new GatewayError("upstream_error", `The connection to '${name}' failed.`, { cause: thrown });
  }
}

function timeout(kind: "first_byte" | "idle" | "total", message: string): GatewayError {
  return new GatewayError("upstream_timeout", message, { timeout: kind });
}

const MS_PER_SECOND = 1000;

function formatLimit(ms: number | undefined): string {
  return ms === undefined ? "" : `for ${ms / MS_PER_SECOND} s `;
}

/** The client's signal also ends requests that were admitted and may no longer go on: pipeline/admission.ts. */
export function abortCauseOf({ reason }: AbortSignal): AbortCause {
  return reason === "revoked" || reason === "lease_lost" ? reason : "client";
}

/** A call whose response is still to come. */
export type CallHandle = Omit<UpstreamCall, "response" | "hasFirstByteLimit">;

/** `totalMs` starts at once; `client` aborts it until `release`. */
export function createHandle(
  name: string,
  client: AbortSignal,
  totalMs: number,
  timer: SharedTimer,
): CallHandle {
  const controller = new AbortController();
  let cause: AbortCause | undefined;
  let limitMs: number | undefined;
  /** The limit that is armed. */
  let armed: TimeLimit = "idle";
  let armedMs = 0;
  const abort = (why: AbortCause, ms?: number): void => {
    if (cause !== undefined) return;
    cause = why;
    limitMs = ms;
    controller.abort(new Error(why));
  };
  // Before the other: of two that are due at once the first made runs first, and this one says more.
  const total = timer.countdown(() => abort("total"));
  const silence = timer.countdown(() => abort(armed, armedMs));
  total.set(totalMs);
  const onClientGone = (): void => abort(abortCauseOf(client));
  if (client.aborted) onClientGone();
  else client.addEventListener("abort", onClientGone);
  return {
    name,
    signal: controller.signal,
    abort: (why) => abort(why),
    abortedBy: () => cause,
    arm(why, ms) {
      armed = why;
      armedMs = ms;
      silence.set(ms);
    },
    disarm: () => silence.clear(),
    startTimer: timer.start,
    release() {
      silence.clear();
      total.clear();
      client.removeEventListener("abort", onClientGone);
    },
    toError: (thrown) => toUpstreamError(thrown, cause, name, limitMs),
  };
}
