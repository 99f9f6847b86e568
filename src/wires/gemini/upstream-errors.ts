/**
 * What a refusal of Google's means, from its status, headers and body: rows of the error table. Differs from the OpenAI
 * reading where Google does: a wrong key is a 400, and the wait is in the body.
 * https://cloud.google.com/apis/design/errors (seen 2026-11)
 */

import { GatewayError } from "../../errors.ts";
import { listOf, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";
import { readOpenAiError } from "../openai-chat/upstream-errors.ts";
import type { ReadUpstreamError } from "../upstream-wire.ts";

const MS_PER_SECOND = 1000;

export const readGeminiError: ReadUpstreamError = (status, headers, body, context) => {
  // Where a stream was asked for as a JSON array, its error is the only element of one.
  const error = recordOf(recordOf(Array.isArray(body) ? body[0] : body)["error"]);
  if (isKeyRefused(status, error)) {
    const message = "The upstream refused the credential of this provider account.";
    return new GatewayError("upstream_auth", message, { upstreamStatus: status });
  }
  const violation = listOf(detailOf(error, "BadRequest")["fieldViolations"])[0];
  const param = textOf(recordOf(violation)["field"]);
  const read = readOpenAiError(status, headers, { error: { message: error["message"], param } }, context);
  const retryAfterMs = read.details.retryAfterMs ?? readDelay(detailOf(error, "RetryInfo")["retryDelay"]);
  if (retryAfterMs === undefined || !WAITING.has(status)) return read;
  return new GatewayError(read.code, read.message, { ...read.details, retryAfterMs });
};

/** Statuses after which a wait means something. */
const WAITING: ReadonlySet<number> = new Set([429, 500, 503]);

function isKeyRefused(status: number, error: JsonRecord): boolean {
  if (status !== 400) return false;
  const { reason } = detailOf(error, "ErrorInfo");
  return reason === "API_KEY_INVALID" || /^API key (not valid|expired)/i.test(textOf(error["message"]) ?? "");
}

/** The detail of this type of google.rpc; empty where there is none. */
function detailOf(error: JsonRecord, type: string): JsonRecord {
  const details = listOf(error["details"]).map(recordOf);
  return details.find((detail) => detail["@type"] === `type.googleapis.com/google.rpc.${type}`) ?? {};
}

/** Protobuf's JSON writes a duration as seconds with an `s`: `34.07s`. */
function readDelay(delay: unknown): number | undefined {
  const seconds = /^(\d+(?:\.\d+)?)s$/.exec(textOf(delay) ?? "")?.[1];
  return seconds === undefined ? undefined : Math.ceil(Number(seconds) * MS_PER_SECOND);
}
