/**
 * `GET /jaeger/api/…`: Jaeger's query API over the trace store, so that Grafana's Jaeger data source can be pointed at
 * `/jaeger`. Faults have Jaeger's shape too. The admin token is needed (middleware/admin-auth.ts).
 */

import { Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { AppEnv } from "../src/app-types.ts";
import { errorHeaders, GatewayError, toGatewayError } from "../src/errors.ts";
import { answerFault, answerList, toJaegerTrace } from "../src/telemetry/jaeger/jaeger.ts";
import { parseJaegerQuery } from "../src/telemetry/jaeger/jaeger-query.ts";
import { listOperations, searchJaeger } from "../src/telemetry/jaeger/jaeger-search.ts";
import { readResourceSpans } from "../src/telemetry/otlp/otlp-read.ts";

/** Jaeger writes ids without their leading zeroes. */
const TRACE_ID = /^[0-9a-f]{1,32}$/;
const TRACE_ID_DIGITS = 32;

export const jaeger = new Hono<AppEnv>()
  // Listed before the first request too: Grafana shows a data source without services as broken.
  .get("/services", (c) => c.json(answerList([c.var.settings.serviceName])))
  .get("/services/:service/operations", async (c) => {
    const { services, settings } = c.var;
    if (c.req.param("service") !== settings.serviceName) return c.json(answerList([]));
    const operations = await listOperations(services.traces);
    return c.json(answerList(operations.map(({ name }) => name)));
  })
  .get("/operations", async (c) => {
    const { services, settings } = c.var;
    if (c.req.query("service") !== settings.serviceName) return c.json(answerList([]));
    const kind = c.req.query("spanKind") ?? "";
    const operations = await listOperations(services.traces);
    return c.json(answerList(operations.filter(({ spanKind }) => kind === "" || spanKind === kind)));
  })
  .get("/traces", async (c) => {
    const { services, settings } = c.var;
    const query = parseJaegerQuery(new URL(c.req.url).searchParams);
    return c.json(answerList(await searchJaeger(query, services.traces, settings.serviceName)));
  })
  .get("/traces/:traceId", async (c) => {
    const { services, settings } = c.var;
    const given = c.req.param("traceId").toLowerCase();
    if (!TRACE_ID.test(given)) {
      throw new GatewayError("invalid_request", "A trace id has 1 to 32 hexadecimal digits.", {
        param: "traceId",
      });
    }
    const traceId = given.padStart(TRACE_ID_DIGITS, "0");
    const elements = await services.traces.get(traceId);
    // Grafana reads the first trace of a 200 without checking that there is one.
    if (elements.length === 0) throw new GatewayError("not_found", "trace not found", { param: "traceId" });
    const requests = elements.map(readResourceSpans);
    return c.json(answerList([toJaegerTrace(traceId, requests, settings.serviceName)]));
  })
  // There is one service, so the dependency graph is empty.
  .get("/dependencies", (c) => c.json(answerList([])));

jaeger.onError((thrown, c) => {
  const error = toGatewayError(thrown);
  // Every status of the error table allows a body.
  const status = error.status as ContentfulStatusCode;
  return c.json(answerFault(error.status, error.message), status, errorHeaders(error));
});
