/**
 * The only call to a model API: one attempt, with its time limits and its abort. Gives a response whose status is good,
 * or throws a row of the error table. Reading the body is stream.ts and, for whole answers, `readBody` here.
 */

import type { Dialect } from "../schema/chat.ts";
import { GatewayError } from "../errors.ts";
import type { RunModel } from "./model-binding.ts";
import { baseUrlFor, type Provider, type Target, type UpstreamRequest } from "../providers/provider.ts";

/** Why an attempt was aborted; also what its signal carries as a reason. */
export type AbortCause = "first_byte" | "idle" | "total" | "client" | "revoked" | "lease_lost";

export interface UpstreamPorts {
  readonly fetch: typeof fetch;
  readonly sleep: (ms: number) => Promise<void>;
  readonly now: () => number;
  /** Absent where the deployment has no binding to the platform's own models. */
  readonly runModel?: RunModel;
}

export interface AttemptLimits {
  readonly firstByteMs: number;
  readonly idleMs: number;
  /** When the whole request must be over, ms since the epoch. */
  readonly deadlineAt: number;
}

/** One attempt under way: its response, and the handle that ends it. */
export interface Attempt {
  readonly response: Response;
  /** Stops the upstream; idempotent. The first cause given is the one that errors name. */
  abort(cause: AbortCause): void;
  abortedBy(): AbortCause | undefined;
  /** Fires with the abort, whatever its cause. */
  readonly signal: AbortSignal;
  /** Starts the given time limit anew, or clears it; only one is armed at a time. */
  arm(cause: "first_byte" | "idle", ms: number): void;
  disarm(): void;
  /** Lets go of timers and of the client's signal; call once the body has ended. */
  release(): void;
}

const OPENAI_HEADERS = ["openai-beta"] as const;

/** What a client may pass on besides the body, to an upstream of its own wire: src/docs/http-api.md. */
export const PASSED_HEADERS: Readonly<Record<Dialect, readonly string[]>> = {
  "openai-chat": OPENAI_HEADERS,
  "openai-responses": OPENAI_HEADERS,
  "openai-embeddings": OPENAI_HEADERS,
  "anthropic-messages": ["anthropic-version", "anthropic-beta"],
  gemini: [],
};

/** What of the client's request an attempt goes by. */
export interface ClientSide {
  readonly signal: AbortSignal;
  readonly headers: Headers;
  /** Which of these the upstream gets. */
  readonly passed: readonly string[];
  readonly traceparent: string;
}

/** Upstream error bodies are read this far; the rest is never needed. */
const MAX_ERROR_CHARS = 65_536;

/** A body that is no text: a form with files, or the client's own stream. */
export type Payload = NonNullable<RequestInit["body"]>;

/** Only a request that asks for a WebSocket gets this answer. */
const SWITCHING = 101;

/**
 * Calls a target and waits for the head of its answer. Throws the provider's reading of a bad status, `upstream_error`
 * for a broken connection, `upstream_timeout` for silence, `client_disconnected` when the client left first.
 */
export async function callUpstream(
  unsigned: UpstreamRequest,
  provider: Provider,
  target: Target,
  limits: AttemptLimits,
  client: ClientSide,
  ports: UpstreamPorts,
  payload?: Payload,
): Promise<Attempt> {
  const attempt = await sendUpstream(unsigned, provider, target, limits, client, ports, payload);
  const { response } = attempt;
  if ((response.status >= 200 && response.status < 300) || response.status === SWITCHING) return attempt;
  throw await readRefusal(attempt, provider, target, ports);
}

/** The provider's reading of a bad status; ends the attempt. */
export async function readRefusal(
  attempt: Attempt,
  provider: Provider,
  target: Target,
  ports: UpstreamPorts,
): Promise<GatewayError> {
  const { response } = attempt;
  try {
    const body = (await response.text()).slice(0, MAX_ERROR_CHARS);
    const context = { account: target.account, nowMs: ports.now() };
    return provider.toError(response.status, response.headers, parseLoosely(body), context);
  } catch (thrown) {
    return toAttemptError(thrown, attempt.abortedBy(), target.account.name);
  } finally {
    attempt.release();
  }
}

