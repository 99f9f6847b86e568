/**
 * One HTTP call to a model API, with its time limits and its abort: resolves with the head of the response. Streamed
 * bodies are read by stream.ts, whole ones by `readBody` here. Decides nothing about retries or other targets.
 */

import { GatewayError } from "../errors.ts";
import type { RunModel } from "./model-binding.ts";
import { baseUrlFor, type Provider } from "../providers/provider.ts";
import type { Target, UpstreamRequest } from "../wires/upstream-wire.ts";

/** Why a call was aborted; also the reason that its signal carries. */
export type AbortCause = "first_byte" | "idle" | "total" | "client" | "revoked" | "lease_lost";

export interface UpstreamPorts {
  readonly fetch: typeof globalThis.fetch;
  readonly sleep: (ms: number) => Promise<void>;
  readonly now: () => number;
  /** Absent where the deployment has no binding to the platform's own models. */
  readonly runModel?: RunModel;
}

export interface CallLimits {
  readonly firstByteMs: number;
  readonly idleMs: number;
  /** When the whole request must be over, ms since the epoch. */
  readonly deadlineAt: number;
}

/** A call under way: its response, and the handle that ends it. */
export interface UpstreamCall {
  /** The account's name, for messages. */
  readonly name: string;
  readonly response: Response;
  /** Stops the upstream; idempotent. The first cause given is the one that errors name. */
  abort(cause: AbortCause): void;
  abortedBy(): AbortCause | undefined;
  /** Fires with the abort, whatever its cause. */
  readonly signal: AbortSignal;
  /** Starts the given time limit afresh; only one is armed at a time. */
  arm(cause: "first_byte" | "idle", ms: number): void;
  disarm(): void;
  /** Clears the timers and the listener on the client's signal; call once the body has ended. */
  release(): void;
  /** What broke the call or its body, as an error for the client. */
  toError(thrown: unknown): GatewayError;
}

/** The part of the client's request that a call depends on. */
export interface ClientSide {
  readonly signal: AbortSignal;
  readonly headers: Headers;
  /** Names of the client's headers that the upstream gets. */
  readonly passed: readonly string[];
  readonly traceparent: string;
}

/** A body that is not text: a form with files, or the client's own stream. */
export type Payload = NonNullable<RequestInit["body"]>;

export interface UpstreamSend {
  /** Unsigned. */
  readonly request: UpstreamRequest;
  readonly provider: Provider;
  readonly target: Target;
  readonly limits: CallLimits;
  readonly client: ClientSide;
  /** Sent in place of the request's text. */
  readonly payload?: Payload | undefined;
  /** Whether a status other than 2xx and 101 is thrown as the provider's reading of it; else any response is returned. */
  readonly throwOnStatus: boolean;
}

/** Error bodies are read this far; the rest is never needed. */
const MAX_ERROR_CHARS = 65_536;

/** Only a request for a WebSocket is answered with it. */
const SWITCHING_PROTOCOLS = 101;

/**
 * Calls a target and waits for the head of its response. Throws the provider's reading of a bad status,
 * `upstream_error` for a failed connection, `upstream_timeout`, and `client_disconnected` when the client left first.
 */
export async function sendUpstream(send: UpstreamSend, ports: UpstreamPorts): Promise<UpstreamCall> {
  const { provider, target, limits, client } = send;
  const handle = createHandle(target.account.name, client.signal, limits.deadlineAt - ports.now());
  handle.arm("first_byte", limits.firstByteMs);
  let call: UpstreamCall;
  try {
    const request = provider.sign ? await provider.sign(send.request, target, ports) : send.request;
    const headers = withPassedHeaders(request.headers, client, target);
    const response = await exchange({ ...request, headers }, send, handle.signal, ports);
    call = Object.assign(handle, { response });
  } catch (thrown) {
    handle.release();
    throw handle.toError(thrown);
  }
  const { status } = call.response;
  const isGood = (status >= 200 && status < 300) || status === SWITCHING_PROTOCOLS;
  if (isGood || !send.throwOnStatus) return call;
  throw await readErrorResponse(call, provider, target, ports);
}

