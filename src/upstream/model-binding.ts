/**
 * The platform's own models behind the Worker's `AI` binding, called as an upstream is: a request in, a response out.
 * Knows the parameters of the binding's `run`, not the models' formats.
 * https://developers.cloudflare.com/workers-ai/configuration/bindings/ (seen 2026-11)
 */

import type { UpstreamRequest } from "../wires/upstream-wire.ts";
import type { ModelCall } from "../wires/workers-ai/upstream-binding.ts";

/** Runs the model that the request's body (a `ModelCall`) names. Rejects as `fetch` does. */
export type RunModel = (request: UpstreamRequest, signal: AbortSignal) => Promise<Response>;

interface ModelBinding {
  run(model: string, inputs: object, options: object): Promise<Response>;
}

/** Undefined where the deployment has no such binding. */
export function createModelRunner(binding: unknown): RunModel | undefined {
  if (!isModelBinding(binding)) return undefined;
  return ({ body = "{}", headers }, signal) => {
    // The body is written by wires/workers-ai/upstream-binding.ts, the only wire that is used without a base URL.
    const { model, inputs, gateway } = JSON.parse(body) as ModelCall;
    return binding.run(model, inputs, {
      // The raw response keeps the status, the headers and a stream's bytes: without it, errors are exceptions without one.
      returnRawResponse: true,
      signal,
      extraHeaders: headers,
      ...(gateway !== undefined && { gateway }),
    });
  };
}

function isModelBinding(binding: unknown): binding is ModelBinding {
  return typeof binding === "object" && binding !== null && typeof Reflect.get(binding, "run") === "function";
}
