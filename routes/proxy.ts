/** `ALL /proxy/{provider}/{path…}`: a vendor's own API as it is, with the account's credential swapped in. */

import type { Context } from "hono";
import type { AppEnv } from "../src/app-types.ts";
import { GatewayError } from "../src/errors.ts";
import { proxy } from "../src/pipeline/operations/proxy.ts";
import { readRequestOptions } from "../src/pipeline/request-options.ts";
import { withoutKey } from "../src/http/client-query.ts";
import { holdFor, openCall, unreadRequest } from "../src/http/open-call.ts";
import { DEFAULT_MAX_BODY_BYTES, passBody } from "../src/http/read-body.ts";

export async function proxyNative(c: Context<AppEnv>): Promise<Response> {
  const { tenant } = c.var.caller.bundle;
  const request = c.req.raw;
  const options = readRequestOptions(request.headers);
  const maxBytes = tenant.limits.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES;
  const url = new URL(request.url);
  // From the URL itself: a decoded parameter would lose the encoding that the vendor expects.
  const [, provider = "", path = ""] = /^\/proxy\/([^/]+)\/?(.*)$/.exec(url.pathname) ?? [];
  const count = holdFor(c);
  const { payload, fault } = await passBody(request, maxBytes, count);
  const { call, deps, hold } = openCall(c, unreadRequest("proxy", "", "", false), options);
  const answering = proxy(
    call,
    {
      accountName: readAccountName(provider),
      method: request.method,
      path,
      search: withoutKey(url.searchParams, url.search),
      payload,
      readText() {
        // A stream that was to pass through is held after all; bytes are counted already.
        if (payload instanceof ReadableStream) count(Number(request.headers.get("content-length")));
        return new Response(payload).text();
      },
    },
    deps,
  );
  const answer = await answering.catch((thrown: unknown) => {
    throw fault() ?? thrown;
  });
  if (answer.body instanceof ReadableStream) hold();
  return new Response(answer.body, { status: answer.status, headers: answer.headers });
}

function readAccountName(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch (cause) {
    const message = "The provider's name in the path is not valid percent-encoding.";
    throw new GatewayError("invalid_request", message, { param: "provider", cause });
  }
}
