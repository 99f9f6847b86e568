/**
 * The tenant's routes and the targets behind them, as the caller's vendor lists models: `GET /v1/models` and
 * `/v1/models/{model}` for OpenAI's and Anthropic's clients, the same under `/v1beta` for Google's.
 */

import type { Context } from "hono";
import type { AppEnv, Caller } from "../src/app-types.ts";
import { formatAnthropicModel, formatAnthropicModels } from "../src/wires/anthropic/client-models.ts";
import { formatGeminiModel, formatGeminiModels } from "../src/wires/gemini/client-models.ts";
import { GatewayError } from "../src/errors.ts";
import { errorForm } from "../src/middleware/error-form.ts";
import { isModelAllowed } from "../src/routing/plan.ts";

interface ListedModel {
  readonly id: string;
  readonly owner: string;
}

export function listModels(c: Context<AppEnv>): Response {
  const models = modelsOf(c.var.caller);
  const ids = models.map(({ id }) => id);
  switch (errorForm(c.req.path, c.req.raw.headers)) {
    case "anthropic":
      return c.json(formatAnthropicModels(ids));
    case "gemini":
      return c.json(formatGeminiModels(ids));
    case "openai":
    case "problem":
      return c.json({ object: "list", data: models.map(formatOpenAiModel) });
  }
}

export function getModel(c: Context<AppEnv>): Response {
  const id = c.req.param("model") ?? "";
  const model = modelsOf(c.var.caller).find((candidate) => candidate.id === id);
  if (!model)
    throw new GatewayError("model_not_found", `The model '${id}' does not exist.`, { param: "model" });
  switch (errorForm(c.req.path, c.req.raw.headers)) {
    case "anthropic":
      return c.json(formatAnthropicModel(id));
    case "gemini":
      return c.json(formatGeminiModel(id));
    case "openai":
    case "problem":
      return c.json(formatOpenAiModel(model));
  }
}

/**
 * Records have no creation time, so `created` is 0, as the format allows.
 * https://platform.openai.com/docs/api-reference/models/object (seen 2026-11)
 */
function formatOpenAiModel({ id, owner }: ListedModel) {
  return { id, object: "model", created: 0, owned_by: owner } as const;
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
