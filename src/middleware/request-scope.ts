/**
 * The outermost middleware: gives each request its id, its trace and its facts, and writes them onto the response, an
 * error's too. The root span ends here, or, where a stream outlives the handler, with the stream.
 */

import type { Context, MiddlewareHandler, Next } from "hono";
import { routePath } from "hono/route";
import type { AppEnv, Caller, RequestScope } from "../app-types.ts";
import { toGatewayError } from "../errors.ts";
import { dropUnreadBody } from "../http/unread-body.ts";
import {
  factHeaders,
  outcomeOf,
  refusalAttributes,
  type RequestFacts,
  rootAttributes,
} from "../pipeline/request-facts.ts";
import { usageOf } from "../pipeline/usage.ts";
import type { SpanAttributes } from "../telemetry/trace/attributes.ts";
import type { IsolateServices } from "../services.ts";
import { SharedTimer } from "../runtime/shared-timer.ts";
import { createBoundedMap } from "../runtime/bounded-map.ts";
import { createIds } from "../telemetry/trace/ids.ts";
import { rootSpanName } from "../telemetry/trace/spans.ts";
import { formatTraceparent } from "../telemetry/trace/traceparent.ts";
import type { AdminCaller } from "../tenants/admin/roles.ts";
import type { exportTrace, startTrace } from "../tracing.ts";

/** The isolate's services and its tracing, from worker.ts. */
export interface ScopePorts {
  readonly servicesOf: (env: Env) => IsolateServices;
  readonly startTrace: typeof startTrace;
  readonly exportTrace: typeof exportTrace;
}

/** Of pooled random bytes, as trace ids: 32 hex digits. */
const ids = createIds((bytes) => crypto.getRandomValues(bytes));

/** Work after the response, awaited together with the handler: each `waitUntil` costs as much as two spans. */
interface Afterwards {
  work: Promise<void> | undefined;
}

/** The headers that every response gets here besides those of its facts. */
export const SCOPE_HEADERS = ["x-request-id", "request-id", "x-trace-id", "traceresponse"] as const;

const REQUEST_TIMEOUT = 408;

/** Paths without a trace: monitoring the gateway must not fill the trace back end. */
const UNTRACED = /^\/(healthz|metrics)(\/|$)/;
const READ_PLANE = /^\/(admin|jaeger)(\/|$)/;

export function requestScope(ports: ScopePorts): MiddlewareHandler<AppEnv> {
  async function handle(c: Context<AppEnv>, next: Next, after: Afterwards): Promise<void> {
    const requestId = `req_${ids.traceId()}`;
    c.set("requestId", requestId);
    const services = ports.servicesOf(c.env);
    c.set("services", services);
    c.set("settings", services.settings);
    const route = matchedRoute(c);
    const trace = ports.startTrace({
      name: route === undefined ? c.req.method : rootSpanName(c.req.method, route),
      kind: "server",
      traceparent: c.req.raw.headers.get("traceparent"),
      attributes: { "gateway.request.id": requestId, ...requestAttributes(c.req.raw, route) },
    });
    const facts: RequestFacts = { startedAt: services.now() };
    let isHeld = false;
    let hasHead = false;
    const finish = (): void => {
      trace.root.set(rootAttributes(facts));
      trace.root.end();
      scope.timer.end();
      const caller = callerOf(c);
      if (caller !== undefined && !facts.isCounted && c.req.method === "POST")
        services.noteUsage(caller.bundle, requestId, usageOf(facts), (work) =>
          c.executionCtx.waitUntil(work),
        );
      services.bodies.release(facts);
    };
    const scope: RequestScope = {
      trace,
      facts,
      timer: new SharedTimer(services.now),
      head() {
        hasHead = true;
        return headOf(requestId, scope, services.now());
      },
      hold() {
        isHeld = true;
        return finish;
      },
    };
    c.set("scope", scope);
    await next();
    try {
      if (mayHaveUnreadBody(c)) await dropUnreadBody(c.req.raw);
      describe(c, scope);
      // A fault behind the handler has made another response.
      if (!hasHead || c.error !== undefined) setHeaders(c.res, scope.head());
    } finally {
      // Whatever went wrong with a header: the request has its trace.
      if (!isHeld) finish();
      if (isTraced(c)) {
        const about = { bundle: callerOf(c)?.bundle, isUnauthenticated: isUnauthenticated(c) };
        after.work = ports.exportTrace(trace, about, services, (work) => c.executionCtx.waitUntil(work));
      }
    }
  }

  return function requestScope(c, next) {
    const after: Afterwards = { work: undefined };
    const handled = handle(c, next, after);
    // The runtime stops a handler whose client has disconnected, unless it is awaited: lease and trace must be ended.
    c.executionCtx.waitUntil(handled.then(() => after.work));
    return handled;
  };
}

