/**
 * Bytes that are not understood, passed on as they come: OpenAI's other endpoints, and vendors' own APIs. What they used is
 * counted where it can be read while they pass, never guessed.
 */

import { type AnswerContext, claim, readHeld, reportedOf } from "./answer-context.ts";
import { countRelayed } from "./answer-summary.ts";
import { type Inspector } from "./inspectors.ts";
import { endAttempt } from "../attempts/attempt-span.ts";
import { billBatch } from "../attempts/batch-bill.ts";
import { billAnswer } from "../attempts/bill.ts";
import type { ForwardExchange, NativeExchange } from "../attempts/exchange.ts";
import type { Bill } from "../bills.ts";
import type { Answered, RelayEnd } from "../ended.ts";
import type { GatewayError } from "../../errors.ts";
import type { UpstreamCall } from "../../upstream/call.ts";
import { encodeText } from "../../bytes/digest.ts";
import { withoutCutSecret } from "../../bytes/secret-filter.ts";
import { scrubCredentials, secretsOf } from "../../wires/scrub-credentials.ts";
import { headersToClient } from "../../upstream/native-headers.ts";
import type { StreamReport } from "../../upstream/stream.ts";
import { relayBody } from "../../upstream/stream-relay.ts";

export async function passThrough(
  context: AnswerContext,
  exchange: ForwardExchange | NativeExchange,
  upstreamCall: UpstreamCall,
  idleMs: number,
): Promise<Answered> {
  const { attempts, provider, target } = context;
  const { call, deps } = attempts;
  const { status, headers } = upstreamCall.response;
  const isNative = exchange.kind === "native";
  // For the trace alone: the client gets the vendor's own words, without the account's secrets.
  const refusal = isNative && status >= 400 ? provider.toError(status, headers, undefined) : undefined;
  const contentType = headers.get("content-type") ?? (isNative ? "" : "application/octet-stream");
  const inspector = refusal === undefined ? exchange.inspect(contentType) : undefined;
  const head = {
    contentType,
    ...(isNative && { native: { status, headers: headersToClient(headers, secretsOf(target.account)) } }),
  };
  const refused = refusal !== undefined && { refusal };
  claim(context, upstreamCall);
  if (isNative && (upstreamCall.response.body === null || !mayHaveBody(status))) {
    call.facts.firstByteAt = deps.now();
    upstreamCall.release();
    return {
      generation: { ...head, body: "" },
      ended: relayEnd(context, status, inspector, refusal),
      ...refused,
    };
  }
  if (refusal !== undefined) {
    const body = await readRefusal(context, upstreamCall, contentType, idleMs);
    call.facts.firstByteAt = deps.now();
    return { generation: { ...head, body }, ended: relayEnd(context, status, inspector, refusal), refusal };
  }
  if ((!isNative || exchange.isHeld === true) && contentType.startsWith("application/json")) {
    // A whole, so that the response's head can name its cost, and so that what it names is known before the client has it.
    const { text: body, bytes } = await readHeld(context, upstreamCall, idleMs);
    call.facts.firstByteAt = deps.now();
    inspector?.push(bytes ?? encodeText(body));
    return {
      generation: { ...head, body, ...(bytes !== undefined && { bytes }) },
      ended: relayEnd(context, status, inspector),
    };
  }
  call.facts.firstByteAt = deps.now();
  const { body, done } = relayBody(upstreamCall, {
    idleMs,
    now: deps.now,
    ...(inspector && { onBytes: inspector.push }),
  });
  const ended = done.then(async (report) => {
    if (!isNative || exchange.takeResults === undefined)
      return relayEnd(context, status, inspector, refusal, report);
    const answer = inspector?.summary();
    return relayEnd(
      context,
      status,
      answer && { summary: () => answer },
      refusal,
      report,
      billBatch(context, await exchange.takeResults()),
    );
  });
  return { generation: { ...head, body }, ended, ...refused };
}

/** Longer text is not an error message for a client. */
const MAX_REFUSAL_CHARS = 64 * 1024;
const TEXT = /^(?:text\/|application\/(?:[\w.-]+\+)?json\b)/i;

/** A vendor's error may repeat the request, and with it the credential: only text is passed on, scrubbed. */
async function readRefusal(
  context: AnswerContext,
  upstreamCall: UpstreamCall,
  contentType: string,
  idleMs: number,
): Promise<string> {
  const { text: body } = await readHeld(context, upstreamCall, idleMs);
  if (!TEXT.test(contentType)) return "";
  const secrets = secretsOf(context.target.account);
  if (body.length <= MAX_REFUSAL_CHARS) return scrubCredentials(body, secrets);
  return scrubCredentials(withoutCutSecret(body.slice(0, MAX_REFUSAL_CHARS), secrets), secrets);
}

/** Ends the attempt's span and puts on the bill what could be read. */
function relayEnd(
  context: AnswerContext,
  status: number,
  inspector: Pick<Inspector, "summary"> | undefined,
  refusal?: GatewayError,
  report?: StreamReport,
  own?: Bill,
): RelayEnd {
  const answer = inspector?.summary();
  const isCut = report !== undefined && report.outcome !== "complete";
  const counted = refusal === undefined ? countRelayed(context.attempts.call.chat, answer, isCut) : undefined;
  const bill = own ?? (counted && billAnswer(context, answer ?? {}, counted, isCut));
  const error = report?.error ?? refusal;
  endAttempt(context.span, {
    status,
    bill,
    ...(answer && { answer }),
    ...(report && { report }),
    ...(error && { error }),
    reported: reportedOf(context),
  });
  return { kind: "relay", ...(report && { report }), ...(refusal && { refusal }) };
}

const NOT_MODIFIED = 304;

/** https://fetch.spec.whatwg.org/#null-body-status */
function mayHaveBody(status: number): boolean {
  return status !== 204 && status !== 205 && status !== NOT_MODIFIED;
}
