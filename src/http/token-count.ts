/** The handler that the token-counting routes share: from a body to the vendor's own count, or an estimate. */

import type { Context } from "hono";
import type { AppEnv } from "../app-types.ts";
import { cacheDirective } from "../cache/policy.ts";
import type { ChatRequest } from "../schema/chat.ts";
import type { ClientWire, RequestContext } from "../wires/client-wire.ts";
import { countTokens } from "../pipeline/operations/count-tokens.ts";
import { labelsOf, readRequestOptions } from "../pipeline/request-options.ts";
import { holdFor } from "./open-call.ts";
import { DEFAULT_MAX_BODY_BYTES, readBodyText } from "./read-body.ts";

/** How one wire asks for a count and gets it. */
export interface CountForm {
  readonly clientWire: ClientWire;
  parse(bodyText: string, context: RequestContext): ChatRequest;
  /** The body of an estimate. */
  format(inputTokens: number): unknown;
}

/** Whose count it is: `provider` or `estimate`. */
export const TOKEN_COUNT_HEADER = "x-headgate-token-count";

export async function answerTokenCount(
  c: Context<AppEnv>,
  { clientWire, parse, format }: CountForm,
  context: RequestContext = {},
): Promise<Response> {
  const { scope, caller, services, requestId } = c.var;
  const { bundle, key } = caller;
  const { raw: request } = c.req;
  const options = readRequestOptions(request.headers);
  const body = await readBodyText(
    request,
    bundle.tenant.limits.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES,
    holdFor(c),
    scope.timer.start,
  );
  const { defaultRoute: defaultModel } = bundle.tenant;
  const chat = parse(body, { ...(defaultModel !== undefined && { defaultModel }), ...context });
  scope.facts.model = chat.model;
  scope.facts.metadata = labelsOf(key, options);
  const count = await countTokens(
    {
      chat,
      clientWire,
      bundle,
      key,
      options,
      cache: cacheDirective(request.headers, bundle.tenant.cache),
      requestId,
      signal: () => request.signal,
      headers: request.headers,
      trace: scope.trace,
      facts: scope.facts,
      holder: scope.facts,
      release() {},
    },
    services.depsFor(bundle, (work) => c.executionCtx.waitUntil(work), scope.timer),
  );
  return new Response(count.body ?? JSON.stringify(format(count.inputTokens)), {
    headers: {
      "content-type": "application/json",
      "cache-control": "no-store",
      [TOKEN_COUNT_HEADER]: count.source,
    },
  });
}
