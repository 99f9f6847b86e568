/**
 * One call of a vendor's own API as it is, with the account's credential in place of the client's key: limited, traced,
 * and its usage read where the answer's format is known. Neither routed nor retried.
 */

import type { NativeExchange } from "../attempts/exchange.ts";
import { callTargets, openAttempts } from "../attempts/attempts.ts";
import { inspectWire, type Inspector } from "../answers/inspectors.ts";
import { withLease } from "../lease.ts";
import { checkNativeAccess } from "./native-access.ts";
import { type NativeAsk, type NativeBody, nativeWireOf, readNativeBody } from "./native-body.ts";
import { refusesUnpriced, unpriced } from "../budget.ts";
import { priceOfTarget } from "../target-price.ts";
import { GatewayError } from "../../errors.ts";
import type { BareCall, Deps } from "../ports.ts";
import { baseUrlFor, type Provider } from "../../providers/provider.ts";
import type { Target } from "../../wires/upstream-wire.ts";
import { singleTargetPlan } from "../../routing/plan.ts";
import type { TenantBundle } from "../../tenants/records/records.ts";
import { DEFAULT_TIMEOUTS } from "../../tenants/records/route-record.ts";
import { headersToVendor } from "../../upstream/native-headers.ts";
import { nativeUrl } from "../../upstream/native-url.ts";

export interface NativeAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** A text for a refusal, which is read whole. */
  readonly body: ReadableStream<Uint8Array> | string | null;
}

/** Throws a row of the error table for what the gateway refuses, and for the vendor's 401, 403 and redirects. */
export async function proxy(asked: BareCall, ask: NativeAsk, deps: Deps): Promise<NativeAnswer> {
  const bundle = await bundleWith(asked.bundle, ask, deps);
  const { accountName, method } = ask;
  const read = await readNativeBody(wiresOf(bundle, accountName, deps), ask);
  const { model, content } = read;
  const call = { ...asked, bundle, ...(content !== undefined && { chat: { ...asked.chat, ...content } }) };
  if (!isPriced(call, ask, model, deps))
    throw unpriced(model === undefined ? accountName : `${accountName}/${model}`);
  const target = { accountName, model: model ?? "", label: accountName, weight: 1 };
  const plan = singleTargetPlan(target, DEFAULT_TIMEOUTS, "a vendor's own API");
  const open = (provider: Provider, opened: Target): Promise<NativeExchange> =>
    openNative(call, ask, read, provider, opened);
  // A call that is not understood reserves nothing.
  const reserving = content === undefined ? undefined : plan;
  const { native, body } = await withLease(call, reserving, deps, (admitted) =>
    callTargets(openAttempts(admitted, plan, { open, needsPrice: false, method }, deps)),
  );
  if (native === undefined) throw new GatewayError("internal_error", "The vendor's API gave no response.");
  return { ...native, body: body === "" ? null : body };
}

/**
 * Records that open the call: the newest ones where the known ones have no such provider or do not open it, so that a
 * change works at once. Throws `model_not_found` or `permission_denied`.
 */
async function bundleWith(bundle: TenantBundle, ask: NativeAsk, deps: Deps): Promise<TenantBundle> {
  try {
    checkAccess(bundle, ask);
    return bundle;
  } catch (thrown) {
    const fresh = await deps.reload().catch(() => undefined);
    if (fresh === undefined || fresh.version === bundle.version) throw thrown;
    checkAccess(fresh, ask);
    return fresh;
  }
}

function wiresOf({ providers }: TenantBundle, accountName: string, deps: Deps): Provider["wires"] | [] {
  const kind = providers[accountName]?.kind;
  return kind === undefined ? [] : deps.providerOf(kind).wires;
}

function checkAccess({ providers }: TenantBundle, ask: NativeAsk): void {
  const { accountName } = ask;
  const record = Object.hasOwn(providers, accountName) ? providers[accountName] : undefined;
  if (record === undefined) {
    throw new GatewayError("model_not_found", `There is no provider '${accountName}'.`, {
      param: "provider",
    });
  }
  checkNativeAccess(record, ask);
}

async function openNative(
  call: BareCall,
  ask: NativeAsk,
  { text }: NativeBody,
  provider: Provider,
  { account }: Target,
): Promise<NativeExchange> {
  const baseUrl = baseUrlFor(provider, account);
  if ((!provider.nativeHeaders && !provider.sign) || baseUrl === undefined) {
    const message = `The provider '${account.name}' can't be called through /proxy.`;
    throw new GatewayError("invalid_request", message, { param: "provider" });
  }
  const isText = text !== undefined || provider.sign !== undefined || provider.local !== undefined;
  return {
    kind: "native",
    request: {
      method: ask.method,
      url: nativeUrl(baseUrl, ask.path, ask.search),
      headers: { ...headersToVendor(call.headers, account.kind), ...provider.nativeHeaders?.(account) },
      ...(isText && ask.payload !== undefined && { body: text ?? (await ask.readText()) }),
    },
    ...(!isText && ask.payload !== undefined && { payload: ask.payload }),
    upstreamWireName: undefined,
    // Its headers are passed on by a list of their own.
    isSameWire: false,
    dropped: [],
    inspect: (contentType) => inspectorOf(provider, ask.path, contentType),
    isWithheld,
  };
}

const NOT_MODIFIED = 304;

/** The account's credential was refused, or a redirect would lead it elsewhere: not an answer for the client. */
export function isWithheld(status: number): boolean {
  return status === 401 || status === 403 || (status >= 300 && status < 400 && status !== NOT_MODIFIED);
}

/** Reading is free; what else a budget can't count it keeps out, unless its record allows it. */
function isPriced(
  call: BareCall,
  { accountName, method }: NativeAsk,
  model: string | undefined,
  deps: Deps,
): boolean {
  if (method === "GET" || method === "HEAD" || !refusesUnpriced(call)) return true;
  return model !== undefined && priceOfTarget(call.bundle, { accountName, model }, deps) !== undefined;
}

function inspectorOf(provider: Provider, path: string, contentType: string): Inspector | undefined {
  const known = nativeWireOf(provider.wires, path);
  const inspector = known && inspectWire(known.wire, contentType);
  return inspector && withModel(inspector, known.model);
}

/** Its price is the model's, which some vendors name in the path alone. */
function withModel({ push, summary }: Inspector, asked: string | undefined): Inspector {
  if (asked === undefined) return { push, summary };
  return {
    push,
    summary() {
      const found = summary();
      return found && { model: asked, ...found };
    },
  };
}
