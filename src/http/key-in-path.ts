/**
 * The gateway key in a URL's path, for agents that can set a base URL and one header, which their vendor's token fills:
 * `/k/<gateway key>/v1/…`. The request goes on without it, so that no log, span, error or upstream sees such a path.
 */

import { KEY_HEADER } from "../tenants/key-format.ts";

const PREFIX = "/k/";
/** The data plane alone: no rule that guards another path can be passed by this prefix. */
const DATA_PLANE = /^\/(?:v1|v1beta|proxy)\//;
const ORIGIN = /^https?:\/\/[^/]*/;

/** The same request where its path holds no key. Any other path under the prefix becomes the prefix, which is a 404. */
export function withoutKeyInPath(request: Request): Request {
  const { url } = request;
  const start = url.indexOf("/", url.indexOf("://") + "://".length);
  if (!url.startsWith(PREFIX, start)) return request;
  const [origin = ""] = ORIGIN.exec(url) ?? [];
  const given = url.slice(start + PREFIX.length);
  const end = given.indexOf("/");
  const rest = given.slice(end);
  if (end < 0 || !DATA_PLANE.test(rest)) return new Request(`${origin}/k`, request);
  const inner = new Request(origin + rest, request);
  inner.headers.set(KEY_HEADER, given.slice(0, end));
  return inner;
}
