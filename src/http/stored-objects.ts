/** Handlers for what a vendor keeps for a tenant (files, batches, stored responses): from a request to the pipeline's call, and back. */

import type { Context } from "hono";
import type { AppEnv } from "../app-types.ts";
import { GatewayError } from "../errors.ts";
import { readObjectBody } from "./object-body.ts";
import { holdFor, openCall, unreadRequest } from "./open-call.ts";
import { DEFAULT_MAX_BODY_BYTES, readBodyBytes } from "./read-body.ts";
import { PROVIDER_HEADER } from "../pipeline/operations/object-holder.ts";
import type { NativeAnswer } from "../pipeline/operations/proxy.ts";
import { createObject, listObjects, useObject } from "../pipeline/operations/vendor-objects.ts";
import { readRequestOptions } from "../pipeline/request-options.ts";
import type { Collection, ObjectPageAsk } from "../vendor-objects/protocol.ts";
import { withoutKey } from "./client-query.ts";

type Handler = (c: Context<AppEnv>) => Promise<Response>;

export function createIn(collection: Collection): Handler {
  return async (c) => {
    const { raw } = c.req;
    const { limits } = c.get("caller").bundle.tenant;
    const bytes = await readBodyBytes(raw, limits.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES, holdFor(c));
    const contentType = raw.headers.get("content-type") ?? "";
    const { payload, inputId, models } = await readObjectBody(collection, bytes, contentType);
    const { call, deps, hold } = open(c);
    const ask = { collection, method: "POST", ...from(c), payload, models } as const;
    const named = raw.headers.get(PROVIDER_HEADER) ?? undefined;
    return answer(await createObject(call, ask, { named, inputId }, deps), hold);
  };
}

/** `part`: what of an object, as its last step of the path. */
export function oneOf(collection: Collection, method: "GET" | "POST" | "DELETE", part?: string): Handler {
  return async (c) => {
    const id = c.req.param("id") ?? "";
    if (!ID.test(id)) throw new GatewayError("not_found", "There is no such id.", { param: "id" });
    const { call, deps, hold } = open(c);
    const ask = { collection, method, id, ...from(c), ...(part !== undefined && { part }) };
    return answer(await useObject(call, ask, deps), hold);
  };
}

export function listIn(collection: Collection): Handler {
  return async (c) => {
    const { call, deps, hold } = open(c);
    const ask = { collection, method: "GET", ...from(c) } as const;
    return answer(await listObjects(call, ask, readPage(c, collection), deps), hold);
  };
}

/** As vendors make them; nothing that a path would be read by. */
const ID = /^[\w-]{1,128}$/;
const MAX_PAGE = 100;
const DEFAULT_PAGE = 20;

/** OpenAI's words and Anthropic's. */
function readPage({ req }: Context<AppEnv>, collection: Collection): ObjectPageAsk {
  const limit = Number(req.query("limit") ?? (collection === "files" ? MAX_PAGE : DEFAULT_PAGE));
  if (!Number.isInteger(limit) || limit < 1)
    throw new GatewayError("invalid_request", "limit: expected 1 or more.", {
      param: "limit",
    });
  const after = req.query("after") ?? req.query("after_id");
  const before = req.query("before_id");
  const purpose = req.query("purpose");
  return {
    collection,
    limit: Math.min(limit, MAX_PAGE),
    isOldestFirst: req.query("order") === "asc",
    ...(after !== undefined && { after }),
    ...(before !== undefined && { before }),
    ...(purpose !== undefined && { purpose }),
  };
}

function open(c: Context<AppEnv>): ReturnType<typeof openCall> {
  return openCall(c, unreadRequest("proxy", "", "", false), readRequestOptions(c.req.raw.headers));
}

function from({ req }: Context<AppEnv>): { readonly search: string; readonly origin: string } {
  const { origin, search, searchParams } = new URL(req.url);
  return { origin, search: withoutKey(searchParams, search) };
}

function answer({ status, headers, body }: NativeAnswer, hold: () => void): Response {
  if (body instanceof ReadableStream) hold();
  return new Response(body, { status, headers });
}
