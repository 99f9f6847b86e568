/** `POST /v1/chat/completions`: the openai-chat dialect, whole and streamed. */

import type { Context } from "hono";
import type { AppEnv } from "../src/app.ts";
import { cacheDirective } from "../src/cache/policy.ts";
import { openAiChat } from "../src/dialects/openai-chat.ts";
import { generate } from "../src/gateway.ts";
import { readRequestOptions } from "../src/pipeline/request-options.ts";
import { DEFAULT_MAX_BODY_BYTES, readBodyText } from "./read-body.ts";

export async function chatCompletions(c: Context<AppEnv>): Promise<Response> {
  const { scope, caller, services, requestId } = c.var;
  const { bundle, key } = caller;
  const request = c.req.raw;
  const options = readRequestOptions(request.headers);
  const cache = cacheDirective(request.headers, bundle.tenant.cache);
  const body = await readBodyText(request, bundle.tenant.limits.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES);
  const chat = openAiChat.parseRequest(body, bundle.tenant.defaultRoute);
  const { facts } = scope;
  facts.model = chat.model;
  facts.isStream = chat.stream;
  facts.metadata = options.metadata;
  if (options.session !== undefined) facts.session = options.session;

  let endRoot: (() => void) | undefined;
  let isOver = false;
  const answer = await generate(
    {
      chat,
      codec: openAiChat,
      bundle,
      key,
      options,
      cache,
      requestId,
      signal: request.signal,
      headers: request.headers,
      trace: scope.trace,
      facts,
      release() {
        isOver = true;
        endRoot?.();
      },
    },
    services.depsFor(bundle, (work) => c.executionCtx.waitUntil(work)),
  );
  // A stream that is already over (its client left at once) is ended by the middleware.
  if (typeof answer.body !== "string" && !isOver) endRoot = scope.hold();
  return new Response(answer.body, {
    headers: { "content-type": answer.contentType, "cache-control": "no-store" },
  });
}
