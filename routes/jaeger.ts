/**
 * `GET /jaeger/api/…`: Jaeger's query API over the trace store, so that Grafana's Jaeger data source can be pointed at
 * `/jaeger`. Faults have Jaeger's shape too. A token of the admin plane is needed (middleware/admin-auth.ts), and a tenant's own shows that tenant only.
 */

import { createRouter } from "../src/http/router.ts";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { errorHeaders, GatewayError, toGatewayError } from "../src/errors.ts";
import { tracesOf } from "../src/http/admin-http.ts";
import { answerFault, answerList } from "../src/telemetry/jaeger/jaeger.ts";
import { parseJaegerQuery } from "../src/telemetry/jaeger/jaeger-query.ts";
import { findTraces, listOperations, searchJaeger } from "../src/telemetry/jaeger/jaeger-search.ts";

/** Jaeger writes ids without their leading zeroes. */
const TRACE_ID = /^[0-9a-f]{1,32}$/;
const TRACE_ID_DIGITS = 32;

export const jaeger = createRouter()
  // Listed before the first request too: Grafana shows a data source without services as broken.
  .get("/services", (c) => c.json(answerList([c.var.settings.serviceName])))
  .get("/services/:service/operations", async (c) => {
    const { settings } = c.var;
    if (c.req.param("service") !== settings.serviceName) return c.json(answerList([]));
    const operations = await listOperations(tracesOf(c));
    return c.json(answerList(operations.map(({ name }) => name)));
  })
  .get("/operations", async (c) => {
    const { settings } = c.var;
    const service = c.req.query("service") ?? "";
    if (service === "") {
      const message = "The parameter 'service' is required.";
      throw new GatewayError("invalid_request", message, { param: "service" });
    }
    if (service !== settings.serviceName) return c.json(answerList([]));
    const kind = c.req.query("spanKind") ?? "";
    const operations = await listOperations(tracesOf(c));
    return c.json(answerList(operations.filter(({ spanKind }) => kind === "" || spanKind === kind)));
  })
  .get("/traces", async (c) => {
    const { settings } = c.var;
    const parameters = new URL(c.req.url).searchParams;
    const named = parameters.getAll("traceID");
    // Jaeger's UI compares and opens traces by their ids, without a service.
    if (named.length > 0) {
      const found = await findTraces(named.map(readTraceId), tracesOf(c), settings.serviceName);
      return c.json(answerList(found));
    }
    const query = parseJaegerQuery(parameters);
    return c.json(answerList(await searchJaeger(query, tracesOf(c), settings.serviceName)));
  })
  .get("/traces/:traceId", async (c) => {
    const { settings } = c.var;
    const traceId = readTraceId(c.req.param("traceId"));
    const found = await findTraces([traceId], tracesOf(c), settings.serviceName);
    // Grafana reads the first trace of a 200 without checking that there is one.
    if (found.length === 0) throw new GatewayError("not_found", "trace not found", { param: "traceId" });
    return c.json(answerList(found));
  })
  // There is one service, so the dependency graph is empty.
  .get("/dependencies", (c) => c.json(answerList([])))
  .all("/v3/*", () => {
    const message =
      "Jaeger's API of version 3 is not served. Use /jaeger/api/traces and /jaeger/api/services.";
    throw new GatewayError("not_found", message);
  });

function readTraceId(text: string): string {
  const given = text.toLowerCase();
  if (TRACE_ID.test(given)) return given.padStart(TRACE_ID_DIGITS, "0");
  const message = "A trace id has 1 to 32 hexadecimal digits.";
  throw new GatewayError("invalid_request", message, { param: "traceId" });
}

jaeger.onError((thrown, c) => {
  const error = toGatewayError(thrown);
  // Every status of the error table allows a body.
  const status = error.status as ContentfulStatusCode;
  return c.json(answerFault(error.status, error.message), status, errorHeaders(error));
});
