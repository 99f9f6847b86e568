/**
 * The tenant's routes and the targets behind them, as the caller's vendor lists models: `GET /v1/models` and
 * `/v1/models/{model}` for OpenAI's and Anthropic's clients, the same under `/v1beta` for Google's.
 */

import type { Context } from "hono";
import type { AppEnv, Caller } from "../src/app-types.ts";
import { GatewayError } from "../src/errors.ts";
import type { ListedModel } from "../src/wires/client-wire.ts";
import { clientWireFor } from "../src/wires/registry.ts";
import { isModelAllowed } from "../src/routing/plan.ts";

export function listModels(c: Context<AppEnv>): Response {
  const { models } = clientWireFor(c.req.path, c.req.raw.headers);
  return Response.json(models.list(modelsOf(c.var.caller)));
}

export function getModel(c: Context<AppEnv>): Response {
  const id = c.req.param("model") ?? "";
  const model = modelsOf(c.var.caller).find((candidate) => candidate.id === id);
  if (!model)
    throw new GatewayError("model_not_found", `The model '${id}' does not exist.`, { param: "model" });
  const { models } = clientWireFor(c.req.path, c.req.raw.headers);
  return Response.json(models.one(model));
}

/** The models that the key may use. */
function modelsOf({ bundle, key }: Caller): readonly ListedModel[] {
  const owners = new Map<string, string>();
  for (const [name, route] of Object.entries(bundle.routes)) {
    owners.set(name, bundle.id);
    for (const { provider, model } of route.targets) {
      if (Object.hasOwn(bundle.providers, provider)) owners.set(`${provider}/${model}`, provider);
    }
  }
  return [...owners]
    .filter(([id]) => isModelAllowed(key.allowedModels, id))
    .map(([id, owner]) => ({ id, owner }));
}