/** Refused before its end or never looked at; a body that came too late is not waited for again. */
function mayHaveUnreadBody(c: Context<AppEnv>): boolean {
  const { status } = c.res;
  return status >= 400 ? status !== REQUEST_TIMEOUT : !c.req.raw.bodyUsed;
}

/** An unauthenticated refusal: there is no bound on how many come, so their traces are sampled. */
function isUnauthenticated(c: Context<AppEnv>): boolean {
  if (c.res.status < 400 || callerOf(c) !== undefined || adminOf(c) !== undefined) return false;
  return c.res.status < 500 || (c.error !== undefined && toGatewayError(c.error).code === "overloaded");
}

/** Undefined before it is known, and on paths that need no key. Hono's `c.var` would copy all variables. */
function callerOf(c: Context<AppEnv>): Caller | undefined {
  return c.get("caller");
}

function adminOf(c: Context<AppEnv>): AdminCaller | undefined {
  return c.get("admin");
}

/** The template of the route that will answer; undefined where only catch-alls match. */
function matchedRoute(c: Context<AppEnv>): string | undefined {
  const path = routePath(c, -1);
  return path.includes("*") ? undefined : path;
}

function requestAttributes(request: Request, route: string | undefined): SpanAttributes {
  const { protocol, hostname, port } = originOf(request.url);
  return {
    "http.request.method": request.method,
    "http.route": route,
    // Required by the conventions; the raw path may hold a tenant's names.
    "url.path": route,
    "url.scheme": protocol.slice(0, -1),
    "server.address": hostname,
    "server.port": port === "" ? (protocol === "https:" ? 443 : 80) : Number(port),
  };
}

type Origin = Pick<URL, "protocol" | "hostname" | "port">;

/** Of the last requests: a Worker has few origins, and parsing a URL costs as much as a span. */
const origins = createBoundedMap<string, Origin>(16);

function originOf(url: string): Origin {
  const text = url.slice(0, url.indexOf("/", "https://".length));
  const known = origins.get(text);
  if (known !== undefined) return known;
  const { protocol, hostname, port } = new URL(url);
  const origin = { protocol, hostname, port };
  origins.set(text, origin);
  return origin;
}

function isTraced(c: Context<AppEnv>): boolean {
  const { path, method } = c.req;
  if (UNTRACED.test(path)) return false;
  // A browser's preflight needs no key and carries no information.
  if (method === "OPTIONS" && c.var.caller === undefined && c.res.ok) return false;
  return !(READ_PLANE.test(path) && (method === "GET" || method === "HEAD") && c.res.status < 500);
}

/** The response's status onto the span. */
function describe(c: Context<AppEnv>, { trace, facts }: RequestScope): void {
  const { status } = c.res;
  const { root } = trace;
  if (c.error) {
    const error = toGatewayError(c.error);
    facts.outcome ??= outcomeOf(error);
    root.set(refusalAttributes(error));
    if (status >= 500) root.fail(error.code);
  }
  facts.outcome ??= status >= 400 ? "rejected" : "ok";
  root.set({ "http.response.status_code": status });
}

/** The request's ids and facts, as headers. */
function headOf(requestId: string, { trace, facts }: RequestScope, now: number): Record<string, string> {
  const { traceId, root } = trace;
  const own: Record<(typeof SCOPE_HEADERS)[number], string> = {
    "x-request-id": requestId,
    "request-id": requestId,
    "x-trace-id": traceId,
    // https://www.w3.org/TR/trace-context-2/#traceresponse-header
    traceresponse: formatTraceparent(root.ref),
  };
  return Object.assign(own, factHeaders(facts, now));
}

function setHeaders({ headers }: Response, own: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(own)) headers.set(name, value);
}
