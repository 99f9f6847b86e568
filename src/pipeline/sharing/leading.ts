/**
 * The leader of a flight: its generation goes on when its own client has left, as long as a follower wants it; what it
 * generates goes to the object, from which its own client gets it as the followers do.
 */

import { type ErrorCode, GatewayError, toGatewayError } from "../../errors.ts";
import { encodeLine, endProgress } from "../../coalescing/progress.ts";
import type { FlightFault, FlightHead } from "../../coalescing/protocol.ts";
import { passOn } from "../answers/pass-on.ts";
import type { Call, Deps, Generation } from "../ports.ts";

export async function leadFlight(
  call: Call,
  key: string,
  flightId: string,
  deps: Deps,
  generate: (call: Call) => Promise<Generation>,
): Promise<Generation> {
  const { facts, trace } = call;
  const signal = call.signal();
  const detached = new AbortController();
  const onGone = (): void => {
    const leaving = deps.flights.leave(key, call.requestId).catch(() => false);
    deps.defer(leaving.then((goesOn) => goesOn || detached.abort()));
  };
  if (signal.aborted) onGone();
  else signal.addEventListener("abort", onGone);

  const { readable, writable } = new IdentityTransformStream();
  const writer = writable.getWriter();
  const me = { requestId: call.requestId, failureText: failureText(call) };
  const own = deps.flights.lead(key, flightId, readable, ...(call.chat.stream ? [me] : [])).catch(() => null);
  const generated = Promise.withResolvers<void>();
  let generation: Generation;
  try {
    generation = await generate({ ...call, signal: () => detached.signal, release: generated.resolve });
  } catch (thrown) {
    const fault = describeFault(toGatewayError(thrown));
    deps.defer(send(writer, encodeLine({ fault, leader: trace.root.ref }), false));
    deps.defer(own.then(drain));
    throw thrown;
  }
  const { contentType, body, isComplete = Promise.resolve(true) } = generation;
  const head: FlightHead = {
    contentType,
    form: typeof body === "string" ? "json" : "sse",
    trace: trace.root.ref,
    ...(facts.target !== undefined && { target: facts.target }),
    ...(facts.vendor !== undefined && { vendor: facts.vendor }),
  };
  if (typeof body === "string") {
    deps.defer(sendWhole(writer, head, body));
    deps.defer(own);
    if (!signal.aborted) return generation;
    facts.outcome = "client_disconnected";
    throw new GatewayError(
      "client_disconnected",
      "The client disconnected; requests coalesced with it still get the answer.",
    );
  }

  const ownBody = await own;
  if (ownBody === null) {
    // The object is gone: the answer is this client's alone, as if it had never led.
    void writer.abort().catch(() => {});
    signal.removeEventListener("abort", onGone);
    signal.addEventListener("abort", () => detached.abort());
    deps.defer(generated.promise.then(call.release));
    return generation;
  }
  deps.defer(sendStream(writer, head, body, isComplete));
  const hasFailed = (): Promise<boolean> => deps.flights.hasFailed(key, flightId, call.requestId);
  const passing = passOn(ownBody, me.failureText, hasFailed);
  const over = Promise.all([passing.end, generated.promise]).then(([end]) => {
    if (end === "left") facts.outcome = "client_disconnected";
    call.release();
    return end === "complete";
  });
  deps.defer(over);
  return { contentType, body: passing.body, isComplete: over };
}

const BROKEN = new GatewayError("upstream_error", "The stream broke on its way through the gateway.");

/** What a client is sent in its own wire where the shared stream breaks. */
export function failureText({ clientWire }: Pick<Call, "clientWire">): string {
  return "operation" in clientWire ? "" : clientWire.errorEvent(BROKEN);
}

/** The end of one's own stream says that the object has read all: a request that ends before takes its bytes along. */
async function drain(body: ReadableStream<Uint8Array> | null): Promise<void> {
  await body?.pipeTo(new WritableStream()).catch(() => {});
}

type Writer = WritableStreamDefaultWriter<Uint8Array>;

async function send(writer: Writer, bytes: Uint8Array, isComplete: boolean): Promise<void> {
  // An object that reads no more has no followers.
  await writer.write(bytes).catch(() => {});
  await endProgress(writer, isComplete);
}

async function sendWhole(writer: Writer, head: FlightHead, body: string): Promise<void> {
  await writer.write(encodeLine({ head })).catch(() => {});
  await send(writer, new TextEncoder().encode(body), true);
}

/**
 * Byte by byte as they come: the runtime can't pipe one identity stream into another. Where the object stops reading, no
 * follower wants the answer any more, and cancelling the body stops the generation.
 */
async function sendStream(
  writer: Writer,
  head: FlightHead,
  body: ReadableStream<Uint8Array>,
  isComplete: Promise<boolean>,
): Promise<void> {
  const reader = body.getReader();
  try {
    await writer.write(encodeLine({ head }));
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      await writer.write(value);
    }
  } catch (thrown) {
    await reader.cancel(thrown).catch(() => {});
    await writer.abort(thrown).catch(() => {});
    return;
  }
  await endProgress(writer, await isComplete);
}

const OF_THE_REQUEST: ReadonlySet<ErrorCode> = new Set([
  "invalid_request",
  "model_not_found",
  "request_too_large",
  "unsupported_encoding",
  "guardrail_blocked",
  "upstream_rejected",
]);

function describeFault(error: GatewayError): FlightFault {
  const { cause: _, headers: __, timeout: ___, ...details } = error.details;
  const isOfUpstream = error.canFallBack || error.code === "internal_error" || error.code === "unavailable";
  const concerns = OF_THE_REQUEST.has(error.code) ? "request" : isOfUpstream ? "upstream" : "leader";
  return { code: error.code, message: error.message, ...details, concerns };
}
