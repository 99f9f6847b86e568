/** From Hono's context to the pipeline's input: the request's call, its ports, and who ends its trace. */

import type { Context } from "hono";
import type { AppEnv } from "../app-types.ts";
import { openAiChat } from "../wires/openai-chat/client-wire.ts";
import type { ChatRequest, Operation } from "../schema/chat.ts";
import type { BareCall, Deps } from "../pipeline/ports.ts";
import type { HoldBytes } from "./read-body.ts";
import { labelsOf, type RequestOptions } from "../pipeline/request-options.ts";

interface OpenedCall {
  readonly call: BareCall;
  readonly deps: Deps;
  /** The answer's body outlives the handler: the trace ends with the body, unless it has ended already. */
  hold(): void;
}

/** Counts the bytes of this request's body among those that the isolate holds. */
export function holdFor(c: Context<AppEnv>): HoldBytes {
  const { bodies } = c.get("services");
  const { facts } = c.get("scope");
  return (bytes) => bodies.hold(facts, bytes);
}

/** Also sets the facts that the request itself names. */
export function openCall(c: Context<AppEnv>, chat: ChatRequest, options: RequestOptions): OpenedCall {
  const [scope, caller] = [c.get("scope"), c.get("caller")];
  const [services, requestId] = [c.get("services"), c.get("requestId")];
  const { facts } = scope;
  if (chat.model !== "") facts.model = chat.model;
  facts.isStream = chat.stream;
  facts.metadata = labelsOf(caller.key, options);
  if (options.session !== undefined) facts.session = options.session;
  let endRoot: (() => void) | undefined;
  let isOver = false;
  return {
    call: {
      chat,
      bundle: caller.bundle,
      key: caller.key,
      options,
      requestId,
      // Not a getter: V8 makes a hidden class for each getter, which retains the request until a full collection.
      signal: () => c.req.raw.signal,
      headers: c.req.raw.headers,
      trace: scope.trace,
      facts,
      holder: facts,
      release() {
        isOver = true;
        endRoot?.();
      },
    },
    deps: services.depsFor(caller.bundle, (work) => c.executionCtx.waitUntil(work), scope.timer),
    hold() {
      // The middleware ends a stream that is already over (its client disconnected at once).
      if (!isOver) endRoot = scope.hold();
    },
  };
}

/** A request that is passed on without being parsed; `bodyText` is what its tokens are estimated from. */
export function unreadRequest(
  operation: Operation,
  model: string,
  bodyText: string,
  stream: boolean,
): ChatRequest {
  return {
    wire: openAiChat,
    operation,
    model,
    stream,
    params: {},
    bodyText,
    body: {},
  };
}