/** Over the network, or inside the Worker where the provider is served there. */
async function exchange(
  request: UpstreamRequest,
  { provider, target, payload }: UpstreamSend,
  signal: AbortSignal,
  ports: UpstreamPorts,
): Promise<Response> {
  const { account } = target;
  if (provider.local)
    return provider.local(request, { options: account.options, signal, sleep: ports.sleep });
  if (baseUrlFor(provider, account) === undefined) return runnerOf(ports, account.name)(request, signal);
  const body = payload ?? request.body;
  return ports.fetch(request.url, {
    method: request.method,
    headers: request.headers,
    // A redirect could lead anywhere, and would carry our credential.
    redirect: "manual",
    signal,
    ...(body !== undefined && { body }),
  });
}

function runnerOf({ runModel }: UpstreamPorts, name: string): RunModel {
  if (runModel) return runModel;
  const message = `'${name}' needs the Workers AI binding, which this deployment doesn't have, or a base URL.`;
  throw new GatewayError("upstream_error", message);
}

/** The provider's reading of a bad status; ends the call. */
export async function readErrorResponse(
  call: UpstreamCall,
  provider: Provider,
  { account }: Target,
  ports: UpstreamPorts,
): Promise<GatewayError> {
  const { response } = call;
  try {
    const body = (await response.text()).slice(0, MAX_ERROR_CHARS);
    return provider.toError(response.status, response.headers, parseLoosely(body), {
      account,
      nowMs: ports.now(),
    });
  } catch (thrown) {
    return call.toError(thrown);
  } finally {
    call.release();
  }
}

/**
 * Reads a whole body, which may take `idleMs` from its head on. Throws as `sendUpstream` does; a body that is cut is an
 * `upstream_error`.
 */
export async function readBody(call: UpstreamCall, idleMs: number): Promise<string> {
  call.arm("idle", idleMs);
  try {
    return await call.response.text();
  } catch (thrown) {
    throw call.toError(thrown);
  } finally {
    call.release();
  }
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
    case "total":
      return timeout(cause, `'${name}' did not finish within the request's total time limit.`);
    case "revoked":
      return new GatewayError(
        "permission_denied",
        "The key was revoked, or the tenant suspended, while the request was running.",
      );
    case "lease_lost":
      return new GatewayError("unavailable", "The request lost its concurrency slot. Send it again.");
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

/** The client's signal also ends requests that were admitted and may no longer go on: pipeline/lease.ts. */
export function abortCauseOf({ reason }: AbortSignal): AbortCause {
  return reason === "revoked" || reason === "lease_lost" ? reason : "client";
}

type Handle = Omit<UpstreamCall, "response">;

function createHandle(name: string, client: AbortSignal, totalMs: number): Handle {
  const controller = new AbortController();
  let cause: AbortCause | undefined;
  let limitMs: number | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const abort = (why: AbortCause, ms?: number): void => {
    if (cause !== undefined) return;
    cause = why;
    limitMs = ms;
    controller.abort(new Error(why));
  };
  const onClientGone = (): void => abort(abortCauseOf(client));
  const total = setTimeout(abort, Math.max(0, totalMs), "total");
  if (client.aborted) onClientGone();
  else client.addEventListener("abort", onClientGone);
  return {
    name,
    signal: controller.signal,
    abort: (why) => abort(why),
    abortedBy: () => cause,
    arm(why, ms) {
      clearTimeout(timer);
      timer = setTimeout(abort, ms, why, ms);
    },
    disarm: () => clearTimeout(timer),
    release() {
      clearTimeout(timer);
      clearTimeout(total);
      client.removeEventListener("abort", onClientGone);
    },
    toError: (thrown) => toUpstreamError(thrown, cause, name, limitMs),
  };
}

function withPassedHeaders(
  own: Readonly<Record<string, string>>,
  client: ClientSide,
  { account }: Target,
): Record<string, string> {
  const headers = { ...own };
  for (const name of client.passed) {
    const value = client.headers.get(name);
    if (value !== null && headers[name] === undefined) headers[name] = value;
  }
  if (account.propagateTrace) headers["traceparent"] = client.traceparent;
  return headers;
}

function parseLoosely(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
