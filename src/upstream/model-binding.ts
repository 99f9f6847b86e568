/**
 * The platform's own models behind a binding of the Worker (`AI`), asked as an upstream is: a request in, a response out.
 * Knows what the binding's `run` takes and nothing of what models say. Called by services.ts; call.ts calls the result.
 * https://developers.cloudflare.com/workers-ai/configuration/bindings/ (seen 2026-11)
 */

import type { UpstreamRequest } from "../providers/provider.ts";

/** Asks the model that the request's body names (`ModelCall`). Rejects as `fetch` does. */
export type RunModel = (request: UpstreamRequest, signal: AbortSignal) => Promise<Response>;

/** The body of a request to a binding, as JSON. */
export interface ModelCall {
  readonly model: string;
  readonly inputs: object;
  /** The platform's own gateway, which such a call may be led through: only its name matters here. */
  readonly gateway?: { readonly id: string };
}

interface ModelBinding {
  run(model: string, inputs: object, options: object): Promise<Response>;
}

/** Undefined where the deployment has no such binding. */
export function createModelRunner(binding: unknown): RunModel | undefined {
  if (!isModelBinding(binding)) return undefined;
  return ({ body = "{}", headers }, signal) => {
    // Written by the wire that chose this way: workers-ai-binding.ts.
    const { model, inputs, gateway } = JSON.parse(body) as ModelCall;
    return binding.run(model, inputs, {
      // Status, headers and a stream's bytes as they come: without it, faults are exceptions whose status is lost.
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
