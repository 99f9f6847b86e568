/**
 * One call of a vendor's own API as it is, with the account's credential in place of the client's key: limited, traced,
 * and its usage read where the answer's format is known. Neither routed nor retried. Called by routes/proxy.ts.
 */

import { type Admission, admit } from "../lease.ts";
import { countRelayed } from "../answers/answer-summary.ts";
import { addressOf, endAttempt } from "../attempts/attempt-span.ts";
import { concludeFailure, concludeRelay } from "../end.ts";
import { GatewayError, toGatewayError } from "../../errors.ts";
import { inspectWire, type Inspector } from "../answers/inspectors.ts";
import { headersToClient, headersToVendor } from "../../upstream/native-headers.ts";
import { nativeUrl } from "../../upstream/native-url.ts";
import type { BareCall, Deps } from "../ports.ts";
import { baseUrlFor, type Provider, type ProviderAccount, type Target } from "../../providers/provider.ts";
import { relayBody } from "../../upstream/stream-relay.ts";
import type { Span } from "../../telemetry/trace/trace.ts";
import { DEFAULT_TIMEOUTS } from "../../tenants/records/route-record.ts";
import type { TenantBundle } from "../../tenants/records/records.ts";
import {
  type CallLimits,
  type Payload,
  type UpstreamCall,
  readErrorResponse,
  sendUpstream,
} from "../../upstream/call.ts";
import { formatTraceparent } from "../../telemetry/trace/traceparent.ts";

export interface NativeAsk {
  /** The tenant's name of the account. */
  readonly provider: string;
  readonly method: string;
  /** Behind the base URL, as the client wrote it. */
  readonly path: string;
  readonly search: string;
  /** The client's body on its way; absent where the method has none. */
  readonly payload: Payload | undefined;
  /** The same as a text: for what must be signed, and for servers inside the Worker. */
  readText(): Promise<string>;
}

export interface NativeAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: ReadableStream<Uint8Array> | null;
}

/** Throws a row of the error table for what the gateway refuses, and for the vendor's 401, 403 and redirects. */
export async function proxy(asked: BareCall, ask: NativeAsk, deps: Deps): Promise<NativeAnswer> {
  if (asked.key.allowedModels !== undefined) {
    throw new GatewayError("permission_denied", "A key that is bound to models may not use /proxy.");
  }
  const call = { ...asked, bundle: await bundleWith(asked.bundle, ask.provider, deps) };
  const admission = await admit(call, deps);
  try {
    return await callNative({ ...call, signal: () => admission.signal }, admission, ask, deps);
  } catch (thrown) {
    const error = toGatewayError(thrown);
    concludeFailure(call, admission, error, deps);
    throw error;
  }
}

/** The newest records where the known ones have no such provider: one that was just made works at once. */
async function bundleWith(bundle: TenantBundle, provider: string, deps: Deps): Promise<TenantBundle> {
  if (Object.hasOwn(bundle.providers, provider)) return bundle;
  const fresh = await deps.reload().catch(() => undefined);
  if (fresh && Object.hasOwn(fresh.providers, provider)) return fresh;
  throw new GatewayError("model_not_found", `There is no provider '${provider}'.`, { param: "provider" });
}

async function callNative(
  call: BareCall,
  admission: Admission,
  ask: NativeAsk,
  deps: Deps,
): Promise<NativeAnswer> {
  const { facts, options } = call;
  const account = await deps.accountOf(call.bundle, ask.provider);
  const provider = deps.providerOf(account.kind);
  const target: Target = { account, model: "" };
  facts.target = account.name;
  facts.provider = provider.semconvName;
  facts.attempts = 1;
  const startedAt = deps.now();
  const { idleMs, totalMs } = DEFAULT_TIMEOUTS;
  const limits = { firstByteMs: options.firstByteMs ?? totalMs, idleMs, deadlineAt: startedAt + totalMs };
  const span = openSpan(call, provider, account, ask.method);
  try {
    const attempt = await send(call, provider, target, ask, limits, span, deps);
    facts.upstreamMs = deps.now() - startedAt;
    if (isOurs(attempt.response.status)) throw await readErrorResponse(attempt, provider, target, deps);
    return relay(call, admission, { provider, target, path: ask.path, span }, attempt, deps);
  } catch (thrown) {
    endAttempt(span, { error: toGatewayError(thrown) });
    throw thrown;
  }
}