/** As `callUpstream`, for whatever status comes back. */
export async function sendUpstream(
  unsigned: UpstreamRequest,
  provider: Provider,
  target: Target,
  limits: AttemptLimits,
  client: ClientSide,
  ports: UpstreamPorts,
  payload?: Payload,
): Promise<Attempt> {
  const handle = createHandle(client.signal, limits.deadlineAt - ports.now());
  handle.arm("first_byte", limits.firstByteMs);
  const name = target.account.name;
  try {
    const request = provider.sign ? await provider.sign(unsigned, target, ports) : unsigned;
    const { signal } = handle;
    const headers = withPassedHeaders(request.headers, client, target);
    let response: Response;
    if (provider.local) {
      const { options } = target.account;
      response = await provider.local(request, { options, signal, sleep: ports.sleep });
    } else if (baseUrlFor(provider, target.account) === undefined) {
      response = await runnerOf(ports, name)({ ...request, headers }, signal);
    } else {
      response = await ports.fetch(request.url, {
        method: request.method,
        headers,
        // A redirect could lead anywhere, with our credential in hand.
        redirect: "manual",
        signal,
        ...withBody(payload ?? request.body),
      });
    }
    return Object.assign(handle, { response });
  } catch (thrown) {
    handle.release();
    throw toAttemptError(thrown, handle.abortedBy(), name);
  }
}

function runnerOf({ runModel }: UpstreamPorts, name: string): RunModel {
  if (runModel) return runModel;
  const message = `'${name}' is served by a binding that this deployment does not have, and names no other address.`;
  throw new GatewayError("upstream_error", message);
}

/**
 * Reads a whole answer, which may take `idleMs` from its head on. Throws like callUpstream; a body cut half-way is an
 * upstream's fault.
 */
export async function readBody(attempt: Attempt, name: string, idleMs: number): Promise<string> {
  attempt.arm("idle", idleMs);
  try {
    return await attempt.response.text();
  } catch (thrown) {
    throw toAttemptError(thrown, attempt.abortedBy(), name);
  } finally {
    attempt.release();
  }
}

/** An exception of `fetch` or of a body as a row of the table. Its own message may hold addresses and is not passed on. */
export function toAttemptError(thrown: unknown, cause: AbortCause | undefined, name: string): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  switch (cause) {
    case "client":
      return new GatewayError("client_disconnected", "The client left before the answer was complete.");
    case "first_byte":
      return new GatewayError(
        "upstream_timeout",
        `'${name}' sent no byte within the time allowed for the first one.`,
        { timeout: "first_byte" },
      );
    case "idle":
      return new GatewayError("upstream_timeout", `'${name}' fell silent in the middle of its answer.`, {
        timeout: "idle",
      });
    case "total":
      return new GatewayError(
        "upstream_timeout",
        `'${name}' did not finish within the time allowed for the request.`,
        { timeout: "total" },
      );
    case "revoked":
      return new GatewayError(
        "permission_denied",
        "The gateway key or its tenant was switched off meanwhile.",
      );
    case "lease_lost":
      return new GatewayError("unavailable", "The request lost its slot in the tenant's queue.");
    case undefined:
      return new GatewayError("upstream_error", `The connection to '${name}' broke.`, { cause: thrown });
  }
}

/** The client's signal also ends requests that were let in and may no longer go on: pipeline/lease.ts. */
export function causeOf({ reason }: AbortSignal): AbortCause {
  return reason === "revoked" || reason === "lease_lost" ? reason : "client";
}

type Handle = Omit<Attempt, "response">;

function createHandle(client: AbortSignal, totalMs: number): Handle {
  const controller = new AbortController();
  let cause: AbortCause | undefined;
  let disarm = (): void => {};
  const abort = (why: AbortCause): void => {
    if (cause !== undefined) return;
    cause = why;
    controller.abort(new Error(why));
  };
  const onClientGone = (): void => abort(causeOf(client));
  const total = setTimeout(() => abort("total"), Math.max(0, totalMs));
  if (client.aborted) onClientGone();
  else client.addEventListener("abort", onClientGone);
  return {
    signal: controller.signal,
    abort,
    abortedBy: () => cause,
    arm(why, ms) {
      disarm();
      const timer = setTimeout(() => abort(why), ms);
      disarm = () => clearTimeout(timer);
    },
    disarm: () => disarm(),
    release() {
      disarm();
      clearTimeout(total);
      client.removeEventListener("abort", onClientGone);
    },
  };
}

function withBody(body: Payload | undefined): { readonly body?: Payload } {
  return body === undefined ? {} : { body };
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
