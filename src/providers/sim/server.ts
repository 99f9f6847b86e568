/**
 * A small OpenAI-compatible model server inside the Worker: it answers where other providers are fetched. It knows
 * nothing of the gateway, and the gateway treats it as any upstream.
 */

import type { LocalUpstream } from "../provider.ts";
import type { UpstreamRequest } from "../../wires/upstream-wire.ts";
import { answerEmbeddings } from "./embeddings.ts";
import { answer } from "./answer.ts";
import { faultOf, type SimFault } from "./faults.ts";
import { readOptions, type SimOptions } from "./options.ts";
import { createBody, createPace, type Pace } from "./pace.ts";
import { readSimRequest, type SimRequest } from "./request.ts";
import { fingerprint } from "./text.ts";
import { answerId, formatChunks, formatSimCompletion, type SimEvent } from "./wire.ts";

/** Requests to `flaky` remembered in one isolate: some bytes each, forgotten all at once when full. */
const MAX_REMEMBERED = 10_000;

/** One call being answered. */
interface Exchange {
  readonly request: SimRequest;
  readonly fault: SimFault | undefined;
  readonly options: SimOptions;
  readonly pace: Pace;
}

/**
 * A server with its own memory of what it refused: `flaky` fails the first attempt at a request, answers the second,
 * fails the third, and so on, told apart by body and counted in one isolate. Rejects with the signal's reason when
 * aborted.
 */
export function createSimServer(): LocalUpstream {
  const refused = new Set<string>();

  /** Whether this attempt at the request is refused; each call counts as one. */
  function takeTurn(body: string): boolean {
    const id = fingerprint(body);
    if (refused.delete(id)) return false;
    if (refused.size >= MAX_REMEMBERED) refused.clear();
    refused.add(id);
    return true;
  }

  return async (call, context) => {
    if (new URL(call.url).pathname.endsWith("/embeddings")) return embed(call.body ?? "");
    const request = readCall(call);
    if (request instanceof Response) return request;
    const fault = faultOf(request.model);
    const options = readOptions(context.options, fault);
    const pace = createPace(context);
    const exchange: Exchange = { request, fault, options, pace };

    if (fault?.type === "timeout") return pace.waitForever();
    if (fault?.type === "refuse" && (fault.everyOther !== true || takeTurn(call.body ?? ""))) {
      await pace.wait(options.firstChunkMs);
      return refuse(fault, options);
    }
    const given = answer(request);
    const events = formatChunks(request, given, options.maxChunks);
    if (request.isStream) return respond(exchange, "text/event-stream", streamEvents(events, exchange));
    // As long as the stream would have taken: the model is the same.
    const workedOn = events.filter((event) => event.isPaced).length;
    await pace.wait(options.firstChunkMs + workedOn * options.paceMs);
    return respond(exchange, "application/json", sendWhole(formatSimCompletion(request, given), exchange));
  };
}

function embed(bodyText: string): Response {
  const body = answerEmbeddings(bodyText);
  if (body === undefined) {
    return errorResponse(400, "invalid_request_error", "The simulated server can't read this body.");
  }
  return new Response(body, { headers: { "content-type": "application/json" } });
}

function readCall({ method, url, body }: UpstreamRequest): SimRequest | Response {
  if (method !== "POST" || !new URL(url).pathname.endsWith("/chat/completions")) {
    return errorResponse(404, "not_found_error", "The simulated server has no such path.");
  }
  const request = readSimRequest(body ?? "");
  return request ?? errorResponse(400, "invalid_request_error", "The simulated server can't read this body.");
}

function respond({ request, pace }: Exchange, type: string, pieces: AsyncGenerator<string, void>): Response {
  const headers = { "content-type": type, "x-request-id": `req-${answerId(request)}` };
  return new Response(createBody(pieces, pace), { headers });
}

async function* streamEvents(events: readonly SimEvent[], exchange: Exchange): AsyncGenerator<string, void> {
  const { fault, options, pace } = exchange;
  const middle = Math.ceil(events.length / 2);
  for (const [at, { text, isPaced }] of events.entries()) {
    await pace.wait(at === 0 ? options.firstChunkMs : isPaced ? options.paceMs : 0);
    if (at === middle && (fault?.type === "cut" || fault?.type === "stall")) return breakOff(exchange);
    yield at === middle && fault?.type === "malformed" ? breakEvent(text) : text;
  }
}

async function* sendWhole(body: string, exchange: Exchange): AsyncGenerator<string, void> {
  const { fault } = exchange;
  const isHurt = fault?.type === "malformed" || fault?.type === "cut" || fault?.type === "stall";
  yield isHurt ? firstHalf(body) : body;
  if (fault?.type === "cut" || fault?.type === "stall") await breakOff(exchange);
}

async function breakOff({ fault, options, pace }: Exchange): Promise<void> {
  if (fault?.type === "stall") await pace.waitForever();
  if (!options.cutsCleanly) throw new Error("The simulated server lost the connection.");
}

/** The event without the second half of its data, so that its JSON ends in the middle. */
function breakEvent(event: string): string {
  return `${firstHalf(event)}\n\n`;
}

function firstHalf(text: string): string {
  return text.slice(0, Math.floor(text.length / 2));
}

function refuse(fault: Extract<SimFault, { type: "refuse" }>, options: SimOptions): Response {
  const { retryAfterSeconds } = fault;
  const headers = retryAfterSeconds === undefined ? {} : { "retry-after": String(retryAfterSeconds) };
  return errorResponse(options.refusalStatus ?? fault.status, fault.errorType, fault.message, headers);
}

function errorResponse(
  status: number,
  type: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return Response.json({ error: { message, type, param: null, code: null } }, { status, headers });
}
