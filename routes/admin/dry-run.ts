/**
 * `POST /admin/tenants/{tenant}/routes/{name}/dry-run`: the plan for a data-plane body (`?dialect=`, openai-chat by
 * default) without calling an upstream, and `GET …/health`: the circuits of the tenant's targets and this isolate's latencies.
 */

import { createRouter } from "../../src/http/router.ts";
import { cacheDirective } from "../../src/cache/policy.ts";
import type { AnyClientWire } from "../../src/wires/client-wire.ts";
import { CLIENT_WIRES, clientWireNamed } from "../../src/wires/registry.ts";
import { openAiChat } from "../../src/wires/openai-chat/client-wire.ts";
import { GatewayError } from "../../src/errors.ts";
import { dryRun } from "../../src/pipeline/operations/dry-run.ts";
import { readRequestOptions } from "../../src/pipeline/request-options.ts";
import { readHealth } from "../../src/targets/health.ts";
import { requireTenant } from "../../src/http/admin-http.ts";
import { holdFor } from "../../src/http/open-call.ts";
import { DEFAULT_MAX_BODY_BYTES, readBodyText } from "../../src/http/read-body.ts";

/** A dry run is planned for a key without restrictions. */
const OPERATOR_KEY = { id: "operator", name: "operator", hash: "", createdAt: "" };

export const adminDryRun = createRouter()
  .post("/tenants/:tenant/routes/:name/dry-run", async (c) => {
    const bundle = await requireTenant(c);
    const name = c.req.param("name");
    if (!Object.hasOwn(bundle.routes, name)) {
      throw new GatewayError("not_found", `The tenant "${bundle.id}" has no route "${name}".`);
    }
    const clientWire = clientWireOf(c.req.query("dialect") ?? openAiChat.name);
    const { headers } = c.req.raw;
    const body = await readBodyText(c.req.raw, DEFAULT_MAX_BODY_BYTES, holdFor(c));
    const chat = { ...clientWire.parseRequest(body, { defaultModel: name, model: name }), model: name };
    const call = {
      chat,
      clientWire,
      bundle,
      headers,
      key: OPERATOR_KEY,
      options: readRequestOptions(headers),
      cache: cacheDirective(headers, bundle.tenant.cache),
    };
    const deps = c.var.services.depsFor(bundle, (work) => c.executionCtx.waitUntil(work), c.var.scope.timer);
    return c.json(await dryRun(call, deps));
  })
  .get("/tenants/:tenant/health", async (c) => {
    const bundle = await requireTenant(c);
    const { targets, now } = c.var.services.depsFor(bundle, () => {}, c.var.scope.timer);
    const at = now();
    const shared = await c.var.services
      .queueOf(bundle.id)
      .snapshot()
      .catch(() => undefined);
    // The queue object's circuits hold for all isolates; this isolate's own are the fallback when it is unreachable.
    const circuits = shared === undefined ? targets.circuits.all(at) : (shared.circuits ?? []);
    const items = readHealth(bundle, circuits, targets, at);
    return c.json({ circuitsOf: shared === undefined ? "isolate" : "tenant", items });
  });

function clientWireOf(name: string): AnyClientWire {
  const clientWire = clientWireNamed(name);
  if (clientWire) return clientWire;
  const names = CLIENT_WIRES.map((candidate) => candidate.name).join(", ");
  throw new GatewayError("invalid_request", `dialect: must be one of ${names}.`, { param: "dialect" });
}
