/** A wrong method (405 with `allow`) or an unknown path (404), decided from the route table itself. */

import type { Hono, NotFoundHandler } from "hono";
import type { AppEnv } from "../app-types.ts";
import { GatewayError } from "../errors.ts";

/** Built once from the finished table; runs only for requests that no route took. */
export function createNotFound(app: Hono<AppEnv>): NotFoundHandler<AppEnv> {
  return function notFound(c) {
    const methods = new Set(
      app.routes
        .filter(({ method, path }) => method !== "ALL" && !path.includes("*") && matches(path, c.req.path))
        .map(({ method }) => method),
    );
    if (methods.size === 0) {
      throw new GatewayError("not_found", `No route for ${c.req.method} ${shorten(c.req.path)}.`);
    }
    const allow = [...methods].toSorted().join(", ");
    throw new GatewayError(
      "method_not_allowed",
      `${c.req.method} is not allowed here. Allowed methods: ${allow}.`,
      {
        headers: { allow },
      },
    );
  };
}

const MAX_PATH_CHARS = 200;

/** Of a key in another spelling of `/k/`, which is a path like any other, nothing is said again. */
const KEY_IN_PATH = /hg_\w+/g;

function shorten(path: string): string {
  const said = path.replace(KEY_IN_PATH, "hg_…");
  return said.length <= MAX_PATH_CHARS ? said : `${said.slice(0, MAX_PATH_CHARS)}…`;
}

/** `:name` takes one segment, `:name{.+}` the rest but for line breaks; that is all the table uses. */
function matches(template: string, path: string): boolean {
  const wanted = template.split("/");
  const given = path.split("/");
  for (const [index, part] of wanted.entries()) {
    const segment = given[index];
    if (part.endsWith("{.+}")) return /^.+$/.test(given.slice(index).join("/"));
    if (segment === undefined || (part.startsWith(":") ? segment === "" : part !== segment)) return false;
  }
  return wanted.length === given.length;
}
