/** `GET /v1/models` and `GET /v1/models/{model}`: the tenant's routes and the targets behind them, as OpenAI lists models. */

import type { Context } from "hono";
import type { AppEnv, Caller } from "../src/app.ts";
import { GatewayError } from "../src/errors.ts";
import { isModelAllowed } from "../src/routing/plan.ts";

/** https://platform.openai.com/docs/api-reference/models/object (seen 2026-11). */
interface WireModel {
  readonly id: string;
  readonly object: "model";
  readonly created: number;
  readonly owned_by: string;
}

export function listModels(c: Context<AppEnv>): Response {
  return c.json({ object: "list", data: modelsOf(c.var.caller) });
}

export function getModel(c: Context<AppEnv>): Response {
  const id = c.req.param("model") ?? "";
  const model = modelsOf(c.var.caller).find((candidate) => candidate.id === id);
  if (!model)
    throw new GatewayError("model_not_found", `The model '${id}' does not exist.`, { param: "model" });
  return c.json(model);
}

/** Only what the key may use. Records keep no date of birth, so `created` is 0, as the format allows. */
function modelsOf({ bundle, key }: Caller): readonly WireModel[] {
  const owners = new Map<string, string>();
  for (const [name, route] of Object.entries(bundle.routes)) {
    owners.set(name, bundle.id);
    for (const { provider, model } of route.targets) {
      if (Object.hasOwn(bundle.providers, provider)) owners.set(`${provider}/${model}`, provider);
    }
  }
  return [...owners]
    .filter(([id]) => isModelAllowed(key.allowedModels, id))
    .map(([id, owner]) => ({ id, object: "model", created: 0, owned_by: owner }));
}
