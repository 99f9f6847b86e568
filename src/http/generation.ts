/** The handler that all generation and embedding routes share: from a request and its client wire to the pipeline's answer. */

import type { Context } from "hono";
import type { AppEnv } from "../app-types.ts";
import { cacheDirective } from "../cache/policy.ts";
import type { ClientWire, ClientEmbeddingWire, RequestContext } from "../wires/client-wire.ts";
import { createRequestReader } from "../wires/known-requests.ts";
import { generate } from "../gateway.ts";
import { endUserIn, hashEndUser } from "../pipeline/usage.ts";
import { readRequestOptions } from "../pipeline/request-options.ts";
import { holdFor, openCall } from "./open-call.ts";
import { DEFAULT_MAX_BODY_BYTES, readBodyText } from "./read-body.ts";

const MS_PER_SECOND = 1000;

const readRequest = createRequestReader();

/** A handler for a path whose requests have this one form. */
export function generation(
  clientWire: ClientWire | ClientEmbeddingWire,
): (c: Context<AppEnv>) => Promise<Response> {
  return (c) => answerGeneration(c, clientWire);
}

/** Answers a generation or an embedding. `context` holds what the path says of the request. */
export async function answerGeneration(
  c: Context<AppEnv>,
  clientWire: ClientWire | ClientEmbeddingWire,
  context: RequestContext = {},
): Promise<Response> {
  const [scope, caller, requestId] = [c.get("scope"), c.get("caller"), c.get("requestId")];
  const { tenant } = caller.bundle;
  const request = c.req.raw;
  const options = readRequestOptions(request.headers);
  const cache = cacheDirective(request.headers, tenant.cache);
  const maxBytes = tenant.limits.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES;
  const body = await readBodyText(request, maxBytes, holdFor(c), scope.timer.start);
  const { defaultRoute: defaultModel } = tenant;
  const chat = {
    ...readRequest(clientWire, body, defaultModel === undefined ? context : { defaultModel, ...context }),
    stamp: {
      id: requestId.slice("req_".length),
      createdAtSeconds: Math.floor(scope.facts.startedAt / MS_PER_SECOND),
    },
  };
  const endUser = options.endUser ?? endUserIn(chat.body);
  if (endUser !== undefined) scope.facts.endUser = await hashEndUser(caller.bundle.id, endUser);
  const { call, deps, hold } = openCall(c, chat, options);
  const answer = await generate(Object.assign(call, { clientWire, cache }), deps);
  if (typeof answer.body !== "string") hold();
  return new Response(answer.bytes ?? answer.body, {
    headers: { "content-type": answer.contentType, "cache-control": "no-store", ...scope.head() },
  });
}
