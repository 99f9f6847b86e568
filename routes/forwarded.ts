/**
 * `POST /v1/completions`, `/v1/images/…`, `/v1/audio/…`, `/v1/moderations`, `/v1/rerank`: passed on to an OpenAI-compatible
 * target with its model's name put in, as JSON or as a form with files.
 */

import type { Context } from "hono";
import type { AppEnv } from "../src/app-types.ts";
import type { Operation } from "../src/schema/chat.ts";
import { refuse } from "../src/wires/checked-body.ts";
import { forward } from "../src/pipeline/operations/forward.ts";
import { readRequestOptions } from "../src/pipeline/request-options.ts";
import { readForwardedBody } from "../src/http/forwarded-body.ts";
import { holdFor, openCall, unreadRequest } from "../src/http/open-call.ts";
import { readMediaUnits } from "../src/http/media-units.ts";
import { DEFAULT_MAX_BODY_BYTES, readBodyBytes } from "../src/http/read-body.ts";

/** A handler for one of OpenAI's paths, named without its `/v1`. */
export function forwarded(path: string, operation: Operation): (c: Context<AppEnv>) => Promise<Response> {
  return async (c) => {
    const { tenant } = c.var.caller.bundle;
    const options = readRequestOptions(c.req.raw.headers);
    const bytes = await readBodyBytes(
      c.req.raw,
      tenant.limits.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES,
      holdFor(c),
    );
    const contentType = c.req.header("content-type") ?? "";
    const asked = await readForwardedBody(bytes, contentType, operation);
    const media = readMediaUnits(operation, asked.fields);
    const unread = unreadRequest(
      operation,
      checkModel(asked.model, tenant.defaultRoute),
      asked.text,
      asked.isStream,
    );
    const chat = { ...unread, ...asked.content, ...(media !== undefined && { media }) };
    const { call, deps, hold } = openCall(c, chat, options);
    const answer = await forward(call, { path, ...asked.forwarding }, deps);
    if (typeof answer.body !== "string") hold();
    return new Response(answer.bytes ?? answer.body, {
      headers: { "content-type": answer.contentType, "cache-control": "no-store" },
    });
  };
}

function checkModel(model: unknown, defaultModel: string | undefined): string {
  const named = model ?? defaultModel;
  if (typeof named !== "string" || named === "") refuse("model", "it is required");
  return named;
}
