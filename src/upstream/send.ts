/**
 * Makes one HTTP call to a model API: resolves with the head of the response, or throws what the client should be told.
 * Decides nothing about retries or other targets.
 */

import { createHandle, type UpstreamCall } from "./call.ts";
import { GatewayError } from "../errors.ts";
import type { RunModel } from "./model-binding.ts";
import type { SharedTimer } from "../runtime/shared-timer.ts";
import { baseUrlFor, type Provider } from "../providers/provider.ts";
import type { Target, UpstreamRequest } from "../wires/upstream-wire.ts";
import { readErrorResponse } from "./read-body.ts";
import { encodingFault } from "./response-encoding.ts";

export interface UpstreamPorts {
  readonly fetch: typeof globalThis.fetch;
  readonly sleep: (ms: number) => Promise<void>;
  readonly now: () => number;
  /** The request's own, for the call's time limits. */
  readonly timer: SharedTimer;
  /** Absent where the deployment has no binding to the platform's own models. */
  readonly runModel?: RunModel;
}

export interface CallLimits {
  /** Until the first byte of a stream, or the head of a whole answer. Undefined: only the deadline holds. */
  readonly firstByteMs?: number | undefined;
  /** The longest gap between two bytes of any kind. */
  readonly idleMs: number;
  /** When the whole request must be over, ms since the epoch. */
  readonly deadlineAt: number;
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

/** Only a request for a WebSocket is answered with it. */
const SWITCHING_PROTOCOLS = 101;

/**
 * Calls a target and waits for the head of its response. Throws the provider's reading of a bad status,
 * `upstream_error` for a failed connection, `upstream_malformed` for an encoding that can't be decoded,
 * `upstream_timeout`, and `client_disconnected` when the client left first.
 */
export async function sendUpstream(send: UpstreamSend, ports: UpstreamPorts): Promise<UpstreamCall> {
  const { provider, target, limits, client } = send;
  const totalMs = limits.deadlineAt - ports.now();
  const handle = createHandle(target.account.name, client.signal, totalMs, ports.timer);
  const { firstByteMs, idleMs } = limits;
  const hasFirstByteLimit = firstByteMs !== undefined;
  if (hasFirstByteLimit) handle.arm("first_byte", firstByteMs);
  let call: UpstreamCall;
  try {
    const request = provider.sign ? await provider.sign(send.request, target, ports) : send.request;
    const headers = withPassedHeaders(request, client, target);
    const response = await exchange({ ...request, headers }, send, handle.signal, ports);
    call = Object.assign(handle, { response, hasFirstByteLimit });
  } catch (thrown) {
    handle.release();
    throw handle.toError(thrown);
  }
  const { status } = call.response;
  const isGood = (status >= 200 && status < 300) || status === SWITCHING_PROTOCOLS;
  if (!send.throwOnStatus) return call;
  const fault = encodingFault(call.response, call.name);
  if (fault !== undefined) {
    call.abort("total");
    call.release();
    throw isGood ? fault : provider.toError(status, call.response.headers, undefined);
  }
  if (isGood) return call;
  throw await readErrorResponse(call, provider, target, idleMs, ports.now());
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

function withPassedHeaders(
  { headers: own, defaultHeaders }: UpstreamRequest,
  client: ClientSide,
  { account }: Target,
): Record<string, string> {
  const headers = { ...own };
  for (const name of client.passed) {
    const value = client.headers.get(name);
    if (value !== null && headers[name] === undefined) headers[name] = value;
  }
  for (const name in defaultHeaders) headers[name] ??= defaultHeaders[name] ?? "";
  if (account.propagateTrace) headers["traceparent"] = client.traceparent;
  return headers;
}