/** Low-cardinality: the kind, not the tenant's name for it. */
function openSpan(call: BareCall, provider: Provider, account: ProviderAccount, method: string): Span {
  const address = addressOf(provider, account);
  return call.trace.root.child(`${method} ${provider.kind}`, {
    kind: "client",
    attributes: {
      "http.request.method": method,
      "gen_ai.provider.name": provider.semconvName,
      "gen_ai.conversation.id": call.options.session,
      "server.address": address?.host,
      "server.port": address?.port,
      "gateway.attempt.number": 1,
      "gateway.attempt.reason": "initial",
      "gateway.attempt.target": account.name,
    },
  });
}

async function send(
  call: BareCall,
  provider: Provider,
  target: Target,
  ask: NativeAsk,
  limits: CallLimits,
  span: Span,
  deps: Deps,
): Promise<UpstreamCall> {
  const baseUrl = baseUrlFor(provider, target.account);
  if ((!provider.nativeHeaders && !provider.sign) || baseUrl === undefined) {
    throw new GatewayError(
      "invalid_request",
      `The API of '${target.account.name}' can't be called as it is.`,
      {
        param: "provider",
      },
    );
  }
  const isText = provider.sign !== undefined || provider.local !== undefined;
  const request = {
    method: ask.method,
    url: nativeUrl(baseUrl, ask.path, ask.search),
    headers: { ...headersToVendor(call.headers), ...provider.nativeHeaders?.(target.account) },
    ...(isText && ask.payload !== undefined && { body: await ask.readText() }),
  };
  const traceparent = formatTraceparent(span.ref);
  const client = { signal: call.signal(), headers: call.headers, passed: [], traceparent };
  const payload = isText ? undefined : ask.payload;
  return sendUpstream({ request, payload, provider, target, limits, client, throwOnStatus: false }, deps);
}

const NOT_MODIFIED = 304;

/** The account's credential was refused, or a redirect would lead it elsewhere: no answer for the client. */
function isOurs(status: number): boolean {
  return status === 401 || status === 403 || (status >= 300 && status < 400 && status !== NOT_MODIFIED);
}

interface Relayed {
  readonly provider: Provider;
  readonly target: Target;
  readonly path: string;
  readonly span: Span;
}

function relay(
  call: BareCall,
  admission: Admission,
  { provider, target, path, span }: Relayed,
  attempt: UpstreamCall,
  deps: Deps,
): NativeAnswer {
  const { status, headers } = attempt.response;
  const isRefusal = status >= 400;
  const inspector = isRefusal ? undefined : inspectorOf(provider, path, headers);
  call.facts.firstByteAt = deps.now();
  span.set({
    "gateway.upstream.request_id": headers.get("x-request-id") ?? headers.get("request-id") ?? undefined,
  });
  // For the span alone: the client gets the vendor's own words.
  const refusal = isRefusal ? provider.toError(status, headers, undefined) : undefined;
  const head = { status, headers: headersToClient(headers) };
  if (attempt.response.body === null || !mayHaveBody(status)) {
    attempt.release();
    endAttempt(span, { status, ...(refusal && { error: refusal }) });
    concludeRelay(call, admission, { target, isRefusal }, deps);
    return { ...head, body: null };
  }
  const { body, done } = relayBody(attempt, {
    idleMs: DEFAULT_TIMEOUTS.idleMs,
    now: deps.now,
    ...(inspector && { onBytes: inspector.push }),
  });
  const finish = async (): Promise<void> => {
    const report = await done;
    const answer = inspector?.summary();
    const counted = countRelayed(call.chat, answer, report.outcome !== "complete");
    const error = report.error ?? refusal;
    endAttempt(span, { status, report, counted, ...(answer && { answer }), ...(error && { error }) });
    concludeRelay(call, admission, { target, report, isRefusal, counted, ...(answer && { answer }) }, deps);
  };
  deps.defer(finish());
  return { ...head, body };
}

function inspectorOf(provider: Provider, path: string, headers: Headers): Inspector | undefined {
  const native = `/${path.replace(/^\/+/, "")}`;
  for (const wire of provider.wires) {
    const match = wire.paths?.exec(native);
    if (!match) continue;
    const inspector = inspectWire(wire, headers.get("content-type") ?? "");
    return inspector && withModel(inspector, match.groups?.["model"]);
  }
  return undefined;
}

/** Its price is the model's, which some vendors name in the path alone. */
function withModel({ push, summary }: Inspector, asked: string | undefined): Inspector {
  if (asked === undefined) return { push, summary };
  const model = decodeURIComponent(asked);
  return {
    push,
    summary() {
      const found = summary();
      return found && { model, ...found };
    },
  };
}

/** https://fetch.spec.whatwg.org/#null-body-status */
function mayHaveBody(status: number): boolean {
  return status !== 204 && status !== 205 && status !== NOT_MODIFIED;
}
