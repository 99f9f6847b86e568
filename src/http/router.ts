/**
 * An empty app of ours. Hono's default has two routers and finds out which one fits, at each start; all our paths fit the first,
 * so that the other need not be in the Worker.
 */

import { HonoBase } from "hono/hono-base";
import { RegExpRouter } from "hono/router/reg-exp-router";
import type { AppEnv } from "../app-types.ts";

export type App = HonoBase<AppEnv>;

export function createRouter(): App {
  return new HonoBase<AppEnv>({ router: new RegExpRouter() });
}
