// Every route that the app has, from the app itself: for tests that must not miss a new one.
import { createApp } from "../../../routes/index.ts";
import type { ScopePorts } from "../../../src/middleware/request-scope.ts";

export interface AppRoute {
  /** `ALL` for any. */
  readonly method: string;
  /** With `:name` for a segment and `:name{.+}` for the rest. */
  readonly path: string;
}

export function appRoutes(): readonly AppRoute[] {
  // Making the table calls none of them.
  const ports = {} as ScopePorts;
  // What `use` puts before them is listed as ALL, for a pattern or for one path without a parameter.
  const routes = createApp(ports).routes.filter(
    ({ method, path }) => !path.includes("*") && (method !== "ALL" || path.includes(":")),
  );
  const byName = new Map(routes.map(({ method, path }) => [`${method} ${path}`, { method, path }]));
  return [...byName.values()];
}
